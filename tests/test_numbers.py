"""Errors name values that are not numbers or that no float can represent."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose
from settings import peak_of

from skredu import (
    InvariantReduNetClassifier,
    MCR2Transformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetClassifier,
    ReduNetTransformer,
    rates,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)) + 3.0 * np.eye(4)[np.arange(20) % 2]
Y = np.arange(20) % 2
NETS = [ReduNetClassifier, ReduNetTransformer, InvariantReduNetClassifier]


@pytest.fixture(autouse=True)
def short_searches():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Layer . has not converged")
        yield


def make(kind, **parameters):
    """Return an estimator with few layers and few steps of searches."""
    few = {"n_layers": 1, "max_iter": 5, "n_iter_no_change": None}
    known = kind().get_params()
    return kind(**{name: few[name] for name in few if name in known}, **parameters)


def answer(model, rows):
    """Return the results of a fitted model for rows."""
    for method in ("decision_function", "transform", "predict"):
        if hasattr(model, method):
            return getattr(model, method)(rows)
    raise AssertionError(method)


# -- gradients, numbers of any kind ---------------------------------------------------


class Tensor(np.ndarray):
    """Array that requires a gradient."""

    requires_grad = True


def test_a_gradient_is_not_dropped_in_silence():
    tensor = X.view(Tensor)
    with pytest.raises(ValueError, match=r"X requires a gradient.*X\.detach\(\)"):
        rates.coding_length(tensor, epsilon=1.0)
    with pytest.raises(ValueError, match=r"weights requires a gradient"):
        rates.coding_rate(X, epsilon=1.0, weights=np.ones(20).view(Tensor))
    with pytest.raises(ValueError, match=r"y requires a gradient"):
        rates.rate_reduction(X, np.ones((20, 1)).view(Tensor), epsilon=1.0)
    with pytest.raises(ValueError, match=r"X requires a gradient"):
        MICLClassifier().fit(tensor, Y)


@pytest.mark.parametrize("kind", [MICLClassifier, MCR2Transformer, *NETS])
def test_a_mask_is_not_dropped_in_silence(kind):
    masked = np.ma.masked_greater(X, 1.0)
    model = make(kind).fit(np.ma.masked_array(X), Y)  # nothing is masked
    for call in (lambda: make(kind).fit(masked, Y), lambda: answer(model, masked)):
        with pytest.raises(ValueError, match="X is a masked array"):
            call()
    with pytest.raises(ValueError, match="y is a masked array"):
        make(kind).fit(X, np.ma.masked_equal(Y, Y[0]))
    with pytest.raises(ValueError, match="sample_weight is a masked array"):
        make(kind).fit(X, Y, sample_weight=np.ma.masked_less(np.arange(len(X)), 3))


@pytest.mark.parametrize("value", [Fraction(1, 2), np.float16(0.5), np.longdouble(0.5)])
@pytest.mark.parametrize("kind", [MICLClassifier, MCR2Transformer, *NETS])
def test_numbers_of_any_kind_are_numbers(kind, value):
    for name in ("epsilon", "eta") if kind in NETS else ("epsilon",):
        model, expected = make(kind, **{name: value}), make(kind, **{name: 0.5})
        found = answer(model.fit(X, Y), X)
        assert found.dtype == np.float64
        assert_allclose(found, answer(expected.fit(X, Y), X))
        assert model.get_params()[name] is value


# -- weights and labels of other shapes -----------------------------------------------


def test_weights_do_not_vanish_beside_rows_in_single_precision():
    rows, weights = X.astype(np.float32), 1e-60 * (1.0 + np.arange(20))
    value = rates.coding_rate(rows, epsilon=1.0, weights=weights)
    expected = rates.coding_rate(rows, epsilon=1.0, weights=1e60 * weights)
    assert_allclose(value, expected, rtol=1e-12)


@pytest.mark.parametrize("weight", [1e-200, 1e-51, 1e51, 1e200])
@pytest.mark.parametrize("kind", [MCR2Transformer, NearestSubspaceClassifier])
def test_weights_out_of_reach_are_named_with_what_is_allowed(kind, weight):
    weights = np.r_[weight, np.ones(19)]
    with pytest.raises(ValueError, match=r"sample_weight must be 0 or from 1e-50 to"):
        make(kind).fit(X, Y, sample_weight=weights)


def test_column_of_labels_is_refused_and_one_of_memberships_is_not():
    for column in (Y[:, None], Y[:, None].astype(str)):
        with pytest.raises(ValueError, match=r"\(n, 1\).*y\.ravel\(\)"):
            rates.rate_reduction(X, column, epsilon=1.0)
    value = rates.rate_reduction(X, np.ones((20, 1)), epsilon=1.0)
    assert_allclose(value, 0.0, atol=1e-12)


@pytest.mark.slow
def test_memory_of_neighbours_does_not_grow_as_weights_fall():
    rows, y = np.random.default_rng(0).normal(size=(2000, 10)), np.arange(2000) % 2
    model = MICLClassifier(1.0, n_neighbors=5)
    weights = np.where(np.arange(2000) < 20, 25.0, 1e-2)  # their mean is a quarter
    model.fit(rows, y, sample_weight=weights)
    # more where blocks of rows are those of weight one
    assert peak_of(model.predict, rows[:1000]) < 60e6


@pytest.mark.parametrize("epsilon", [1e-155, 1e-100, 1.0])
def test_rate_reduction_of_samples_of_all_sizes_is_not_negative(epsilon):
    rng = np.random.default_rng(0)
    for _ in range(50):
        Z = rng.normal(size=(8, 2)) * 10.0 ** rng.uniform(-158, 136, (8, 1))
        for rows in (Z, Z * 10.0 ** rng.uniform(-10, 10, (8, 2))):
            found = rates.rate_reduction(rows, np.arange(8) % 3, epsilon=epsilon)
            assert np.isfinite(found)
            assert found >= 0.0


def test_gradients_and_sums_of_weights_that_are_no_floats_are_named():
    with pytest.raises(ValueError, match=r"gradient is too large for a float"):
        rates.rate_reduction_gradient([[1e-320]], [0], epsilon=1e-320)
    with pytest.raises(ValueError, match=r"Bad weights: their sum is too large"):
        rates.coding_rate(X, epsilon=1.0, weights=np.full(20, 1e308))


# -- range ----------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [1e155, 1e-155, 1e300, 1e-300, 1e51, 1e-51])
@pytest.mark.parametrize("kind", [*NETS, MCR2Transformer])
def test_distortion_out_of_reach_is_named_with_what_is_allowed(kind, epsilon):
    with pytest.raises(ValueError, match=r"'epsilon'.*\[1e-50, 1e\+50\]"):
        kind(epsilon=epsilon).fit(X, Y)


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [1e-50, 1e-20, 1e50])
@pytest.mark.parametrize("step", ["relative", "published"])
@pytest.mark.parametrize("kind", NETS)
def test_distortion_of_any_other_size_gives_features(kind, step, epsilon):
    for dtype in (np.float64, np.float32):
        net = make(kind, epsilon=epsilon, step=step).set_params(n_layers=2)
        net.fit(X.astype(dtype), Y)
        assert all(np.isfinite(values).all() for values in net.rates_.values())
        assert np.isfinite(net.transform(X.astype(dtype))).all()


@pytest.mark.parametrize("epsilon", [1e-50, 1e-20, 1e-8, 1e8, 1e50])
def test_distortion_of_any_other_size_gives_a_map(epsilon):
    model = MCR2Transformer(2, epsilon=epsilon, max_iter=5).fit(X, Y)
    assert_allclose(np.linalg.norm(model.transform(X), axis=1), 1.0)
    assert np.isfinite(model.rate_reduction_)


def test_an_intercept_out_of_range_is_named():
    for scaling, c in ((1e-50, 1e-290), (1e50, 1e290)):
        net = ReduNetTransformer(fit_intercept=True, intercept_scaling=scaling)
        with pytest.raises(ValueError, match=r"intercept_scaling=.* positive, finite"):
            net.fit(c * X, Y)


SMALL = [
    MICLClassifier(),
    MICLClassifier(n_neighbors=3),
    MICLClassifier(kernel="rbf"),
    MICLClassifier(kernel="cosine"),
    ReduNetClassifier(1),
    InvariantReduNetClassifier(1),
    MCR2Transformer(max_iter=5),
    NearestSubspaceClassifier(1, assume_centered=False),
]


@pytest.mark.parametrize("c", [1e-200, 1e-60, 1e60, 1e200])
@pytest.mark.parametrize("model", SMALL, ids=str)
def test_model_of_rows_that_single_precision_cannot_hold_answers_those_it_can(model, c):
    model.fit(c * X, Y)
    rows = (min(c, 1.0) * X).astype(np.float32)  # zeros, if the training rows are small
    expected = answer(model, rows.astype(np.float64))
    assert_allclose(answer(model, rows), expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("c", [1e-290, 1e290])
def test_rows_near_both_ends_have_the_features_of_those_between(c):
    for kind in (ReduNetTransformer, MCR2Transformer):
        expected = make(kind).fit(X, Y).transform(X)
        assert_allclose(make(kind).fit(c * X, Y).transform(c * X), expected, atol=1e-6)


def test_rows_of_all_sizes_at_once_have_the_same_direction():
    sizes = np.logspace(-200, 200, len(X))[:, None]
    net = ReduNetTransformer(0, fit_intercept=False).fit(X, Y)
    assert_allclose(net.transform(sizes * X), net.transform(X), atol=1e-12)
    net = ReduNetTransformer().fit(np.full((2, 6), 1e153), [0, 1])
    assert np.isfinite(net.transform(np.ones((2, 6), dtype=np.float32))).all()


def test_a_start_of_any_size_is_the_same_and_rows_too_small_for_a_map_are_named():
    with pytest.raises(ValueError, match=r"X has a root mean square of .*scale"):
        MCR2Transformer().fit(1e-318 * X, Y)
    start = np.array([[1.0, 2.0, -1.0, 0.5]])
    options = {"epsilon": 0.5, "activation": None, "max_iter": 5}
    one = MCR2Transformer(1, init=start, **options).fit(X, Y).transform(X)
    for size in (1e-300, 1e300):
        other = MCR2Transformer(1, init=size * start, **options).fit(X, Y)
        assert_allclose(other.transform(X), one, rtol=1e-6, atol=1e-9)
