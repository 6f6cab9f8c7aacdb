"""Layers against inverses of d x d matrices, in every form and for every weight."""

from dataclasses import replace
from itertools import product

import numpy as np
import oracle_redunet as oracle
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits

from skredu import MICLClassifier
from skredu.rates import class_coding_rate, coding_rate, rate_reduction_gradient
from skredu.redunet._forms import Dense, Factored
from skredu.redunet._groups import _cheaper, group_of
from skredu.redunet._layer import Layer
from skredu.redunet._memberships import KINDS
from skredu.redunet._network import Step, grow, staged
from skredu.redunet._sphere import Frame, normalised, on_sphere, root_mean_square
from skredu.redunet._vectors import VectorRule

WEIGHTS = {
    "no weights": lambda rng, n: None,
    "copies": lambda rng, n: rng.integers(1, 4, n).astype(float),
    "fractions": lambda rng, n: rng.uniform(0.2, 3.0, n),
    "halves": lambda rng, n: np.full(n, 0.5),
    "pairs": lambda rng, n: np.full(n, 2.0),
}
SHAPES = {
    "many rows": (36, 5),
    "few rows": (9, 14),
    "one class of one row": (7, 9),
    "still features": (30, 7),
}


def problem(shape, weights=None, seed=0):
    """Rows of three classes near subspaces, new rows inside and outside their span."""
    rng = np.random.default_rng(seed)
    n, d = SHAPES[shape]
    y = np.sort(np.arange(n) % 3)
    if shape.startswith("one"):
        y = np.array([0, 0, 0, 1, 1, 1, 2])
    bases = rng.normal(size=(3, 2, d))
    X = np.array([rng.normal(size=2) @ bases[label] for label in y])
    X += 0.3 * rng.normal(size=(n, d))
    if shape.startswith("still"):
        X[:, [1, 4]] = 0.0
    Z = oracle.on_sphere(X)
    new = oracle.on_sphere(
        np.vstack([rng.normal(size=(4, d)), rng.normal(size=(2, n)) @ Z, Z[:2]])
    )
    return Z, y, new, None if weights is None else WEIGHTS[weights](rng, n)


def rule_for(
    Z, y, *, weights=None, epsilon=0.5, kind="coding", construction="estimated", **other
):
    stops = np.cumsum(np.bincount(y))
    slices = [slice(a, b) for a, b in zip([0, *stops[:-1]], stops, strict=True)]
    return VectorRule(
        slices, weights, Z.shape[1], epsilon, kind, 5.0, construction, **other
    )


def layer_for(Z, y, **settings):
    """Return a layer that moves rows."""
    rule = rule_for(Z, y, **settings)
    return rule.completed(rule.build(Z), Z).layer


def grown_from(rule, Z, step, **settings):
    return grow(rule, rule.build(Z), Z, step, **settings)


def span(Z, wanted):
    return Frame.of(Z) if wanted else Frame()


