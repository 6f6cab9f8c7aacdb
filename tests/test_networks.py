"""Layers of both networks compared with inverses of full matrices, row by row.

Vectors are signals on a grid of one point, so that one oracle serves both networks.
What a layer does is seen in its operators, in the rates behind it, and in how new rows
and training rows pass it.
"""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from oracle_redunet import on_sphere
from oracle_spectral import Family, accelerated
from settings import limit, slowly
from sklearn.datasets import load_digits

from skredu import InvariantReduNetTransformer, MICLClassifier, ReduNetTransformer

EPSILON = 0.6
MANY = "many rows", "1-D few rows"
SOFT = ("coding", "residual", "weighted_residual")
MEMBERSHIPS = (*SOFT, "relu")
# grid (None: vectors), channels, rows: even and odd grids, more rows than channels and
# fewer; rows of vectors near subspaces, one of them with features that are zero
CASES = {
    "many rows": (None, 5, 36),
    "few rows": (None, 14, 9),
    "one class of one row": (None, 9, 7),
    "constant features": (None, 7, 30),
    "features of all sizes": (None, 12, 9),
    "a point": ((1,), 3, 11),
    "1-D even": ((6,), 1, 9),
    "1-D odd": ((5,), 2, 8),
    "1-D few rows": ((4,), 5, 7),
    "2-D even": ((2, 4), 2, 9),
    "2-D odd": ((3, 3), 1, 8),
    "2-D few rows": ((2, 3), 4, 8),
    "3-D": ((2, 2, 3), 1, 6),
}
WEIGHTS = {
    "no weights": lambda rng, n: None,
    "copies": lambda rng, n: rng.integers(1, 4, n).astype(float),
    "fractions": lambda rng, n: rng.uniform(0.2, 3.0, n),
    "halves": lambda rng, n: np.full(n, 0.5),
    "two values": lambda rng, n: rng.choice([0.5, 2.0], n),
}


def with_weights(values):
    """Return cases and values with weights: each value meets every kind of them."""
    kinds = list(WEIGHTS)
    return [
        (case, kinds[(i + j) % len(kinds)], value)
        for i, case in enumerate(CASES)
        for j, value in enumerate(values)
    ]


