"""Layers for signals against layers for vectors that see all shifts as rows."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from oracle_redunet import on_sphere
from oracle_spectral import Family, family, published_network

from skredu.redunet import _hermitian
from skredu.redunet._base_layer import as_slice, take_rows
from skredu.redunet._hermitian import forms, inverses, mixed, mixing_pays, packed
from skredu.redunet._memberships import KINDS
from skredu.redunet._network import Step, grow, staged
from skredu.redunet._signals import SignalRule
from skredu.redunet._spectral_forms import Dense, Factored
from skredu.redunet._spectral_layer import SpectralLayer, in_order
from skredu.redunet._spectrum import Grid, squares

# grid, channels, rows: even and odd, one and many channels, more rows than channels
# and fewer
SHAPES = {
    "a point": ((1,), 3, 11),
    "1-D even": ((6,), 1, 9),
    "1-D odd": ((5,), 2, 8),
    "1-D few rows": ((4,), 5, 7),
    "2-D even": ((2, 4), 2, 9),
    "2-D odd": ((3, 3), 1, 8),
    "2-D few rows": ((2, 3), 4, 6),
    "3-D": ((2, 2, 3), 1, 6),
}
WEIGHTS = {
    "no weights": lambda rng, n: None,
    "copies": lambda rng, n: rng.integers(1, 4, n).astype(float),
    "fractions": lambda rng, n: rng.uniform(0.2, 3.0, n),
    "halves": lambda rng, n: np.full(n, 0.5),
    "pairs": lambda rng, n: np.full(n, 2.0),
    "two values": lambda rng, n: rng.choice([0.5, 2.0], n),
}
EPSILON = 0.7


def problem(name, weights="no weights", seed=0):
    """Rows of three classes, the last of a single row; new rows; weights."""
    rng = np.random.default_rng(seed)
    shape, C, n = SHAPES[name]
    y = np.sort(np.append(np.arange(n - 1) % 2, 2))
    means = rng.normal(size=(3, C * np.prod(shape)))
    Z = on_sphere(means[y] + rng.normal(size=(n, means.shape[1])))
    new = on_sphere(np.vstack([rng.normal(size=(3, Z.shape[1])), Z[:1]]))
    return Grid(shape, C), Z, y, new, WEIGHTS[weights](rng, n)


def rule_for(grid, y, like, *, weights=None, kind="coding", construction="estimated",
             epsilon=EPSILON, **other):  # fmt: skip
    stops = np.cumsum(np.bincount(y))
    slices = [slice(a, b) for a, b in zip([0, *stops[:-1]], stops, strict=True)]
    frequencies = grid.frequencies(like)
    return SignalRule(
        slices, weights, frequencies, epsilon, kind, 5.0, construction, **other
    )


def oracle(grid, Z, y, weights=None, epsilon=EPSILON):
    return Family(Z, y, grid.n_channels, grid.shape, epsilon, weights)


# -- the explicit family of all shifts ------------------------------------------------


@pytest.mark.parametrize(
    ("form", "weights"),
    [("factored", "no weights"), ("dense", "fractions"), (None, "copies")],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_layer_is_that_of_all_shifts(shape, form, weights):
    grid, Z, y, new, w = problem(shape, weights)
    slow = oracle(grid, Z, y, w)
    for kind in KINDS:
        rule = rule_for(grid, y, Z, weights=w, kind=kind, form=form)
        layer = rule.build(grid.enter(Z)).layer
        assert_allclose(layer.rates(), slow.rates(), rtol=1e-10)
        expected = [slow.memberships(z, kind, 5.0) for z in new]
        found = layer.memberships(grid.enter(new))
        assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
        moved = grid.leave(layer.move(grid.enter(new), 0.7), new.dtype)
        expected = slow.layer(new, 0.7 / layer.alpha, kind, 5.0)
        assert_allclose(moved, expected, atol=1e-11)


@pytest.mark.parametrize(
    ("form", "weights"),
    [("factored", "fractions"), ("dense", "copies"), ("dense", "two values")],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_left_out_with_all_of_their_shifts(shape, form, weights):
    grid, Z, y, _, w = problem(shape, weights)
    slow, spectra = oracle(grid, Z, y, w), grid.enter(Z)
    for kind in KINDS:
        rule = rule_for(
            grid, y, Z, weights=w, kind=kind, construction="left_out", form=form
        )
        layer, change = rule.change(rule.build(spectra), spectra)
        code = np.zeros(3) if layer.label_code is None else layer.label_code
        expected = [slow.left_out_change(i, Z, kind, 5.0, code) for i in range(len(Z))]
        assert_allclose(grid.leave(change, Z.dtype), expected, atol=1e-10)


def test_labels_move_training_rows_by_the_gradient():
    grid, Z, y, _, w = problem("2-D even", "copies")
    E, C, gamma = oracle(grid, Z, y, w).operators()
    for form in ("factored", "dense"):
        rule = rule_for(grid, y, Z, weights=w, construction="labels", form=form)
        layer, change = rule.change(rule.build(grid.enter(Z)), grid.enter(Z))
        expected = [E @ z - gamma[j] * C[j] @ z for z, j in zip(Z, y, strict=True)]
        found = grid.leave(change, Z.dtype) * layer.alpha
        assert_allclose(found, expected, atol=1e-10)


def test_expansion_is_block_circulant():
    grid, Z, y, _, _ = problem("2-D few rows")
    whole = rule_for(grid, y, Z).build(grid.enter(Z)).layer.whole
    E = oracle(grid, Z, y).operators()[0]
    shifted = family(np.eye(E.shape[0])[:1], grid.n_channels, grid.shape)
    for row in shifted:  # a shift of the input shifts the output
        moved = grid.leave(whole.matrix() @ enter_raw(grid, row[None]), float)
        alpha = 4 / (len(Z) * EPSILON**2)
        assert_allclose(alpha * (row - moved[0]), E @ row, atol=1e-12)


def enter_raw(grid, rows):
    return grid.enter(rows) * np.linalg.norm(rows, axis=1)


# -- published dynamics ---------------------------------------------------------------


@pytest.mark.parametrize("shape", ["1-D odd", "1-D even", "2-D even", "3-D"])
def test_published_dynamics(shape):
    grid, Z, y, new, _ = problem(shape)
    eps, eta, temperature = 0.1, 0.3, 20.0
    expected = published_network(
        Z, y, new, grid.n_channels, grid.shape, n_layers=6, eps=eps, eta=eta,
        temperature=temperature,
    )  # fmt: skip
    T = grid.n_points
    rule = SignalRule(
        rule_for(grid, y, Z).slices, None, grid.frequencies(Z), (eps * T) ** 0.5,
        "residual", temperature * T, "estimated",
    )  # fmt: skip
    spectra = grid.enter(Z)
    grown = grow(rule, rule.build(spectra), spectra, Step(eta * T, published=True))
    layers = [next(grown) for _ in range(6)]
    assert_allclose(grid.leave(layers[-1].Z, float), expected[0], atol=1e-10)
    *_, moved = staged([(g.layer, g.step) for g in layers], grid.enter(new))
    assert_allclose(grid.leave(moved, float), expected[1], atol=1e-10)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("shape", ["1-D odd", "2-D even"])
def test_rows_of_one_class_each_move_as_all_rows_do(shape, ordered):
    grid, Z, y, _, _ = problem(shape)
    rule = rule_for(grid, y, Z, kind="residual", form="dense")
    layer = replace(rule.build(grid.enter(Z)).layer, temperature=1e6)
    order = np.argsort(layer.memberships(grid.enter(Z)).argmax(axis=1), kind="stable")
    rows = Z[order if ordered else order[::-1]]
    sharp = layer.memberships(grid.enter(rows)) > 1e-16
    labels = sharp.argmax(axis=1)
    assert np.all(sharp.sum(axis=1) == 1)
    assert np.all(np.diff(labels) >= 0) == ordered == in_order(sharp)
    slow = oracle(grid, Z, y)
    expected = slow.layer(rows, 0.7 / layer.alpha, "residual", 1e6)
    moved = grid.leave(layer.move(grid.enter(rows), 0.7), float)
    assert_allclose(moved, expected, atol=1e-11)


def test_an_index_without_gaps_is_a_slice():
    assert as_slice(np.array([2, 3, 4])) == slice(2, 5)
    assert as_slice(np.array([7])) == slice(7, 8)
    assert_array_equal(as_slice(np.array([2, 4])), [2, 4])
    rows = np.arange(12.0).reshape(2, 6)
    assert np.shares_memory(take_rows(rows, np.array([1, 2]), 1), rows)
    assert_array_equal(take_rows(rows, np.array([1, 4]), 1), rows[:, [1, 4]])


# -- shifts ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_shifts_of_a_row_move_alike(shape):
    grid, Z, y, new, _ = problem(shape)
    layer = rule_for(grid, y, Z).build(grid.enter(Z)).layer
    shifted = family(new[:1], grid.n_channels, grid.shape)
    Pi = layer.memberships(grid.enter(shifted))
    assert_allclose(Pi, np.broadcast_to(Pi[0], Pi.shape), rtol=1e-10)
    moved = grid.leave(layer.move(grid.enter(shifted), 0.7), float)
    expected = family(moved[:1], grid.n_channels, grid.shape)
    assert_allclose(moved, expected, atol=1e-13)


# -- the grid -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1,), (6,), (7,), (4, 6), (3, 5), (2, 3, 4)])
def test_half_a_spectrum_tells_everything(shape):
    grid = Grid(shape, 2)
    X = np.random.default_rng(0).normal(size=(3, 2 * grid.n_points))
    spectra = grid.enter(X)
    assert spectra.shape == (grid.n_frequencies, 2, 3)
    assert_allclose(squares(spectra).sum(axis=(0, 1)), 1.0)
    assert_allclose(grid.leave(spectra, float), on_sphere(X), atol=1e-14)
    assert grid.counts.sum() == grid.n_points


# -- digits, extremes, state ----------------------------------------------------------


@pytest.mark.parametrize("size", [8, 16, 24, 40])
def test_inverses_of_steep_matrices_keep_their_digits(size):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(20, size, size)) + 1j * rng.normal(size=(20, size, size))
    Q = np.linalg.qr(A)[0]
    values = 10.0 ** rng.uniform(-3, 7, size=(20, size))
    S = (Q * values[:, None, :]) @ Q.conj().swapaxes(1, 2)
    inverse, logs = inverses([S], [np.ones(20)])
    expected = (Q / (1.0 + values[:, None, :])) @ Q.conj().swapaxes(1, 2)
    assert_allclose(inverse[0], expected, atol=1e-8)  # the condition times rounding
    assert_allclose(logs[0], np.log1p(values).sum(axis=1), rtol=1e-9)


@pytest.mark.parametrize("size", [1, 3, 9, 17, 33])
def test_inverses_and_forms(size, monkeypatch):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(2, 5, size, 14)) + 1j * rng.normal(size=(2, 5, size, 14))
    S, c = A @ A.conj().swapaxes(2, 3), rng.uniform(size=(2, 5))
    monkeypatch.setattr(_hermitian, "SWEPT", 3 * size**2)  # three at a time
    monkeypatch.setattr(_hermitian, "PRODUCTS", 1)
    inverse, logs = inverses(S, c)
    M = np.eye(size) + c[:, :, None, None] * S
    assert_allclose(inverse, np.linalg.inv(M), atol=1e-13)
    assert_allclose(logs, np.linalg.slogdet(M)[1], rtol=1e-13)
    Z = rng.normal(size=(5, size, 4)) + 1j * rng.normal(size=(5, size, 4))
    expected = np.einsum("mpab,pan,pbn->pmn", inverse, Z.conj(), Z).real
    assert_allclose(forms(packed(inverse), Z), expected, rtol=1e-12)
    shares = rng.uniform(size=(2, 4))
    expected = np.einsum("mpab,mn,pbn->pan", inverse, shares, Z)
    found = mixed(inverse.swapaxes(0, 1), shares, Z)
    assert_allclose(found, expected, atol=1e-12)


def test_sums_of_matrices_where_they_are_cheaper():
    assert mixing_pays(50, (420, 4, 50), 10)
    assert not mixing_pays(500, (420, 16, 500), 10)  # sharp memberships
    assert mixing_pays(5000, (420, 16, 500), 10)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-3, 1e3, 1e8])
@pytest.mark.parametrize("shape", ["1-D odd", "1-D few rows", "2-D even"])
def test_extreme_distortions(shape, epsilon):
    grid, Z, y, new, w = problem(shape, "two values")
    for weights in (None, w):
        rule = rule_for(
            grid, y, Z, epsilon=epsilon, weights=weights, construction="left_out"
        )
        spectra = grid.enter(Z)
        built = rule.build(spectra)
        forms = {type(g.form) for g in built.classes if g.Z.shape[2] > grid.n_channels}
        assert forms <= {Factored if epsilon < 1e-4 or weights is not None else Dense}
        layer, change = rule.change(built, spectra)
        assert np.isfinite(change).all()
        assert np.isfinite(layer.move(grid.enter(new), 1.0)).all()


def test_steps_never_lower_the_rate_reduction():
    grid, Z, y, _, _ = problem("2-D even")
    for construction in ("left_out", "estimated", "labels"):
        rule, spectra = rule_for(grid, y, Z, construction=construction), grid.enter(Z)
        built = rule.build(spectra)
        grown = grow(rule, built, spectra, Step(1.0, False))
        values = [g.rates[2] for _, g in zip(range(8), grown, strict=False)]
        assert len(values) > 2
        assert (np.diff([built.layer.rates()[2], *values]) >= 0.0).all()


def test_plain_state_restores_the_layer():
    for shape in ("1-D odd", "1-D few rows"):
        grid, Z, y, new, _ = problem(shape)
        for form in ("factored", "dense", None):
            layer = rule_for(grid, y, Z, form=form).build(grid.enter(Z)).layer
            again = SpectralLayer.of_plain(layer.plain())
            spectra = grid.enter(new)
            np.testing.assert_array_equal(again.change(spectra), layer.change(spectra))
            assert again.rates() == layer.rates()


@pytest.mark.parametrize(
    ("shape", "construction"),
    [("1-D odd", "left_out"), ("1-D few rows", "left_out"), ("2-D even", "labels")],
)
def test_precision_and_place_follow_the_rows(xp, dtype, shape, construction):
    grid, Z, y, new, w = problem(shape, "copies")
    results = []
    for make, kind in ((xp, dtype), (np, "float64")):
        rows, others, weights = (
            make.asarray(a, dtype=getattr(make, kind)) for a in (Z, new, w)
        )
        rule = rule_for(grid, y, rows, weights=weights, construction=construction)
        start = grid.enter(rows)
        grown = grow(rule, rule.build(start), start, Step(0.5, False))
        layers = [next(grown) for _ in range(3)]
        *_, moved = staged([(g.layer, g.step) for g in layers], grid.enter(others))
        results.append((grid.leave(moved, others.dtype), layers[-1].rates[2]))
    (moved, rate), (expected, expected_rate) = results
    assert moved.dtype == getattr(xp, dtype)
    double = dtype == "float64"
    assert_allclose(xp.to_numpy(moved), expected, atol=1e-9 if double else 2e-4)
    assert_allclose(rate, expected_rate, rtol=1e-9 if double else 1e-4)


@pytest.mark.parametrize("construction", ["left_out", "estimated", "labels"])
@pytest.mark.parametrize("shape", ["1-D odd", "1-D few rows"])
def test_rows_in_blocks_are_the_rows(shape, construction, monkeypatch):
    grid, Z, y, new, w = problem(shape, "copies")
    rule = rule_for(grid, y, Z, weights=w, construction=construction)
    start, step = grid.enter(Z), Step(64.0, False)  # so long that some are too long

    def network():
        grown = grow(rule, rule.build(start), start, step, last=step.eta)
        return [g for _, g in zip(range(3), grown, strict=False)]

    whole, change = network(), rule.change(rule.build(start), start)[1]
    for module in ("_spectral_layer", "_rule"):
        monkeypatch.setattr(f"skredu.redunet.{module}.BLOCK", 1)
    monkeypatch.setattr("skredu.redunet._spectrum.CACHED", 1)
    layer, again = rule.change(rule.build(start), start)
    assert len(layer.blocks(5)) == 5
    assert_allclose(again, change, atol=1e-14)
    parts = network()
    assert [g.step for g in parts] == [g.step for g in whole]
    if shape == "1-D odd":
        assert 0.0 < parts[0].step < step.eta
    for part, every in zip(parts, whole, strict=True):
        assert_allclose(part.Z, every.Z, atol=1e-13)
        assert_allclose(part.rates, every.rates, rtol=1e-13)
        moved = part.layer.move(grid.enter(new), part.step)
        assert_allclose(
            moved, every.layer.move(grid.enter(new), every.step), atol=1e-13
        )
    assert_array_equal(start, grid.enter(Z))  # rows that a caller keeps
