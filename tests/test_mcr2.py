"""MCR2Transformer: objective, properties and errors."""

import warnings

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import slowly
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skredu import MCR2Transformer
from skredu.coding._choose import Likelihood
from skredu.datasets import make_subspaces
from skredu.rates import class_coding_rate, coding_rate, rate_reduction
from skredu.representation._left_out import LeftOut

SETTINGS = {
    "default": {},
    "lda": {"init": "lda"},
    "random": {"init": "random", "random_state": 0},
    "origin": {"fit_intercept": False, "n_components": 4},
    "left out": {"objective": "left_out"},
    "deep": {"n_layers": 2, "activation": "relu", "n_components": 4},
}
# Rounding grows along the path of a search (measured: to 6e-8 in 80 iterations).
PATH = 1e-5


every = pytest.mark.parametrize("setting", SETTINGS)


def make(setting, **options):
    """Construct a transformer with some settings."""
    return MCR2Transformer(**SETTINGS[setting] | options)


@pytest.fixture(scope="module")
def wine():
    """Return a standardised table and classes."""
    X, y = load_wine(return_X_y=True)
    return StandardScaler().fit_transform(X), y


# -- the objective --------------------------------------------------------------------


def exact(X, W, y, weights, epsilon):
    """Return the rate reduction of the features of rows for a map."""
    Y = X @ W.T
    Z = Y / np.linalg.norm(Y, axis=1, keepdims=True)
    digits = {"weights": weights, "digits": 30}
    return float(oracle.rate_reduction(Z, y, epsilon=epsilon, **digits))


# the last one is beyond what inverses can do, and taken by singular values
@pytest.mark.filterwarnings("ignore:.*not converged")
@pytest.mark.parametrize("epsilon", [2.0, 0.3, 1e-3, 1e-5])
def test_search_starts_at_the_formula_and_ends_where_no_way_leads_up(epsilon):
    rng = np.random.default_rng(0)
    y, weights = np.sort(np.append(np.arange(39) % 2, 2)), rng.uniform(0.5, 2, 40)
    X = rng.normal(size=(40, 4)) + 2.0 * rng.normal(size=(3, 4))[y]
    init = rng.normal(size=(2, 4))
    settings = {"epsilon": epsilon, "fit_intercept": False, "tol": 0.0}
    model = MCR2Transformer(init=init, max_iter=500, **settings)
    model.fit(X, y, sample_weight=weights)
    W = model.components_
    values = [exact(X, V, y, weights, epsilon) for V in (init, W)]
    assert_allclose(model.rates_["delta_R"], values, rtol=1e-9)
    assert values[1] > max(4 * values[0], 0.01)
    if epsilon < 0.1:  # a class on a line makes the way steep beside the top
        return

    def steepness(W):
        gradient, step = np.empty(W.shape), 1e-5 * np.linalg.norm(W)
        for i in np.ndindex(W.shape):
            change = np.zeros_like(W)
            change[i] = step
            ends = [exact(X, W + s * change, y, weights, epsilon) for s in (1, -1)]
            gradient[i] = (ends[0] - ends[1]) / (2 * step)
        return np.linalg.norm(gradient) * np.linalg.norm(W)

    assert steepness(W) < 1e-6 * steepness(init)


def length(X, weights, m, epsilon):
    """Return the nats of weighted rows without those of their mean."""
    n = weights.sum()
    roots = np.sqrt(weights)[:, None] * (X - weights @ X / n)
    sigma = np.linalg.svd(roots, compute_uv=False)
    return (n + m) / 2 * np.log(1 + m / (n * epsilon**2) * sigma**2).sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_costs_of_left_out_samples_are_differences_of_lengths(weighted):
    rng, sizes, m = np.random.default_rng(0), [7, 9, 6, 1], 3
    n, ends = sum(sizes), np.cumsum(sizes)
    slices = [slice(b - a, b) for a, b in zip(sizes, ends, strict=True)]
    y = np.repeat(np.arange(4), sizes)
    weights = rng.uniform(0.3, 2.0, n) if weighted else np.ones(n)
    Z = rng.normal(size=(n, m)) + 1.2 * np.eye(4)[:, :m][y]
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    objective, scores = LeftOut(slices, weights, m, 0.5), np.zeros((n, 4))
    for i in range(n):
        rest = weights.copy()
        rest[i] = 0.0
        for j in range(4):
            X, w = Z[y == j], rest[y == j]
            if w.sum() == 0.0:  # nothing is left
                continue
            joined = length(np.vstack([X, Z[i]]), np.append(w, 1.0), m, 0.5)
            scores[i, j] = np.log(w.sum()) - joined + length(X, w, m, 0.5)
    value, gradient = objective.of_rows(Z)
    known = y < 3
    likelihood = Likelihood(scores[known], y[known], weights[known])
    likelihood.least = 0.0
    theta, _ = likelihood.maximum(None, fit_labels=True)
    assert value == pytest.approx(-likelihood.loss(theta)[0], rel=1e-6)
    steps = 1e-5 * rng.normal(size=(5, n, m))
    for step in steps:
        change = objective.of_rows(Z + step)[0] - objective.of_rows(Z - step)[0]
        assert_allclose(2.0 * np.sum(gradient * step), change, rtol=1e-4, atol=1e-12)