class Problem:
    """Rows of three classes on the sphere, new rows, weights, and both solutions."""

    def __init__(self, case, weights="no weights", epsilon=EPSILON, apart=False):
        rng = np.random.default_rng(0)
        self.shape, self.C, n = CASES[case]
        self.grid = self.shape or (1,)
        self.T, self.epsilon = int(np.prod(self.grid)), epsilon
        self.y = np.sort(np.arange(n) % 3)
        if "one class" in case:
            self.y = np.array([0, 0, 0, 1, 1, 1, 2])
        elif self.shape:
            self.y = np.sort(np.append(np.arange(n - 1) % 2, 2))
        d = self.C * self.T
        if self.shape:
            X = rng.normal(size=(3, d))[self.y] + rng.normal(size=(n, d))
        else:
            bases = rng.normal(size=(3, 2, d))
            X = np.array([rng.normal(size=2) @ bases[label] for label in self.y])
            X += 0.3 * rng.normal(size=(n, d))
        if case.startswith("constant"):
            X[:, [1, 4]] = 0.0
        if case.endswith("all sizes"):
            X *= np.geomspace(1.0, 1e-3, d)
        if apart:  # positive, and each class in features of its own
            X = np.abs(X) * (np.arange(d) % 3 == self.y[:, None])
        self.X, self.weights = on_sphere(X), WEIGHTS[weights](rng, n)
        inside = rng.normal(size=(2, n)) @ self.X
        others = [rng.normal(size=(4, d)), inside, self.X[:2]]
        self.new = on_sphere(np.vstack(others))
        total = n if self.weights is None else self.weights.sum()
        self.alpha = self.C / (total * epsilon**2)

    def family(self, Z=None):
        """Return the oracle for rows, by default those of the problem."""
        Z = self.X if Z is None else Z
        return Family(Z, self.y, self.C, self.grid, self.epsilon, self.weights)

    def net(self, n_layers=1, length=0.7, **settings):
        """Return a fitted network with steps of ``length / alpha``."""
        settings = {
            "epsilon": self.epsilon,
            "eta": length / self.alpha,
            "step": "published",
            "inverse_temperature": 5.0,
            "construction": "estimated",
            **settings,
        }
        if self.shape is None:
            model = ReduNetTransformer(n_layers, fit_intercept=False, **settings)
        else:
            model = InvariantReduNetTransformer(
                n_layers, signal_shape=self.shape, **settings
            )
        return model.fit(self.X, self.y, sample_weight=self.weights)

    def shown(self, operator):
        """Return the part of a matrix that layers show: all of it, or filters."""
        blocks = operator.reshape(self.C, self.T, self.C, self.T)[:, :, :, 0]
        if self.shape is None:
            return blocks[:, 0]
        return blocks.transpose(0, 2, 1).reshape(self.C, self.C, *self.shape)

    def assert_layer_of(self, net, i, Z, atol=1e-10):
        """Assert that layer ``i`` was computed from the features ``Z``."""
        slow = self.family(Z)
        E, C, gamma = slow.operators()
        layer = net.layers_[i]
        found = [layer.expansion, *(layer.compression(j) for j in range(3))]
        alphas = self.alpha * np.array([1.0, *(1.0 / np.array(gamma))])
        for shown, operator, alpha in zip(found, [E, *C], alphas, strict=True):
            assert_allclose(shown, self.shown(operator), atol=atol * alpha)
        assert_allclose(layer.gamma, gamma, rtol=1e-12)
        rates = [net.rates_[name][i] for name in ("R", "Rc", "delta_R")]
        assert_allclose(rates, slow.rates(), rtol=1e-10, atol=atol)


# -- new rows -------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "weights", "membership"), with_weights(MEMBERSHIPS))
def test_new_rows_pass_a_layer_as_the_formula_says(case, weights, membership):
    problem = Problem(case, weights)
    net = problem.net(membership=membership)
    problem.assert_layer_of(net, 0, problem.X)
    assert net.layers_[0].eta == pytest.approx(0.7 / problem.alpha)
    expected = problem.family().layer(problem.new, 0.7 / problem.alpha, membership, 5.0)
    assert_allclose(net.transform(problem.new), expected, atol=1e-11)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-3, 1e3, 1e8])
@pytest.mark.parametrize("case", ["few rows", "1-D odd", "1-D few rows", "2-D even"])
def test_extreme_distortions(case, epsilon):
    problem = Problem(case, "two values", epsilon)
    for construction in ("left_out", "estimated"):
        settings = {"construction": construction, "membership": "coding"}
        net = problem.net(2, length=1.0, **settings)
        assert np.isfinite(net.transform(problem.new)).all()
        assert np.isfinite(net.rates_["delta_R"]).all()
    if epsilon < 1e-2 and case == "few rows":  # hard projections
        first = problem.net(1, length=1.0).transform(problem.X[:1])
        assert_allclose(first, problem.X[:1], atol=1e-4)