# -- forms against the oracle ---------------------------------------------------------


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("form", ["factored", "dense", None])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_memberships_and_change(shape, kind, form, weights):
    Z, y, new, w = problem(shape, weights)
    frame = Frame.of(Z)
    rule, A = rule_for(Z, y, weights=w, kind=kind, form=form), frame.enter_training(Z)
    layer = rule.completed(rule.build(A), A).layer
    Pi = layer.memberships(frame.enter(new))
    expected = [oracle.memberships(z, Z, y, 0.5, kind, 5.0, w) for z in new]
    assert_allclose(Pi, expected, rtol=1e-9, atol=1e-12)
    moved = frame.leave(new, layer.move(frame.enter(new), 0.7))
    eta = 0.7 * oracle.relative(0.5, Z, w)
    expected = oracle.layer(new, Z, y, 0.5, eta, kind, w, temperature=5.0)
    assert_allclose(moved, expected, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_fifty_layers(shape, kind):
    Z, y, new, _ = problem(shape)
    eta = 0.3 * oracle.relative(0.5, Z)
    training, others = oracle.network(
        Z, y, new, n_layers=50, epsilon=0.5, eta=eta, kind=kind, temperature=5.0
    )
    for form, in_span in product(("factored", "dense"), (False, True)):
        frame = span(Z, in_span)
        rule = rule_for(Z, y, kind=kind, form=form)
        grown = grown_from(rule, frame.enter_training(Z), Step(eta, published=True))
        layers = [next(grown) for _ in range(50)]
        assert_allclose(frame.leave(Z, layers[-1].Z), training, atol=1e-10)
        *_, moved = staged([(g.layer, g.step) for g in layers], frame.enter(new))
        assert_allclose(frame.leave(new, moved), others, atol=1e-10)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("form", ["factored", "dense", None])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_left_out_move_as_if_the_operators_had_never_seen_them(
    shape, kind, form, weights
):
    Z, y, _, w = problem(shape, weights)
    frame = Frame.of(Z)
    rule = rule_for(Z, y, weights=w, kind=kind, construction="left_out", form=form)
    A = frame.enter_training(Z)
    layer, change = rule.change(rule.build(A), A)
    assert (layer.label_code is not None) == (kind == "coding")
    code = np.zeros(3) if layer.label_code is None else layer.label_code
    expected = [
        oracle.left_out_change(i, Z, y, 0.5, kind, 5.0, w, code) for i in range(len(Z))
    ]
    assert_allclose(frame.leave(Z, A + change) - Z, expected, atol=1e-11)


def test_a_single_row_that_is_left_out_stays():
    Z = np.array([[0.6, 0.8, 0.0]])
    for form in ("factored", "dense"):
        rule = rule_for(Z, np.array([0]), construction="left_out", form=form)
        assert_allclose(rule.change(rule.build(Z), Z)[1], 0.0, atol=1e-15)


def test_labels_move_training_rows_by_the_gradient():
    Z, y, _, w = problem("many rows", "copies")
    rule = rule_for(Z, y, weights=w, construction="labels")
    built = rule.build(Z)
    gradient = rate_reduction_gradient(Z, y, epsilon=0.5, weights=w)
    layer, change = rule.change(built, Z)
    assert_allclose(change * layer.alpha * w[:, None], gradient, atol=1e-13)


def test_rates_are_those_of_the_public_functions():
    Z, y, _, w = problem("few rows", "fractions")
    frame = Frame.of(Z)
    for form in ("factored", "dense"):
        rule = rule_for(Z, y, weights=w, form=form)
        R, Rc, delta_R = rule.build(frame.enter_training(Z)).layer.rates()
        assert_allclose(R, coding_rate(Z, epsilon=0.5, weights=w), rtol=1e-12)
        expected = class_coding_rate(Z, y, epsilon=0.5, weights=w)
        assert_allclose(Rc, expected, rtol=1e-12)
        assert_allclose(delta_R, R - Rc, rtol=1e-15)


def test_memberships_by_coding_are_those_of_micl():
    Z, y, new, w = problem("many rows", "copies")
    layer = layer_for(Z, y, weights=w)
    micl = MICLClassifier(0.5, assume_centered=True, priors=None, calibrate=False)
    expected = micl.fit(Z, y, sample_weight=w).predict_proba(new)
    assert_allclose(layer.memberships(new), expected, atol=1e-12)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-3, 1e3, 1e8])
@pytest.mark.parametrize("form", ["factored", "dense"])
def test_extreme_distortions(form, epsilon):
    Z, y, new, _ = problem("few rows")
    frame = Frame.of(Z)
    rule, A = rule_for(Z, y, epsilon=epsilon, form=form), frame.enter_training(Z)
    layer = rule.completed(rule.build(A), A).layer
    moved = layer.move(frame.enter(new), 1.0)
    assert np.isfinite(moved).all()
    if epsilon < 1e-2:  # hard projections
        *_, inside = np.linalg.svd(Z[y == 0], full_matrices=False)
        expected = normalised(Z[:1] - Z[:1] + Z[:1] @ inside.T @ inside)
        start = frame.enter(Z[:1])
        assert_allclose(frame.leave(Z[:1], layer.move(start, 1.0)), expected, atol=1e-4)


# -- which form -----------------------------------------------------------------------


def test_form_with_fewer_operations():
    assert _cheaper((100, 717), 1000) == "factored"
    assert _cheaper((1000, 717), 10_000) == "dense"
    Z = on_sphere(np.random.default_rng(0).normal(size=(40, 50)))
    settings = {"epsilon": 0.5, "n_features": 50, "n_moved": 400}
    assert isinstance(group_of(Z[:3], None, **settings).form, Factored)
    assert isinstance(group_of(Z, None, **settings).form, Dense)
    # where the dense form would lose digits, or every row leaves another scale behind
    settings["epsilon"] = 1e-6
    assert isinstance(group_of(Z, None, **settings).form, Factored)
    settings |= {"epsilon": 0.5, "left_out": True}
    assert isinstance(group_of(Z, 1.0 + np.arange(40.0), **settings).form, Factored)
    assert isinstance(group_of(Z, np.full(40, 2.0), **settings).form, Dense)


