"""Liftings at the limits: ranges of floats, unusual arguments, memory, parameters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import peak_of

from skredu import ConvolutionalLifting, PolarTransformer

X = np.random.default_rng(0).normal(size=(20, 24))
FILTERS = np.random.default_rng(1).normal(size=(3, 2, 2))
BANKS = ["gaussian", "pca", "kmeans", "dct", FILTERS]


def lifting(filters, **options):
    return ConvolutionalLifting(
        3, 2, signal_shape=(4, 6), filters=filters, random_state=0, **options
    )


# -- ranges ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", ["relu", "soft", "split", "fista", None])
@pytest.mark.parametrize("filters", BANKS, ids=lambda bank: str(bank)[:6])
def test_rows_of_any_size_are_lifted_alike(filters, activation, dtype):
    rows = X.astype(dtype)
    most = np.finfo(dtype).maxexp - 8
    for pooling in (None, 0.1):
        model = lifting(filters, activation=activation, pooling=pooling)
        expected = model.fit_transform(rows)
        for power in (most, 8 - most, most // 2, -most // 2):
            found = model.fit_transform(np.ldexp(rows, power))
            assert found.dtype == dtype
            scaled, atol = np.ldexp(np.asarray(found, float), -power), 1e-12
            assert_allclose(scaled, expected, atol=1e-5 if dtype == "float32" else atol)


def test_rows_of_many_sizes_do_not_disturb_each_other():
    rows = np.ldexp(X, np.linspace(-1000, 1000, 20).astype(int)[:, None])
    model = lifting(FILTERS, threshold=1.0).fit(X)
    alone = np.vstack([model.transform(row[None]) for row in rows])
    assert_array_equal(model.transform(rows), alone)


@pytest.mark.parametrize("power", [-900, -300, 300, 900])
def test_filters_of_any_size_only_scale_the_result(power):
    expected = lifting(FILTERS).fit_transform(X)
    found = lifting(np.ldexp(FILTERS, power)).fit_transform(X)
    assert_allclose(np.ldexp(found, -power), expected, atol=1e-12)
    # what one makes too large the other makes small again
    model = lifting(np.ldexp(FILTERS, power)).fit(X)
    assert_allclose(model.transform(np.ldexp(X, -power)), expected, atol=1e-12)


@pytest.mark.parametrize("pooling", [None, 0.1])
def test_filters_of_any_size_divide_sparse_codes(pooling):
    options = {"activation": "fista", "n_iter": 5, "pooling": pooling}
    expected = lifting(FILTERS, **options).fit_transform(X)
    for power in (-900, 3, 900):
        found = lifting(np.ldexp(FILTERS, power), **options).fit_transform(X)
        if pooling is None:  # otherwise roots of products of codes and responses
            found = np.ldexp(found, power)
        assert_allclose(found, expected, atol=1e-12)
    zeros = lifting(0 * FILTERS, **options).fit_transform(X)
    assert_array_equal(zeros, 0)


def test_results_that_no_float_can_hold_are_refused():
    most = np.finfo(float).max
    filters = np.ones((1, 2, 2))
    with pytest.raises(ValueError, match="X contains values so large that responses"):
        lifting(filters, pooling=None).fit_transform(np.full((1, 24), most))
    with pytest.raises(ValueError, match="Bad filters: they are too large for "):
        lifting(1e300 * filters).fit(X.astype(np.float32))
    model = lifting(1e300 * filters).fit(X)
    with pytest.raises(ValueError, match="Bad filters: they are too large for "):
        model.transform(X.astype(np.float32))
    checks = np.tile([[most, -most], [-most, most]], (4, 4)).reshape(1, -1)
    with pytest.raises(ValueError, match="X contains values so large that interp"):
        PolarTransformer((8, 8), 8, 50).fit_transform(checks)


@pytest.mark.parametrize("threshold", [1e300, 1e39, 50.0])
@pytest.mark.parametrize("activation", ["relu", "soft", "split", "ista", "fista"])
def test_no_response_passes_a_threshold_beyond_all(activation, threshold):
    for rows in (X, X.astype(np.float32), 0 * X):
        model = lifting(FILTERS, activation=activation, threshold=threshold)
        assert_array_equal(model.fit_transform(rows), 0)


# -- odd arguments --------------------------------------------------------------------

DATES = np.arange(24).reshape(2, 12).astype("datetime64[s]")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (ConvolutionalLifting(10**12), "n_filters"),
        (ConvolutionalLifting(10**8, filters="gaussian"), "n_filters"),
        (ConvolutionalLifting(3, "large"), "kernel_size"),
        (ConvolutionalLifting(filters=DATES), "filters"),
        (PolarTransformer(None, 10**12), "n_radii or n_angles"),
        (PolarTransformer(None, 2, 10**12), "n_radii or n_angles"),
        (PolarTransformer((True, 12)), "image_shape"),
    ],
)
def test_odd_arguments_are_refused_by_name(model, name):
    def refused():
        with pytest.raises(ValueError, match=name):
            model.fit(X)

    assert peak_of(refused) < 2**24
    assert not hasattr(model, "n_channels_")


def test_kernels_are_no_larger_than_the_grid():
    for size in (10**9, (10**9, 7), [3, 10**30]):
        model = ConvolutionalLifting(2, size, signal_shape=(4, 6), random_state=0)
        found = model.fit(X).filters_.shape[2:]
        assert found == (3 if size == [3, 10**30] else 4, 6)


@pytest.mark.parametrize(
    ("shape", "kernel"),
    [(1, (1,)), (2, (2,)), (8, (3,)), (24, (9,)), (60, (17,)), ((8, 28), (3, 10))],
)
def test_default_size_of_filters_follows_the_grid(shape, kernel):
    rows = np.random.default_rng(0).normal(size=(3, np.prod(shape)))
    model = ConvolutionalLifting(2, signal_shape=shape, random_state=0).fit(rows)
    assert model.filters_.shape[2:] == kernel


@pytest.mark.parametrize("n_features", [1, 2, 24])
def test_few_patches_have_random_filters_by_default(n_features):
    rows = X[:1, :n_features]
    found = ConvolutionalLifting(200, random_state=0).fit(rows)
    gaussian = ConvolutionalLifting(200, filters="gaussian", random_state=0).fit(rows)
    # the same numbers, drawn from another place of the stream
    assert found.filters_.shape == gaussian.filters_.shape
    assert_allclose(np.linalg.norm(found.filters_, axis=2), 1)
    assert np.all(np.isfinite(found.transform(rows)))

    rows = np.array([[1.0, -1.0, 1.0, -1.0]])  # patches that cancel each other
    model = ConvolutionalLifting(1, 2, filters="kmeans", random_state=0).fit(rows)
    assert_allclose(np.abs(model.filters_), 0.5**0.5)


def test_circles_take_the_memory_of_their_operator_and_of_blocks():
    image = np.random.default_rng(0).random((1, 784)).astype(np.float32)
    model = PolarTransformer(n_radii=100, n_angles=1000)
    operator = 100 * 1000 * 16 * (8 + 4)
    assert peak_of(model.fit, image) < 1.3 * operator
    assert peak_of(lambda: len(model.transform(image))) < 0.6 * operator
    assert model.transform(image).shape == (1, 100_000)