@pytest.mark.parametrize("inverse_temperature", [100.0, 3.0])
@pytest.mark.parametrize("membership", SOFT)
def test_classes_far_behind_do_not_matter(membership, inverse_temperature, monkeypatch):
    # sharp memberships of many classes: most of them may be passed over
    limit(monkeypatch, LEAST_BOUNDED=32)
    X, y = load_digits(return_X_y=True)
    few = (y == 3) & (np.arange(len(y)) > 100)  # one class has few rows
    X, y = X[~few], y[~few]
    X, epsilon = on_sphere(X - X.mean(axis=0)), 0.2
    Z, new, y = X[::2], X[1::2], y[::2]
    d, alpha = 64, 64 / (len(Z) * epsilon**2)
    net = ReduNetTransformer(
        1, epsilon, 0.5 / alpha, step="published", membership=membership,
        inverse_temperature=inverse_temperature, construction="estimated",
        fit_intercept=False,
    ).fit(Z, y)  # fmt: skip
    counts = np.bincount(y)
    inverses = [
        np.linalg.inv(np.eye(d) + d / (n * epsilon**2) * Z[y == j].T @ Z[y == j])
        for j, n in enumerate(counts)
    ]
    if membership == "coding":
        micl = MICLClassifier(epsilon, assume_centered=True, priors=None)
        Pi = micl.set_params(calibrate=False).fit(Z, y).predict_proba(new)
    else:
        norms = np.stack([np.linalg.norm(new @ M, axis=1) for M in inverses], axis=1)
        shares = counts if membership == "residual" else counts.sum()
        scores = -inverse_temperature * d / epsilon**2 / shares * norms
        Pi = np.exp(scores - scores.max(axis=1, keepdims=True))
        Pi /= Pi.sum(axis=1, keepdims=True)
    if membership == "coding" or inverse_temperature > 10.0:
        assert np.mean(Pi < 1e-16) > 0.3
    change = new @ np.linalg.inv(np.eye(d) + alpha * Z.T @ Z)
    change -= sum(Pi[:, [j]] * (new @ M) for j, M in enumerate(inverses))
    expected = on_sphere(new + 0.5 * change)
    for part in (slice(None), slice(20)):
        assert_allclose(net.transform(new[part]), expected[part], atol=1e-12)


# -- training rows --------------------------------------------------------------------


def label_code_of(problem, net):
    """Return the label code of the first layer from the rows that it has moved.

    A moved row times its length is the row plus half of the projections on the classes
    times memberships less that on all rows: linear in length and memberships.
    """
    rng = np.random.default_rng(1)
    rows = on_sphere(rng.normal(size=(300, len(problem.X))) @ problem.X)
    _, moved, *_ = net.staged_transform(rows)
    E, C, gamma = problem.family().operators()
    shares, alpha = [], problem.alpha
    for z, to in zip(rows, moved, strict=True):
        columns = [
            -0.5 * (z - g * c @ z / alpha) for g, c in zip(gamma, C, strict=True)
        ]
        A = np.vstack([np.column_stack([to, *columns]), [0.0, 1.0, 1.0, 1.0]])
        b = np.append(z - 0.5 * (z - E @ z / alpha), 1.0)
        shares.append(np.linalg.lstsq(A, b)[0][1:])
    shares, equations = np.array(shares), []
    for a, b in itertools.combinations(range(3), 2):
        i = np.argmax(shares[:, [a, b]].min(axis=1))  # tells most about both classes
        without = problem.family().memberships(rows[i], "coding", 5.0)
        code = np.log(shares[i, a] / shares[i, b] * without[b] / without[a])
        equations.append((shares[i, [a, b]].min(), a, b, code))
    (_, a, b, first), (_, c, d, second) = sorted(equations)[1:]  # the surest two
    eye = np.eye(3)
    A = np.array([eye[a] - eye[b], eye[c] - eye[d], np.ones(3)])
    return np.linalg.solve(A, [first, second, 0.0])


@pytest.mark.parametrize(("case", "weights", "membership"), with_weights(MEMBERSHIPS))
def test_training_rows_move_as_if_the_operators_had_never_seen_them(
    case, weights, membership
):
    problem = Problem(case, weights)
    slow, Z = problem.family(), problem.X
    settings = {"construction": "left_out", "membership": membership}
    net = problem.net(2, length=0.5, **settings)
    code = label_code_of(problem, net) if membership == "coding" else np.zeros(3)
    changes = [slow.left_out_change(i, Z, membership, 5.0, code) for i in range(len(Z))]
    problem.assert_layer_of(net, 1, on_sphere(Z + 0.5 * np.array(changes)))