def test_left_out_samples_are_predicted_better_after_two_iterations(wine):
    X, y = wine
    model = MCR2Transformer(3).fit(X, y)
    again = MCR2Transformer(3, objective="left_out").fit(X, y)
    assert again.n_iter_ == model.n_iter_ + 2
    slices = [slice(*np.searchsorted(y, [j, j + 1])) for j in range(3)]  # y is sorted
    objective = LeftOut(slices, np.ones(len(X)), 3, 1.0)
    values = [objective.of_rows(m.transform(X))[0] for m in (model, again)]
    assert values[1] > values[0]
    single = MCR2Transformer(objective="left_out").fit(X[:9], np.r_[[0] * 8, 1])
    assert np.isfinite(single.transform(X)).all()


@pytest.mark.parametrize("shape", [(30, 4), (6, 20)])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_map_of_rows_of_any_spread_is_where_it_was_given(shape, fit_intercept):
    rng = np.random.default_rng(0)
    X = rng.normal(size=shape) @ np.diag(np.geomspace(1e-4, 1e4, shape[1]))
    weights, y = rng.uniform(1, 2, size=shape[0]), np.arange(shape[0]) % 3
    settings = {"fit_intercept": fit_intercept, "epsilon": 0.5}
    model = MCR2Transformer(3, **settings).fit(X, y, sample_weight=weights)
    again = MCR2Transformer(init=model.components_, max_iter=1, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        again.fit(X, y, sample_weight=weights)
    if not fit_intercept:
        assert_allclose(again.rates_["delta_R"][0], model.rate_reduction_, rtol=1e-7)
        assert_allclose(model.intercept_, 0.0)
    mapped = X @ model.components_.T + model.intercept_
    Z = mapped / np.linalg.norm(mapped, axis=1, keepdims=True)
    assert_allclose(model.transform(X), Z, atol=1e-9)


def test_rows_that_a_map_takes_to_the_origin_have_no_part():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(9, 3)), np.repeat([0, 1, 2], [5, 3, 1])
    X[[2, 6]] = 0.0
    init = rng.normal(size=(3, 3))
    settings = {"init": init, "epsilon": 0.5, "fit_intercept": False}
    model = MCR2Transformer(**settings).fit(X, y)
    assert np.isfinite(model.components_).all()
    assert_allclose(model.transform(X)[[2, 6]], 0.0)
    assert model.rate_reduction_ > model.rates_["delta_R"][0]


# -- what is learned ------------------------------------------------------------------


@every
def test_rates_are_those_of_the_features_of_training_rows(setting, wine):
    X, y = wine
    model = make(setting, epsilon=0.7).fit(X, y)
    Z = model.transform(X)
    assert_allclose(np.linalg.norm(Z, axis=1), 1.0)
    assert model.rate_reduction_ == pytest.approx(rate_reduction(Z, y, epsilon=0.7))
    assert model.rates_["R"][-1] == pytest.approx(coding_rate(Z, epsilon=0.7))
    within = class_coding_rate(Z, y, epsilon=0.7)
    assert model.rates_["Rc"][-1] == pytest.approx(within)
    assert np.all(np.diff(model.rates_["delta_R"]) > 0.0)
    assert len(model.rates_["R"]) == len(model.layers_) + 1
    assert len(model.components_) == SETTINGS[setting].get("n_components", 6)
    mapped = X @ model.components_.T + model.intercept_
    assert np.mean(np.sum(mapped**2, axis=1)) == pytest.approx(1.0)
    assert model.n_iter_ > 0


