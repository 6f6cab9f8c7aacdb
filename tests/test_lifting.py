"""ConvolutionalLifting compared with loops over all points and taps."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import peak_of
from sklearn.decomposition import SparseCoder
from sklearn.pipeline import make_pipeline

from skredu import ConvolutionalLifting, InvariantReduNetClassifier
from skredu.datasets import make_shifted_signals

GRIDS = {  # grid, channels, kernel
    "line": ((7,), 1, (3,)),
    "channels": ((6,), 3, (6,)),
    "image": ((5, 4), 2, (3, 2)),
    "point": ((1, 1), 2, (1, 1)),
    "volume": ((3, 4, 2), 1, (2, 3, 1)),
}


def signals(name, n=4, dtype=float, seed=0):
    grid, channels, _ = GRIDS[name]
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, channels, *grid)).astype(dtype)


def flat(X):
    return X.reshape(len(X), -1)


def slow(X, filters):
    """Return the cyclic cross-correlation, by loops over points and taps."""
    grid = X.shape[2:]
    Y = np.zeros((len(X), len(filters), *grid))
    for t in np.ndindex(grid):
        for s in np.ndindex(filters.shape[2:]):
            place = tuple((a + b) % size for a, b, size in zip(t, s, grid, strict=True))
            at = (slice(None), slice(None), *place)
            Y[(slice(None), slice(None), *t)] += (
                X[at] @ filters[(slice(None), slice(None), *s)].T
            )
    return Y


def slow_patches(X, kernel):
    """Return all patches of all signals as rows, with one channel after the other."""
    grid, rows = X.shape[2:], []
    for x in X:
        for t in np.ndindex(grid):
            index = [
                np.arange(a, a + k) % g for a, k, g in zip(t, kernel, grid, strict=True)
            ]
            rows.append(x[(slice(None), *np.ix_(*index))].ravel())
    return np.array(rows)


# -- responses ------------------------------------------------------------------------


def responses(filters, grid):
    """Return a lifting that returns the responses to given filters."""
    return ConvolutionalLifting(
        signal_shape=grid, filters=filters, activation=None, pooling=None
    )


@pytest.mark.parametrize("name", GRIDS)
def test_responses_are_the_sums_of_the_definition(name):
    X, kernel = signals(name), GRIDS[name][2]
    filters = np.random.default_rng(1).normal(size=(3, X.shape[1], *kernel))
    found = responses(filters, X.shape[2:]).fit_transform(flat(X))
    assert_allclose(found, flat(slow(X, filters)), atol=1e-13)


@pytest.mark.parametrize("size", [(3,), (290,), (17, 1), (16, 16)])
def test_small_and_large_filters_have_the_same_responses(size):
    # products of matrices are taken for small filters, transforms for large ones
    grid = (300,) if len(size) == 1 else (17, 16)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2, 2, *grid))
    filters = rng.normal(size=(4, 2, *size))
    found = responses(filters, grid).fit_transform(flat(X))
    assert_allclose(found, flat(slow(X, filters)), atol=1e-11)


def test_memory_of_a_single_row_is_bounded():
    # patches of this row would take 1.3 GB
    X = np.random.default_rng(0).normal(size=(1, 16 * 32 * 32 * 16))
    model = responses(np.ones((1, 16, 4, 4, 4)), (32, 32, 16)).fit(X)
    assert peak_of(lambda: len(model.transform(X))) < 2**27


ACTIVATIONS = {
    None: lambda y, t: y,
    "relu": lambda y, t: np.where(y > t, y - t, 0),
    "soft": lambda y, t: np.where(y > t, y - t, np.where(y < -t, y + t, 0)),
    "split": lambda y, t: np.concatenate(
        [np.where(y > t, y - t, 0), np.where(y < -t, -y - t, 0)], axis=1
    ),
}


def slow_average(Z, widths):
    """Return averages with Gaussian weights over all shifts with positive weight."""
    for axis, width in enumerate(widths, 2):
        steps = np.arange(-40, 41)
        weights = np.exp(-0.5 * (steps / width) ** 2) * (np.abs(steps) <= 4 * width)
        parts = [
            w * np.roll(Z, step, axis) for step, w in zip(steps, weights, strict=True)
        ]
        Z = np.sum(parts, axis=0) / np.sum(weights)
    return Z


@pytest.mark.parametrize("pooling", [None, 0.0, 0.5])
@pytest.mark.parametrize("threshold", [0.0, 0.7])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nonlinearity_of_responses(activation, threshold, pooling, dtype):
    X = signals("image", dtype=dtype)
    model = ConvolutionalLifting(
        3, (3, 2), signal_shape=(5, 4), activation=activation, threshold=threshold,
        pooling=pooling, random_state=0,
    )  # fmt: skip
    Z = model.fit_transform(flat(X))
    Y = slow(X, model.filters_)
    size = np.sqrt(np.mean(Y**2, axis=(1, 2, 3), keepdims=True))
    expected = ACTIVATIONS[activation](Y, threshold * size)
    if pooling is not None:
        expected = np.sign(expected) * np.sqrt(np.abs(expected) * size)
    if pooling:
        expected = slow_average(expected, (1.5, 1.0))
    assert Z.dtype == dtype
    tol = 1e-7 if pooling is not None and dtype == "float64" else 1e-13
    tol = tol if dtype == "float64" else 3e-3
    assert_allclose(Z, flat(expected), atol=tol)
    assert Z.shape[1] == model.n_channels_ * 20


SPARSE = {"ista": 3000, "fista": 600}


def atoms(filters, grid):
    """Return all shifts of all filters as rows, in the order of the codes."""
    rows = []
    for w in filters:
        padded = np.zeros((len(w), *grid))
        padded[(slice(None), *map(slice, w.shape[1:]))] = w
        axes = tuple(range(1, padded.ndim))
        rows += [np.roll(padded, t, axes).ravel() for t in np.ndindex(grid)]
    return np.array(rows)


@pytest.mark.parametrize("activation", SPARSE)
@pytest.mark.parametrize("name", ["line", "channels", "image"])
def test_sparse_codes_are_those_of_the_lasso(name, activation):
    X, kernel = signals(name), GRIDS[name][2]
    filters = np.random.default_rng(1).normal(size=(3, X.shape[1], *kernel))
    model = ConvolutionalLifting(
        signal_shape=X.shape[2:], filters=filters, activation=activation,
        n_iter=SPARSE[activation], threshold=0.5, pooling=None,
    )  # fmt: skip
    found = model.fit_transform(flat(X))
    D, rows = atoms(filters, X.shape[2:]), flat(X)
    for row, codes in zip(rows, found, strict=True):
        alpha = 0.5 * np.sqrt(np.mean((D @ row) ** 2))
        coder = SparseCoder(
            D, transform_algorithm="lasso_lars", transform_alpha=alpha,
            transform_max_iter=100_000,
        )  # fmt: skip
        expected = coder.transform(row[None])[0]
        costs = [
            0.5 * np.sum((row - z @ D) ** 2) + alpha * np.abs(z).sum()
            for z in (codes, expected)
        ]
        assert costs[0] <= costs[1] * (1.0 + 1e-8)
        atol = 1e-4 if activation == "fista" else 1e-8
        assert_allclose(codes, expected, atol=atol)


@pytest.mark.parametrize("activation", SPARSE)
def test_sparse_codes_follow_shifts_and_begin_with_soft_thresholds(activation, dtype):
    X = signals("image", dtype=dtype)
    options = {
        "signal_shape": (5, 4), "filters": "gaussian", "random_state": 0,
        "threshold": 0.7,
    }  # fmt: skip
    tol = 1e-12 if dtype == "float64" else 1e-5
    for pooling in (None, 0.3):
        model = ConvolutionalLifting(
            3, (3, 2), activation=activation, n_iter=7, pooling=pooling, **options
        )
        Z = model.fit_transform(flat(X)).reshape(-1, 3, 5, 4)
        assert Z.dtype == dtype
        shifted = model.transform(flat(np.roll(X, (1, 3), (2, 3))))
        assert_allclose(shifted, flat(np.roll(Z, (1, 3), (2, 3))), atol=tol)
    first = ConvolutionalLifting(
        3, (3, 2), activation=activation, n_iter=1, pooling=None, **options
    ).fit_transform(flat(X))
    soft = ConvolutionalLifting(
        3, (3, 2), activation="soft", pooling=None, **options
    ).fit_transform(flat(X))
    largest = np.linalg.norm(atoms(model.filters_, (5, 4)), 2) ** 2
    assert_allclose(first * largest, soft, atol=1e-12 if dtype == "float64" else 1e-4)


@pytest.mark.parametrize("activation", [None, "soft", "split"])
@pytest.mark.parametrize("filters", ["gaussian", "kmeans"])
def test_signals_are_recovered_from_their_responses(filters, activation, dtype):
    X = np.random.default_rng(0).normal(size=(4, 2 * 6 * 7)).astype(dtype)
    model = ConvolutionalLifting(
        5, 3, signal_shape=(6, 7), filters=filters, activation=activation,
        threshold=0.0, pooling=None, random_state=0,
    ).fit(X)  # fmt: skip
    most = 40 if dtype == "float32" else 900
    for power in (0, most, -most):
        rows = np.ldexp(X, power)
        Z = model.transform(rows)
        found = model.inverse_transform(Z)
        assert (found.dtype, type(found)) == (dtype, np.ndarray)
        atol = 2e-5 if dtype == "float32" else 1e-13
        scaled = np.ldexp(model.transform(found), -power)
        assert_allclose(scaled, np.ldexp(Z, -power), atol=atol)
        if filters == "gaussian":
            assert_allclose(np.ldexp(found, -power), X, atol=atol)
        else:  # no filter responds to the sum of the means of both channels
            assert_allclose(np.ldexp(found.sum(axis=1), -power), 0, atol=10 * atol)


def test_other_channels_are_projected_on_responses_to_signals():
    X = np.random.default_rng(0).normal(size=(3, 20))
    model = ConvolutionalLifting(3, 5, activation=None, pooling=None, random_state=0)
    Z = model.fit(X).transform(X) + np.random.default_rng(1).normal(size=(3, 60))
    matrix = model.transform(np.eye(20)).T  # responses are linear
    expected = np.linalg.lstsq(matrix, Z.T, rcond=1e-10)[0].T
    assert_allclose(model.inverse_transform(Z), expected, atol=1e-12)
    with pytest.raises(ValueError, match="X must have the 60 features that transform"):
        model.inverse_transform(X)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"threshold": 0.1},
        {"pooling": 0.0},
        {"pool_size": 2},
        {"activation": "relu"},
    ],
)
def test_lost_responses_have_no_inverse(options):
    kept = {"activation": "soft", "threshold": 0.0, "pooling": None, "random_state": 0}
    assert hasattr(ConvolutionalLifting(**kept), "inverse_transform")
    model = ConvolutionalLifting(
        **({**kept, **options} if options else {"random_state": 0})
    )
    assert not hasattr(model, "inverse_transform")
    with pytest.raises(AttributeError, match="inverse_transform") as error:
        _ = model.inverse_transform
    assert "needs all responses" in str(error.value.__cause__ or error.value)
    # later changes of a parameter do not matter
    X = np.random.default_rng(0).normal(size=(3, 10))
    fitted = ConvolutionalLifting(2, **kept).fit(X)
    fitted.set_params(**options or {"activation": "relu"})
    assert_allclose(fitted.inverse_transform(fitted.transform(X)).shape, X.shape)
    model.fit(X).set_params(**kept, pool_size=None)
    assert not hasattr(model, "inverse_transform")


@pytest.mark.parametrize("size", [3, 24])
def test_memory_beside_input_and_result_does_not_grow_with_the_rows(size):
    rng = np.random.default_rng(0)
    model = ConvolutionalLifting(4, size, signal_shape=(24, 24), random_state=0)
    model.fit(rng.normal(size=(1, 576)))
    rows = (rng.normal(size=(n, 576)) for n in (400, 1600))
    peaks = [peak_of(model.transform, X) for X in rows]
    assert peaks[1] < 1.1 * peaks[0]
    width = max(
        4 * 2**20, 8 * 8 * 576 * max(size**2 + 4 if size == 3 else 0, 2 + 4 * 4)
    )
    assert peaks[1] < 1.5 * width


POOLS = {"mean": np.mean, "max": np.max, "share": lambda cell: np.mean(cell > 0)}


def slow_pool(Z, sizes, by):
    """Return a statistic of each cell, by loops over cells."""
    coarse = [side // size for side, size in zip(Z.shape[2:], sizes, strict=True)]
    found = np.zeros((*Z.shape[:2], *coarse))
    for index in np.ndindex(found.shape):
        cell = [
            slice(size * place, size * (place + 1))
            for place, size in zip(index[2:], sizes, strict=True)
        ]
        found[index] = POOLS[by](Z[(*index[:2], *cell)])
    return found


@pytest.mark.parametrize("by", POOLS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("name", "pool_size", "sizes"),
    [
        ("channels", 3, (3,)),
        ("image", (5, 2), (5, 2)),
        ("image", 1, (1, 1)),
        ("volume", (1, 2, 2), (1, 2, 2)),
    ],
)
def test_cells_of_a_coarse_grid(name, pool_size, sizes, activation, by):
    dtype = np.dtype("float32" if activation == "soft" else "float64")
    X, (grid, _, kernel) = signals(name, dtype=dtype), GRIDS[name]
    options = {
        "kernel_size": kernel, "signal_shape": grid, "activation": activation,
        "pooling": None if by == "share" else 0.3, "random_state": 0,
    }  # fmt: skip
    fine = ConvolutionalLifting(3, **options).fit_transform(flat(X))
    options["pooling"] = 0.3  # no effect on shares
    model = ConvolutionalLifting(3, **options, pool_size=pool_size, pool_by=by)
    found = model.fit_transform(flat(X))
    expected = slow_pool(fine.reshape(len(X), -1, *grid), sizes, by)
    assert found.dtype == dtype
    assert found.signal_shape == model.coarse_shape_ == expected.shape[2:]
    assert_allclose(found, flat(expected), atol=1e-6 if dtype == "float32" else 1e-14)
    names = model.get_feature_names_out()
    assert len(names) == found.shape[1]
    last = "_".join(str(side - 1) for side in model.coarse_shape_)
    assert names[-1] == f"convolutionallifting{model.n_channels_ - 1}_at_{last}"
    frame = model.set_output(transform="pandas").transform(flat(X))
    after = ConvolutionalLifting(1, 1, filters="dct").fit(frame)
    assert after.signal_shape_ == found.signal_shape


@pytest.mark.parametrize("by", POOLS)
def test_shifts_by_cells_shift_the_coarse_grid_and_nets_do_not_see_them(by):
    X, y = make_shifted_signals(15, n_timesteps=24, random_state=0)
    lifting = ConvolutionalLifting(4, 5, pool_size=6, pool_by=by, random_state=0)
    model = make_pipeline(lifting, InvariantReduNetClassifier(0)).fit(X, y)
    assert model[-1].signal_shape_ == (4,)
    Z = model[0].transform(X).reshape(-1, 4, 4)
    proba = model.predict_proba(X)
    for cells in (1, 2, 3):
        moved = np.roll(X, 6 * cells, axis=1)
        found = model[0].transform(moved).reshape(-1, 4, 4)
        assert_allclose(found, np.roll(Z, cells, axis=2), atol=1e-6)
        assert_allclose(model.predict_proba(moved), proba, atol=1e-5)
    factor = 1 if by == "share" else 7
    scaled = model[0].transform(7 * X).reshape(-1, 4, 4)
    assert_allclose(scaled, factor * Z, atol=1e-6)


# -- filters --------------------------------------------------------------------------


@pytest.mark.parametrize("filters", ["gaussian", "pca", "kmeans", "dct"])
@pytest.mark.parametrize("name", ["channels", "image", "volume"])
def test_filters_have_norm_one_and_no_more_taps_than_the_grid(name, filters):
    X = signals(name, n=20)
    grid, channels, _ = GRIDS[name]
    options = {"signal_shape": grid, "filters": filters, "random_state": 0}
    bank = ConvolutionalLifting(4, 5, **options).fit(flat(X)).filters_
    assert bank.shape == (4, channels, *(min(5, size) for size in grid))
    assert_allclose(np.linalg.norm(flat(bank), axis=1), 1)
    again = ConvolutionalLifting(4, 5, **options).fit(flat(X))
    assert_array_equal(bank, again.filters_)
    if filters == "gaussian":  # fewer random filters are the first of more
        few = ConvolutionalLifting(2, 5, **options).fit(flat(X))
        assert_array_equal(few.filters_, bank[:2])


@pytest.mark.parametrize("name", ["line", "channels", "image", "volume"])
def test_principal_filters_are_those_of_all_patches(name):
    X, kernel = signals(name, n=10), GRIDS[name][2]
    expected = np.linalg.svd(slow_patches(X, kernel), full_matrices=False)[2][:2]
    model = ConvolutionalLifting(
        2, kernel, signal_shape=X.shape[2:], filters="pca"
    ).fit(flat(X))
    found = flat(model.filters_)
    assert_allclose(np.abs(np.sum(found * expected, axis=1)), 1, rtol=1e-10)
    assert np.all(np.max(found, axis=1) == np.max(np.abs(found), axis=1))


def test_cosines_are_orthogonal_and_begin_with_a_constant():
    model = ConvolutionalLifting(24, (3, 4), signal_shape=(3, 4), filters="dct")
    bank = flat(model.fit(np.zeros((1, 24))).filters_)
    assert_allclose(bank @ bank.T, np.eye(24), atol=1e-14)
    assert_allclose(bank[0], 24**-0.5)
    slopes = np.abs(np.diff(bank.reshape(24, 2, 3, 4), axis=3)).sum(axis=(1, 2, 3))
    assert slopes[1] < slopes[-1]


def test_patches_to_cluster_are_patches_scaled_to_norm_one():
    # impulses: a patch has one or none, which is flat
    X = np.zeros((40, 2 * 5 * 4))
    X[range(40), range(40)] = np.linspace(1.0, 9.0, 40)
    rows = np.eye(12) - 1 / 12
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    model = ConvolutionalLifting(
        24, (3, 2), signal_shape=(5, 4), filters="kmeans", random_state=0
    ).fit(X)
    assert_allclose(np.max(flat(model.filters_) @ rows.T, axis=0), 1)


def test_clustered_filters_find_the_shapes_that_signals_are_made_of():
    rng = np.random.default_rng(0)
    shapes = np.array([[1.0, 2.0, -3.0], [2.0, -3.0, 1.0]])
    X = np.zeros((60, 30))
    for row in X:
        row[4:7] = rng.uniform(1, 9) * shapes[rng.integers(2)]
    model = ConvolutionalLifting(10, 3, filters="kmeans", random_state=0).fit(X)
    cosines = shapes @ model.filters_[:, 0].T / np.linalg.norm(shapes, axis=1)[:, None]
    assert_allclose(np.max(cosines, axis=1), 1)


def test_given_filters_are_used_as_they_are_in_fit():
    X, filters = signals("line"), np.array([[1.0, -2.0], [0.0, 3.0], [1.0, 1.0]])
    expected = flat(slow(X, filters[:, None]))
    for given in (filters[:, None].copy(), filters.copy()):
        model = ConvolutionalLifting(filters=given, activation=None, pooling=None)
        model.fit(flat(X))
        given[:] = 0.0  # later changes have no effect
        assert_array_equal(model.filters_, filters[:, None])
        assert_allclose(model.transform(flat(X)), expected)


# -- errors and use -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"signal_shape": 5}, "Bad signal_shape: a grid of shape .* 5 points, .* 12 f"),
        ({"signal_shape": (4, 6)}, "24 points"),
        ({"signal_shape": (4, -3)}, "Bad signal_shape: must be one or several positi"),
        ({"signal_shape": ()}, "Bad signal_shape"),
        (
            {"signal_shape": (4, 3), "kernel_size": (2, 2, 2)},
            "Bad kernel_size.*found 3",
        ),
        ({"kernel_size": (2.5,)}, "Bad kernel_size: must be one or several positive"),
        ({"kernel_size": 3, "filters": "dct", "n_filters": 4}, "3 orthogonal filters"),
        ({"kernel_size": 3, "filters": "pca", "n_filters": 4}, "3 orthogonal filters"),
        ({"filters": "kmeans", "n_filters": 99}, "Bad n_filters: .* found 24 "),
        ({"filters": np.ones((2, 13))}, r"Bad filters: filters of shape \(2, 1, 13\)"),
        ({"filters": np.ones((2, 3)), "signal_shape": (4, 3)}, "Bad filters"),
        *(
            ({"filters": np.ones(shape)}, "do not fit signals with 1 channel")
            for shape in [(2, 3, 5), (2, 1, 3, 3)]
        ),
        ({"filters": [["a"]]}, "Bad filters"),
        ({"filters": np.full((2, 3), np.nan)}, "Bad filters"),
        ({"pool_size": 5}, r"Bad pool_size: must divide the grid of shape \(12,\)"),
        ({"pool_size": (2, 2)}, "Bad pool_size: must be one number or one .* found 2"),
        ({"pool_size": (2.0,)}, "Bad pool_size: must be one or several positive"),
    ],
)
def test_errors_name_the_parameter(parameters, message):
    X = np.arange(1.0, 25).reshape(2, 12)
    with pytest.raises(ValueError, match=message):
        ConvolutionalLifting(**parameters).fit(X)


def test_signals_without_patches_that_are_not_flat_are_refused_by_clusters_only():
    X = np.zeros((3, 6))
    model = ConvolutionalLifting(1, 3, filters="kmeans", threshold=1.0, random_state=0)
    for constant in (X, X + 0.1):
        with pytest.raises(ValueError, match="not flat as filters, found 0 "):
            model.fit(constant)
    for filters in ("gaussian", "pca", "dct"):
        model.set_params(filters=filters, kernel_size=2)
        assert_array_equal(model.fit_transform(X), 0)