@pytest.mark.parametrize(
    ("case", "weights", "construction"), with_weights(["labels", "estimated"])
)
def test_training_rows_move_by_their_labels_or_by_estimates(
    case, weights, construction
):
    problem = Problem(case, weights)
    Z, eta, slow = problem.X, 0.5 / problem.alpha, problem.family()
    net = problem.net(2, length=0.5, construction=construction)
    if construction == "estimated":
        moved = slow.layer(Z, eta, "coding", 5.0)
    else:
        E, C, gamma = slow.operators()
        pairs = zip(Z, problem.y, strict=True)
        moved = [z + eta * (E @ z - gamma[j] * C[j] @ z) for z, j in pairs]
    problem.assert_layer_of(net, 1, on_sphere(moved))


def test_a_single_row_that_is_left_out_stays():
    X, y = np.array([[0.6, 0.8, 0.0]]), [0]
    for net in (
        ReduNetTransformer(2, 0.5, fit_intercept=False),
        InvariantReduNetTransformer(2, 0.5, signal_shape=1),
    ):
        rates = net.fit(X, y).rates_["R"]
        assert_allclose(rates, rates[0], atol=1e-14)


# -- shifts ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1,), (6,), (7,), (4, 6), (3, 5), (2, 3, 4)])
def test_half_a_spectrum_tells_everything(shape):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 2 * int(np.prod(shape))))
    net = InvariantReduNetTransformer(0, 0.5, signal_shape=shape).fit(X, [0, 1, 0, 1])
    assert_allclose(net.transform(X), on_sphere(X), atol=1e-14)


# -- steps ----------------------------------------------------------------------------


def steps_of(problem, net):
    """Return the relative steps of the layers."""
    return np.array([layer.eta * problem.alpha for layer in net.layers_])


@pytest.mark.parametrize(
    ("case", "weights", "membership", "temperature", "halvings"),
    [
        ("many rows", "no weights", "weighted_residual", 5.0, {0, 1, 3, 4, 6, 7, 9}),
        ("constant features", "no weights", "weighted_residual", 5.0, {0}),
        ("1-D odd", "copies", "residual", 500.0, {0, 1}),  # and doubled again
    ],
)
def test_steps_are_halved_until_the_rate_reduction_does_not_fall(
    case, weights, membership, temperature, halvings
):
    problem = Problem(case, weights, epsilon=1.5)
    settings = {"membership": membership, "inverse_temperature": temperature}
    net = problem.net(15, eta=1.0, step="relative", **settings)
    taken, last = steps_of(problem, net), 1.0
    assert halvings <= set(np.round(-np.log2(taken)))
    assert np.all(np.diff(net.rates_["delta_R"]) >= 0.0)
    for i, Z in enumerate(net.staged_transform(problem.X)):
        slow = problem.family(Z)
        tried = min(1.0, 2.0 * last) * 0.5 ** np.arange(10)
        if i < net.n_iter_:
            last = taken[i]
            assert np.isclose(tried, last, rtol=1e-9).sum() == 1
            tried = tried[tried > 1.5 * last]
        elif net.n_iter_ == 15:
            break
        for longer in tried:
            moved = slow.layer(Z, longer / problem.alpha, membership, temperature)
            assert problem.family(moved).rates()[2] < slow.rates()[2] + 1e-13