@pytest.mark.parametrize("init", ["pca", "lda", "random"])
def test_subspaces_become_orthogonal(init):
    # three planes in general position in R^6 can be made orthogonal by a linear map
    X, y = make_subspaces(
        60, n_features=6, dimensions=(2, 2, 2), noise=0.0, random_state=0
    )
    settings = {"epsilon": 0.5, "tol": 1e-9, "max_iter": 1000, "fit_intercept": False}
    model = MCR2Transformer(6, init=init, random_state=0, **settings).fit(X, y)
    Z = model.transform(X)
    assert np.max(np.abs((Z @ Z.T)[y[:, None] != y])) < 0.02
    # R of an even spread over six directions, less that over two of them
    best = 3 * np.log(1 + 1 / 0.25) - np.log(1 + 3 / 0.25)
    assert model.rate_reduction_ == pytest.approx(best, rel=0.02)
    assert model.rate_reduction_ < best


def test_layers_are_kept_while_the_rate_reduction_rises(wine):
    X, y = wine
    one = MCR2Transformer(4).fit(X, y)
    deep = MCR2Transformer(4, n_layers=40).fit(X, y)
    assert 1 < len(deep.layers_) < 40
    assert_allclose(deep.components_, one.components_)
    gains = np.diff(deep.rates_["delta_R"]) / deep.rates_["delta_R"][:-1]
    assert np.all(gains[1:] > deep.tol)
    # without a constant a second map adds to the first no more than iterations
    flat = MCR2Transformer(4, n_layers=2, fit_intercept=False, tol=1e-6, max_iter=999)
    assert flat.fit(X, y).rate_reduction_ < 1.001 * flat.rates_["delta_R"][1]
    assert_array_equal(flat.intercept_, np.zeros(4))
    assert deep.rate_reduction_ > 1.05 * one.rate_reduction_


@pytest.mark.parametrize("n_components", [2, 4])
def test_discriminant_start_has_the_means_and_then_the_longest_axes(n_components):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [10, 30])
    X = rng.normal(size=(40, 6)) * np.logspace(0.0, -1.0, 6)
    X[:, 5] += np.where(y == 0, 1.0, 0.5)
    white, sizes, _ = np.linalg.svd(X, full_matrices=False)
    white *= 40**0.5
    B = 1e-3 * np.diag(sizes / sizes[0]) ** 2
    for j in range(2):
        B += np.mean(y == j) * np.outer(*2 * [white[y == j].mean(axis=0)])
    start = white @ np.linalg.eigh(B)[1][:, : -n_components - 1 : -1]
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    model = MCR2Transformer(
        n_components, epsilon=0.7, init="lda", fit_intercept=False, max_iter=500
    ).fit(X, y)
    first = rate_reduction(start, y, epsilon=0.7)
    assert model.rates_["delta_R"][0] == pytest.approx(first)


# -- weights, order, scale, rotations, few rows ---------------------------------------


@every
def test_fewer_rows_than_features_are_those_of_their_span(setting):
    rng = np.random.default_rng(0)
    low, y = rng.normal(size=(18, 17)), np.arange(18) % 3
    basis = np.linalg.qr(rng.normal(size=(300, 17)))[0].T
    X = low @ basis
    model, small = make(setting).fit(X, y), make(setting).fit(low, y)
    # as many rows as dimensions: all directions of the class means are alike, so that
    # "lda" starts with any rotation of them, and features are the same but for it
    Z, low = model.transform(X), small.transform(low)
    assert_allclose(Z @ Z.T, low @ low.T, atol=PATH)
    # what a row has outside the span of the training rows has no part
    outside = rng.normal(size=300)
    outside -= basis.T @ (basis @ outside)
    assert_allclose(model.transform(X + outside), model.transform(X), atol=PATH)


def test_components_beyond_the_rank_are_zero(wine):
    rows = wine[0][:, [0, 1, 0, 1]]
    Z = MCR2Transformer(5).fit(rows, wine[1]).transform(rows)
    assert Z.shape[1] == 5
    assert_allclose(Z[:, 3:], 0.0)


def test_warm_start_goes_on_from_the_maps_of_the_call_before(wine):
    X, y = wine
    model = MCR2Transformer(4, warm_start=True, n_layers=2).fit(X, y)
    before, n_iter = model.rates_["delta_R"], model.n_iter_
    model.set_params(n_layers=3).fit(X, y)
    assert model.rates_["delta_R"][0] == pytest.approx(before[1])
    assert np.all(model.rates_["delta_R"][1:] >= before[1] - 1e-12)
    assert len(model.layers_) >= 2
    first = MCR2Transformer(4, warm_start=True).fit(X, y)
    cold = first.n_iter_
    assert first.fit(X[::2] * 1.01, y[::2]).n_iter_ < cold < n_iter
    with pytest.raises(ValueError, match="n_components=3 must be 4 as in the previous"):
        first.set_params(n_components=3).fit(X, y)