@pytest.mark.parametrize("form", ["dense", None])
@pytest.mark.parametrize("kind", KINDS)
def test_classes_far_behind_are_left_out(kind, form):
    X, y = load_digits(return_X_y=True)
    few = (y == 3) & (np.arange(len(y)) > 100)  # one class is factored, if it may be
    X, y = X[~few], y[~few]
    X = on_sphere(X[np.argsort(y, kind="stable")] - X.mean(axis=0))
    Z, new, y = X[::2], X[1::2], np.sort(y)[::2]
    layer = layer_for(Z, y, kind=kind, epsilon=0.2, form=form)
    layer = replace(layer, temperature=100.0)
    assert form is None or all(isinstance(f, Dense) for f in layer.classes)
    assert form or {type(f) for f in layer.classes} == {Dense, Factored}

    rows = layer.prepare(new)
    exact, sharp = layer.log_memberships(rows), layer.sharp_log_memberships(rows)
    near = exact >= exact.max(axis=1, keepdims=True) - 35.0
    assert_allclose(sharp[near], exact[near], rtol=1e-10)
    assert np.all(sharp >= exact - 1e-9)
    assert np.count_nonzero(sharp > exact + 1.0) > 100  # it does leave out
    assert np.all(sharp[~near] < exact.max(axis=1, keepdims=True).repeat(10, 1)[~near])

    operators = [f.matrix() for f in layer.classes]
    Pi = layer.memberships(new)
    expected = sum(Pi[:, [j]] * (new @ P) for j, P in enumerate(operators))
    expected = expected - new @ layer.whole.matrix()
    for part in (slice(None), slice(20)):  # by differences of operators, or not
        assert_allclose(layer.change(new[part]), expected[part], atol=1e-12)


def test_plain_state_restores_the_layer():
    Z, y, new, _ = problem("many rows")
    for form in ("factored", "dense"):
        layer = layer_for(Z, y, form=form)
        again = Layer.of_plain(layer.plain())
        np.testing.assert_array_equal(again.change(new), layer.change(new))
        assert again.rates() == layer.rates()


# -- steps ----------------------------------------------------------------------------


def digits(n=150):
    X, y = load_digits(return_X_y=True)
    order = np.argsort(y[:n], kind="stable")
    return on_sphere(X[:n] / 16.0)[order], y[:n][order]


def test_relative_steps_never_lower_the_rate_reduction():
    Z, y = digits()
    for construction in ("left_out", "estimated", "labels"):
        rule = rule_for(Z, y, construction=construction, epsilon=0.3)
        values = [rule.build(Z).layer.rates()[2]]
        for _, grown in zip(
            range(15), grown_from(rule, Z, Step(1.0, False)), strict=False
        ):
            values.append(grown.rates[2])
        assert len(values) > 3
        assert (np.diff(values) >= 0.0).all()


def test_steps_are_halved_and_recover():
    step = Step(1.0, published=False)
    layer = rule_for(*digits()).build(digits()[0]).layer
    assert step.lengths(layer, 1.0)[:3] == [1.0, 0.5, 0.25]
    assert step.lengths(layer, 0.125)[0] == 0.25
    assert Step(0.5, published=True).lengths(layer, 1.0) == [0.5 * layer.alpha]


class Toy:
    """Layer whose rate reduction is a function of the features."""

    alpha = 1.0

    def __init__(self, Z, value):
        self.value = value(Z)
        self.layer = self

    def rates(self):
        return 0.0, 0.0, self.value


class ToyRule:
    def __init__(self, value, keeps=True):
        self.value, self.keeps = value, keeps

    def build(self, Z):
        return Toy(Z, self.value)

    def change(self, built, Z):
        return built, 1.0

    def moved(self, Z, change, step):
        return Z + step * change, (change if self.keeps else None)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_network_ends_where_no_step_gains(keeps):
    rule = ToyRule(lambda Z: -abs(Z - 1.0), keeps)
    grown = list(grown_from(rule, 0.0, Step(0.4, False)))
    places = [g.Z for g in grown]
    assert_allclose(places[:2], [0.4, 0.8])
    assert 0.99 < places[-1] <= 1.0
    assert not list(grown_from(ToyRule(lambda Z: -Z), 0.0, Step(0.4, False)))