@pytest.mark.parametrize("rule", ["momentum", "nesterov"])
@pytest.mark.parametrize(
    ("case", "membership"),
    [
        *(("many rows", kind) for kind in ("coding", "relu")),
        *(("few rows", kind) for kind in ("coding", "relu")),
        *(("1-D odd", "coding"), ("2-D even", "residual")),
    ],
)
def test_rows_carry_their_velocity_as_the_formula_says(case, rule, membership):
    problem = Problem(case, "copies", apart=membership == "relu")
    settings = {"eta": 0.4, "step": rule, "momentum": 0.8, "membership": membership}
    net = problem.net(5, **settings)
    momenta = [layer.momentum for layer in net.layers_]
    assert len(momenta) == 5
    assert set(momenta) <= {0.0, 0.8}
    assert 0.8 in momenta[1:]
    steps = [(layer.eta, layer.momentum) for layer in net.layers_]
    rows = problem.X, problem.new
    expected = accelerated(problem.family, *rows, steps, membership, 5.0, rule)
    found = net.staged_transform(problem.X), net.staged_transform(problem.new)
    for i, (Z, new) in enumerate(expected):
        assert_allclose(next(found[0]), Z, atol=1e-10)
        assert_allclose(next(found[1]), new, atol=1e-10)
        assert_allclose(net.rates_["delta_R"][i], problem.family(Z).rates()[2])
    assert_allclose(net.transform(problem.new), new, atol=1e-10)


@pytest.mark.parametrize(("rule", "eta"), [("momentum", 0.5), ("nesterov", 1.0)])
def test_the_velocity_is_dropped_only_where_the_rate_reduction_would_fall(rule, eta):
    problem = Problem("many rows", epsilon=1.5)
    net = problem.net(25, eta=eta, step=rule, momentum=0.95)
    steps = [(layer.eta, layer.momentum) for layer in net.layers_]
    assert np.all(np.diff(net.rates_["delta_R"]) >= 0.0)
    dropped = [i for i, (_, momentum) in enumerate(steps) if momentum == 0.0]
    assert 0 < len(dropped) < len(steps)
    for i in dropped:
        length = eta if i == 0 else min(eta, 2.0 * steps[i - 1][0] * problem.alpha)
        other = [*steps[:i], (length / problem.alpha, 0.95)]
        given = problem.family, problem.X, problem.X[:0], other
        *_, before, after = accelerated(*given, "coding", 5.0, rule)
        rates = [problem.family(Z).rates()[2] for Z, _ in (before, after)]
        assert rates[1] < rates[0] + 1e-13


def test_momentum_is_that_of_gradient_ascent_on_the_rate_reduction():
    # the gradient by differences; with labels, rows move along it
    problem = Problem("many rows")
    length, momentum = 0.2, 0.6
    settings = {"eta": length, "step": "momentum", "momentum": momentum}
    net = problem.net(3, construction="labels", **settings)
    assert [layer.momentum for layer in net.layers_] == [momentum] * 3
    Z, before = problem.X, problem.X
    for i in range(3):
        assert_allclose(net.rates_["delta_R"][i], problem.family(Z).rates()[2])
        gradient = np.empty_like(Z)
        for at in np.ndindex(Z.shape):
            change = np.zeros_like(Z)
            change[at] = 1e-5
            ahead, behind = (problem.family(Z + s * change).rates()[2] for s in (1, -1))
            gradient[at] = (ahead - behind) / 2e-5
        step = length / problem.alpha * gradient
        Z, before = on_sphere(Z + step + momentum * (Z - before)), Z
    assert_allclose(net.rates_["delta_R"][3], problem.family(Z).rates()[2], rtol=1e-8)


@pytest.mark.filterwarnings("ignore:.* has no layer:UserWarning")
def test_relative_steps_have_no_momentum_and_are_halved_nine_times_at_most():
    problem = Problem("1-D odd")
    plain = problem.net(3, eta=0.5, step="relative").transform(problem.new)
    for rule in ("momentum", "nesterov"):
        net = problem.net(3, eta=0.5, step=rule, momentum=0.0)
        assert_allclose(net.transform(problem.new), plain, atol=1e-14)
    problem = Problem("many rows", epsilon=1.5)
    settings = {"step": "relative", "membership": "weighted_residual"}
    for eta, expected in ((64.0, [2.0]), (1024.0, [2.0]), (2048.0, [])):
        taken = steps_of(problem, problem.net(1, eta=eta, **settings))
        assert_allclose(taken, expected, rtol=1e-9)