def test_too_few_iterations_are_said(wine):
    with pytest.warns(ConvergenceWarning, match="not converged in max_iter=2") as seen:
        model = MCR2Transformer(max_iter=2, tol=0.0).fit(*wine)
    assert seen[0].filename == __file__
    assert model.n_iter_ == 2


# -- bad input, state -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 15}, r"n_components=15 must be at most 14.* n_features=13"),
        ({"n_components": 14, "fit_intercept": False}, "must be at most 13"),
        ({"init": np.ones((2, 12))}, r"init must have .* found \(2, 12\)"),
        ({"init": np.ones((2, 13)), "n_components": 3}, "n_components=3"),
        ({"init": np.zeros((2, 13))}, "init must not map every sample to zero"),
        ({"init": np.full((2, 13), np.nan)}, "init contains NaN"),
    ],
)
def test_bad_parameters_are_named_and_change_nothing(parameters, message, wine):
    model = MCR2Transformer().fit(*wine)
    maps, rate = model.components_, model.rate_reduction_
    with pytest.raises(ValueError, match=message):
        model.set_params(**parameters).fit(*wine)
    assert model.components_ is maps
    assert model.rate_reduction_ == rate
    fresh = MCR2Transformer(**parameters)
    with pytest.raises(ValueError, match=message):
        fresh.fit(*wine)
    assert set(vars(fresh)) == set(fresh.get_params())
    with pytest.raises(ValueError, match="not fitted"):
        fresh.transform(wine[0])


def test_few_rows_of_many_features_make_no_square_matrix():
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    X = (rng.normal(size=(30, 20_000)) + y[:, None]).astype(np.float32)
    model = MCR2Transformer().fit(X, y)  # a square matrix would take 1.6 GB
    assert model.transform(X[:2]).dtype == np.float32
    numbers = sum(part.size for layer in model.layers_ for part in layer.values())
    assert numbers == 6 * 20_001


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_shortest_samples_with_given_features(fit_intercept, dtype, wine):
    X, y = (a.astype(dtype) if a.dtype.kind == "f" else a for a in wine)
    model = MCR2Transformer(4, fit_intercept=fit_intercept).fit(X, y)
    Z = model.transform(X)
    back = model.inverse_transform(Z)
    tolerance = {"atol": 1e-10 if dtype == "float64" else 1e-4}
    assert back.dtype == dtype
    assert_allclose(model.transform(back), Z, **tolerance)
    # in the span of the components, and mapped to norm one: what the features show
    W, b = model.components_, model.intercept_
    assert_allclose(back @ np.linalg.pinv(W) @ W, back, **tolerance)
    assert_allclose(np.linalg.norm(back @ W.T + b, axis=1), 1.0, **tolerance)
    with pytest.raises(ValueError, match="the 4 features that transform returns"):
        model.inverse_transform(X)
    assert not hasattr(MCR2Transformer(n_layers=2), "inverse_transform")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "setting", ["float32", "lda", *slowly("deep", "tiny distortion")]
)
def test_namespaces_are_kept(setting, xp, wine):
    dtype = "float32" if setting == "float32" else "float64"
    X, y = wine[0].astype(dtype), wine[1]
    settings = SETTINGS | {"tiny distortion": {"epsilon": 1e-4, "max_iter": 5}}
    settings |= {"float32": {}}
    whole = MCR2Transformer(**settings[setting]).fit(X, y, sample_weight=y + 1.0)
    rows, weights = xp.asarray(X), xp.asarray(y + 1.0)
    model = MCR2Transformer(**settings[setting]).fit(rows, y, sample_weight=weights)
    Z, tolerance = model.transform(rows), 1e-5 if dtype == "float32" else 1e-6
    assert Z.dtype == rows.dtype
    assert Z.device == model.components_.device == rows.device
    assert_allclose(xp.to_numpy(Z), whole.transform(X), atol=tolerance)
    assert_allclose(model.rate_reduction_, whole.rate_reduction_, rtol=tolerance)
    if model.n_layers == 1:
        back = xp.to_numpy(model.inverse_transform(Z))
        expected = whole.inverse_transform(whole.transform(X))
        assert_allclose(back, expected, atol=10 * tolerance)
    again = model.set_params(warm_start=True).fit(rows, y, sample_weight=weights)
    assert again.rate_reduction_ >= whole.rate_reduction_ * (1.0 - 1e-6)