def test_a_network_ends_with_a_layer_that_gains_too_little():
    grown = list(grown_from(ToyRule(np.tanh), 0.0, Step(0.5, False), tol=0.05))
    gains = np.diff(np.tanh([0.0, *(g.Z for g in grown)]))
    assert (gains[:-1] >= 0.05).all()
    assert gains[-1] < 0.05


# -- array namespaces -----------------------------------------------------------------


@pytest.mark.parametrize("construction", ["left_out", "estimated", "labels"])
@pytest.mark.parametrize("form", ["factored", "dense"])
@pytest.mark.parametrize("shape", ["many rows", "few rows", "still features"])
def test_precision_and_place_follow_the_rows(xp, dtype, shape, form, construction):
    Z, y, new, w = problem(shape, "copies")
    results = []
    for make, kind in ((xp, dtype), (np, "float64")):
        rows, others, weights = (
            make.asarray(a, dtype=getattr(make, kind)) for a in (Z, new, w)
        )
        frame = Frame.of(rows)
        rule = rule_for(Z, y, weights=weights, construction=construction, form=form)
        start = frame.enter_training(rows)
        grown = grown_from(rule, start, Step(0.5, False))
        layers = [next(grown) for _ in range(3)]
        *_, moved = staged([(g.layer, g.step) for g in layers], frame.enter(others))
        results.append((frame.leave(others, moved), layers[-1].rates[2]))
    (moved, rate), (expected, expected_rate) = results
    assert moved.dtype == getattr(xp, dtype)
    atol = 1e-9 if dtype == "float64" else 2e-4
    assert_allclose(xp.to_numpy(moved), expected, atol=atol)
    assert_allclose(rate, expected_rate, rtol=1e-9 if dtype == "float64" else 1e-4)


# -- sphere and span ------------------------------------------------------------------


def test_rows_on_the_sphere():
    X = np.array([[3.0, 4.0], [0.0, 0.0], [3e300, 4e300], [3e-300, 4e-300]])
    expected = [[0.6, 0.8], [0.0, 0.0], [0.6, 0.8], [0.6, 0.8]]
    assert_allclose(on_sphere(X), expected)
    assert_allclose(on_sphere(X[:2], 12.0), [[3 / 13, 4 / 13, 12 / 13], [0, 0, 1]])


def test_root_mean_square_counts_copies():
    X = np.array([[3.0, 4.0], [0.0, 0.0]])
    assert_allclose(root_mean_square(X), 5 / 2**0.5)
    assert_allclose(root_mean_square(X * 1e200), 5e200 / 2**0.5)
    assert_allclose(root_mean_square(X, np.array([3.0, 1.0])), 5 * 0.75**0.5)
    assert root_mean_square(np.zeros((2, 2))) == 1.0


def test_a_frame_loses_nothing():
    Z, _, new, _ = problem("few rows")
    frame = Frame.of(Z)
    assert frame.basis.shape == (14, 9)
    assert_allclose(frame.leave(new, frame.enter(new)), new, atol=1e-14)
    assert_allclose(frame.enter(Z)[:, -1], 0.0, atol=1e-14)
    assert vars(Frame.of(problem("many rows")[0])) == vars(Frame())


def test_features_that_are_zero_in_training_are_no_coordinates():
    Z, _, new, _ = problem("still features")
    frame = Frame.of(Z)
    assert_allclose(frame.moving, [0, 2, 3, 5, 6])
    assert frame.enter(new).shape[1] == 6
    assert np.linalg.norm(frame.enter(new)[:4, -1]) > 0.1
    assert_allclose(frame.leave(new, frame.enter(new)), new, atol=1e-14)
    A = frame.enter_training(Z)
    inner, outer = A.T @ A + 2.0 * np.eye(6), Z.T @ Z + 2.0 * np.eye(7)
    assert_allclose(frame.operator(inner, 2.0, 7), outer, atol=1e-13)
    # too few of them, or fewer rows than the others
    few = np.hstack([Z[:, [0, 2, 3, 5, 6]]] * 3 + [Z[:, [1]]])
    assert vars(Frame.of(few)) == vars(Frame())
    assert Frame.of(Z[:4]).basis.shape == (7, 4)