# -- blocks of rows -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("construction", "other"),
    [
        ("left_out", {}),
        ("estimated", {}),
        ("labels", {}),
        ("left_out", {"step": "published", "membership": "relu", "eta": 0.05}),
        ("left_out", {"step": "nesterov", "eta": 1.0}),
        ("estimated", {"step": "momentum", "eta": 1.0}),
    ],
)
@pytest.mark.parametrize(
    "case",
    ["few rows", "1-D odd", *slowly(*MANY)],
)
def test_rows_in_blocks_are_the_rows(case, construction, other, monkeypatch):
    problem = Problem(case, "copies")
    before = problem.X.copy()
    # steps so long that some are halved, and rows are moved twice
    settings = {"eta": 64.0, "step": "relative", **other}
    settings["construction"] = construction
    whole = problem.net(3, **settings)
    limit(monkeypatch, BLOCK=1, CACHED=1)
    parts = problem.net(3, **settings)
    for name, values in whole.rates_.items():
        assert_allclose(parts.rates_[name], values, rtol=1e-12)
    assert_allclose(steps_of(problem, parts), steps_of(problem, whole), rtol=1e-12)
    moved = parts.transform(problem.new)
    assert_allclose(moved, whole.transform(problem.new), atol=1e-12)
    assert_array_equal(problem.X, before)


def test_many_classes_have_no_label_code(monkeypatch):
    problem = Problem("many rows")
    limit(monkeypatch, MOST_LABELS=2)
    net = problem.net(construction="left_out")
    expected = problem.family().layer(problem.new, 0.7 / problem.alpha, "coding", 5.0)
    assert_allclose(net.transform(problem.new), expected, atol=1e-11)


# -- array namespaces -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "other"),
    [
        ("many rows", {"step": "relative"}),
        pytest.param("few rows", {"step": "momentum"}, marks=pytest.mark.slow),
        ("1-D odd", {"construction": "labels", "membership": "relu"}),
        pytest.param("1-D few rows", {"step": "nesterov"}, marks=pytest.mark.slow),
    ],
)
def test_precision_and_place_follow_the_rows(xp, dtype, case, other):
    problem = Problem(case, "copies")
    settings = {"eta": 0.5, "construction": "left_out", **other}
    slow = problem.net(2, **settings)
    expected = slow.transform(problem.new)
    problem.X, problem.weights = (
        xp.asarray(a, dtype=dtype) for a in (problem.X, problem.weights)
    )
    net = problem.net(2, **settings)
    moved = net.transform(xp.asarray(problem.new, dtype=dtype))
    assert moved.dtype == getattr(xp, dtype)
    double = dtype == "float64"
    assert_allclose(xp.to_numpy(moved), expected, atol=1e-9 if double else 2e-4)
    rtol = 1e-9 if double else 1e-4
    assert_allclose(net.rates_["delta_R"], slow.rates_["delta_R"], rtol=rtol)


# -- the sphere -----------------------------------------------------------------------


def test_rows_on_the_sphere():
    X = np.array([[3.0, 4.0], [0.0, 0.0], [3e100, 4e100], [3e-100, 4e-100]])
    net = ReduNetTransformer(0, 0.5, fit_intercept=False).fit(X[:2], [0, 1])
    expected = [[0.6, 0.8], [0.0, 0.0], [0.6, 0.8], [0.6, 0.8]]
    assert_allclose(net.transform(X), expected)
    settings = {"fit_intercept": True, "intercept_scaling": 2.0}
    for weights, factor in (([1.0, 1.0], 0.5), ([3.0, 1.0], 0.75)):
        net = ReduNetTransformer(0, 0.5, **settings)
        net.fit(X[:2], [0, 1], sample_weight=weights)
        assert net.intercept_ == pytest.approx(10 * factor**0.5)
        length = (25.0 + net.intercept_**2) ** 0.5
        expected = [[3 / length, 4 / length, net.intercept_ / length], [0, 0, 1]]
        assert_allclose(net.transform(X[:2]), expected, atol=1e-15)
