"""DilatedKernelTransformer compared with loops over times, kernels and biases."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit, peak_of, slowly
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import ConvolutionalLifting, DilatedKernelTransformer, MICLClassifier
from skredu.datasets import make_shifted_signals

KERNELS = np.array(
    [
        [2.0 if s in points else -1.0 for s in range(9)]
        for points in itertools.combinations(range(9), 3)
    ]
)


def walks(n=6, n_points=40, n_channels=1, seed=0, dtype=float):
    """Return random walks, with one channel after the other in each row."""
    steps = np.random.default_rng(seed).normal(size=(n, n_channels, n_points))
    return np.cumsum(steps, axis=2).reshape(n, -1).astype(dtype)


def slow_responses(x, dilation):
    """Return the responses of a series (n_points,) to all kernels, (84, n_points)."""
    x = x - np.mean(x)
    y = np.zeros((84, len(x)))
    for t, s in itertools.product(range(len(x)), range(-4, 5)):
        if 0 <= t + dilation * s < len(x):
            y[:, t] += KERNELS[:, s + 4] * x[t + dilation * s]
    return y


def slow_all(model, X):
    """Return the responses for all columns of the biases, (84, biases, n, points)."""
    n_points = model.signal_shape_[0]
    columns = []
    for dilation, channels in zip(model.dilations_, model.channels_, strict=True):
        signals = X.reshape(len(X), -1, n_points)[:, channels].sum(axis=1)
        columns.append([slow_responses(x, dilation) for x in signals])
    return np.transpose(np.array(columns), (2, 0, 1, 3))


def groups(model):
    """Return the columns of the biases with the same dilation and channels."""
    keys = [(d, *c) for d, c in zip(model.dilations_, model.channels_, strict=True)]
    columns = enumerate(keys)
    return [
        [column for column, _ in same]
        for _, same in itertools.groupby(columns, key=lambda item: item[1])
    ]


CASES = {  # points, channels, number of kernels
    "a point": (1, 1, 84),
    "short": (5, 1, 168),
    "one more than a kernel": (10, 1, 500),
    "one channel": (40, 1, 500),
    "dilations with one bias": (61, 1, 84 * 9),
    "channels": (23, 3, 84 * 5),
}


def case(name, dtype=float, **options):
    """Return a fitted model and its rows."""
    n_points, n_channels, n_kernels = CASES[name]
    X = walks(6, n_points, n_channels, dtype=dtype)
    model = DilatedKernelTransformer(
        n_kernels, signal_shape=n_points, random_state=0, **options
    )
    return model.fit(X), X


@pytest.mark.parametrize("name", CASES)
def test_features_are_those_of_the_definition(name, dtype):
    model, _ = case(name, dtype, pooling=("share", "max"))
    new = walks(5, *CASES[name][:2], seed=1, dtype=dtype)
    y = slow_all(model, new.astype(float))
    above = y - model.biases_[:, :, None, None]
    shares = np.mean(above > 0, axis=3).reshape(-1, 5).T
    largest = np.max(y, axis=3)[:, [columns[0] for columns in groups(model)]]
    found = model.transform(new)
    assert found.dtype == dtype
    # only responses next to a bias may be on its other side
    tol = 1e-12 if dtype == "float64" else 3e-4
    near = np.mean(np.abs(above) < tol, axis=3).reshape(-1, 5).T
    off = np.abs(found[:, : near.shape[1]] - shares)
    assert np.all(off <= near + 1e-6)
    assert np.mean(near) < (0.2 if name == "short" else 0.01) or name == "a point"
    assert_allclose(found[:, near.shape[1] :], largest.reshape(-1, 5).T, atol=tol)


@pytest.mark.parametrize("name", CASES)
def test_biases_are_quantiles_of_the_responses_of_all_of_few_samples(name):
    model, X = case(name)
    y = slow_all(model, X)
    n_biases = model.biases_.shape[1]
    golden = (5**0.5 - 1) / 2
    for kernel, columns in itertools.product(range(84), groups(model)):
        spread = [(golden * (1 + kernel * n_biases + c)) % 1 for c in columns]
        levels = [0.1 + 0.8 * share for share in spread]
        expected = np.quantile(y[kernel, columns[0]], np.sort(levels))
        assert_allclose(model.biases_[kernel, columns], expected, atol=1e-12)


def test_dilations_reach_from_one_to_the_length_of_the_series():
    for n_points in (1, 8, 9, 16, 17, 150, 2000):
        X = walks(2, n_points)
        model = DilatedKernelTransformer(84 * 50, random_state=0).fit(X)
        largest = max(1.0, (n_points - 1) / 8)
        steps = np.floor(np.exp(np.linspace(0, np.log(largest), 32)) + 1e-9)
        assert_array_equal(np.unique(model.dilations_), np.unique(steps))
        assert_array_equal(np.sort(model.dilations_), model.dilations_)
        assert model.dilations_[-1] * 8 < max(n_points, 9)

    model = DilatedKernelTransformer(251).fit(walks())  # few kernels
    assert_array_equal(model.dilations_, [1, 4])
    model = DilatedKernelTransformer(1).fit(walks())
    assert model.transform(walks()).shape == (6, 84)


@pytest.mark.parametrize("n_channels", [2, 7, 40])
def test_channels_are_used_equally_often_in_sets_of_at_most_nine(n_channels):
    X = walks(3, 30, n_channels)
    model = DilatedKernelTransformer(84 * 60, signal_shape=30, random_state=0).fit(X)
    sets = model.channels_
    assert np.ptp(sets.sum(axis=0)) <= 1
    sizes = sets.sum(axis=1)
    assert set(sizes) == set(range(1, min(n_channels, 9) + 1))


def test_biases_of_equal_dilations_and_channels_follow_each_other():
    X = walks(5, 32, 3)
    model = DilatedKernelTransformer(
        84 * 40, pooling=("share", "max"), signal_shape=32, random_state=0
    ).fit(X)
    pairs = np.column_stack([model.dilations_, model.channels_])
    n_pairs = len(np.unique(pairs, axis=0))
    assert n_pairs == len(groups(model)) < 40
    names = model.get_feature_names_out()
    assert len(set(names)) == len(names) == 84 * (40 + n_pairs)
    for columns in groups(model):
        assert (np.diff(model.biases_[:, columns], axis=1) >= 0.0).all()
    assert model.set_output(transform="pandas").transform(X).columns.is_unique


# -- exactness ------------------------------------------------------------------------


def test_constant_series_have_no_response(dtype):
    X = np.full((3, 50), 0.1, dtype=dtype) * np.array([[1], [7], [1e6]], dtype=dtype)
    for rows in (X, np.vstack([X, walks(2, 50, dtype=dtype)])):
        model = DilatedKernelTransformer(500, pooling=("share", "max"), random_state=0)
        Z = model.fit(rows).transform(X)
        n_shares = model.biases_.size
        assert_array_equal(Z[:, n_shares:], 0)
        assert_array_equal(Z[:, :n_shares], np.tile(model.biases_.ravel() < 0, (3, 1)))


def test_rounding_does_not_decide_about_flat_parts(dtype):
    # most responses are zero, and so are many biases
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(20, 8)), 25, axis=1).astype(dtype)
    model = DilatedKernelTransformer(2000, random_state=0).fit(X)
    zero = model.biases_.ravel() == 0
    assert np.mean(zero) > 0.2
    Z = model.transform(X)[:, zero]
    other = model.transform((dtype(1.7) if callable(dtype) else 1.7) * X + 0.3)[:, zero]
    flat_ends = 2 / 200  # the level at the ends is that of the mean, up to rounding
    assert np.mean(np.abs(other - Z) > 0) < 1e-3
    assert np.max(np.abs(other - Z)) <= flat_ends


def test_units_that_are_powers_of_two_and_levels_do_not_matter():
    X = walks(8, 64)
    model = DilatedKernelTransformer(500, pooling=("share", "max"), random_state=0)
    Z = model.fit_transform(X)
    shares = model.biases_.size
    assert_array_equal(model.transform(X + 4096.0)[:, :shares], Z[:, :shares])
    for power in (-900, -100, 100, 900):
        expected = Z.copy()
        expected[:, shares:] *= 2.0**power
        assert_array_equal(model.fit_transform(np.ldexp(X, power)), expected)


def test_responses_that_no_float_can_hold_are_refused(dtype):
    most = np.finfo(dtype).max
    X = np.tile(np.array([[most, -most, -most]], dtype=dtype), (2, 10))
    with pytest.raises(ValueError, match="X contains values so large that responses"):
        DilatedKernelTransformer(500).fit(X)
    model = DilatedKernelTransformer(500).fit(walks(2, 30, dtype=dtype))
    assert np.all(np.isfinite(model.transform(X)))
    model = DilatedKernelTransformer(500, pooling="max").fit(0 * X)
    with pytest.raises(ValueError, match="X contains values so large that responses"):
        model.transform(X)


# -- blocks, memory, seeds ------------------------------------------------------------


@pytest.mark.parametrize("name", ["short", *slowly("one channel", "channels")])
def test_blocks_do_not_matter(name, monkeypatch):
    model, _ = case(name, pooling=("max", "share"))
    rows = walks(30, *CASES[name][:2], seed=2)
    expected = np.vstack([model.transform(row[None]) for row in rows])
    assert_array_equal(model.transform(rows), expected)
    limit(monkeypatch, BLOCK_VALUES=1)
    assert_array_equal(model.transform(rows), expected)


@pytest.mark.parametrize("name", ["short", "channels", *slowly("one channel")])
def test_namespaces_are_kept(name, xp, dtype):
    model, _ = case(name, pooling=("max", "share"))
    X, new = (walks(60, *CASES[name][:2], seed=i, dtype=dtype) for i in (2, 3))
    expected = model.fit(X).transform(new)
    Z = model.fit(xp.asarray(X)).transform(xp.asarray(new))
    assert Z.device == model.biases_.device
    assert xp.to_numpy(Z).dtype == dtype
    size = np.abs(expected).max()
    assert_allclose(xp.to_numpy(Z), expected, atol=1e-5 * size)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "n_points", "n_channels"), [(3000, 20, 1), (8, 20_000, 1), (600, 10, 100)]
)
def test_memory_beside_input_and_result_is_the_documented_one(n, n_points, n_channels):
    X = walks(n, n_points, n_channels)
    model = DilatedKernelTransformer(500, signal_shape=n_points, random_state=0)
    model.fit(X[:3])
    block = model.transform(X[:512]).nbytes
    assert peak_of(model.transform, X) < 8 * 12 * max(50_000, X.shape[1]) + block


@pytest.mark.slow
@pytest.mark.parametrize("n_points", [30, 8000])
def test_memory_of_fit_is_that_of_fifty_samples(n_points):
    X = walks(200, n_points)
    model = DilatedKernelTransformer(84, random_state=0)
    assert peak_of(model.fit, X) < 2**20 + 8 * 15 * 50 * n_points


def test_the_seed_determines_which_of_many_samples_are_taken():
    many, few = walks(200, 30), walks(50, 30)
    biases = [
        DilatedKernelTransformer(500, random_state=seed).fit(X).biases_
        for X in (many, few)
        for seed in (0, 0, 1)
    ]
    assert_array_equal(biases[0], biases[1])
    assert not np.array_equal(biases[0], biases[2])
    assert_array_equal(biases[3], biases[5])
    shuffled = DilatedKernelTransformer(500, random_state=3).fit(few[::-1]).biases_
    assert_allclose(shuffled, biases[3], rtol=1e-13)


# -- names, errors, use ---------------------------------------------------------------


def test_names_say_kernel_dilation_bias_and_channels():
    model, _ = case("one channel", pooling=("share", "max"))
    names = model.get_feature_names_out()
    assert len(set(names)) == len(names) == 84 * (5 + len(groups(model)))
    assert names[0] == "share_kernel012_dilation1_bias0"
    assert names[-1] == f"max_kernel678_dilation{model.dilations_[-1]}"
    model, _ = case("channels")
    names = model.get_feature_names_out()
    assert len(set(names)) == len(names) == 84 * 5
    channels = "_".join(map(str, np.flatnonzero(model.channels_[0])))
    assert names[0] == f"share_kernel012_dilation1_bias0_channel{channels}"
    with pytest.raises(ValueError, match="input_features"):
        model.get_feature_names_out(["a"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"pooling": ()}, "Bad pooling: must be one or several different ones of "),
        ({"pooling": ("share", "share")}, "Bad pooling"),
        ({"pooling": ("share", "least")}, "Bad pooling: .*'least'"),
        ({"pooling": "least"}, "pooling"),
        ({"n_kernels": 0}, "n_kernels"),
        ({"n_kernels": 2**29}, "Bad n_kernels: must lead to at most"),
        ({"signal_shape": (4, 6)}, "Bad signal_shape: series have one axis, found .*6"),
        ({"signal_shape": 5}, "Bad signal_shape: a grid of shape .* 5 points"),
        ({"signal_shape": ()}, "Bad signal_shape"),
    ],
)
def test_errors_name_the_parameter(parameters, message):
    model = DilatedKernelTransformer(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(walks(3, 24))
    assert not hasattr(model, "biases_")


def test_liftings_pass_on_points_and_channels():
    X = walks(5, 24)
    lifting = ConvolutionalLifting(3, 5, random_state=0).fit(X)
    model = DilatedKernelTransformer(500, random_state=0).fit(lifting.transform(X))
    assert model.signal_shape_ == (24,)
    assert model.channels_.shape[1] == 3
    with pytest.raises(ValueError, match="Bad signal_shape: X contains signals on a"):
        model.transform(
            ConvolutionalLifting(12, 5, random_state=0).fit_transform(walks(5, 6))
        )
    lifting = ConvolutionalLifting(3, 2, signal_shape=(4, 6), random_state=0)
    with pytest.raises(ValueError, match="series have one axis, found a grid of shape"):
        DilatedKernelTransformer().fit(lifting.fit_transform(X))


def test_series_that_begin_at_any_time_are_recognised():
    signals = {"n_timesteps": 64, "n_classes": 4, "noise": 0.8}
    X, y = make_shifted_signals(10, random_state=0, **signals)
    new, labels = make_shifted_signals(100, random_state=1, **signals)
    kernels = DilatedKernelTransformer(2000, random_state=0)
    model = make_pipeline(kernels, StandardScaler(), MICLClassifier())
    assert model.fit(X, y).score(new, labels) > 0.75
    assert MICLClassifier().fit(X, y).score(new, labels) < 0.55
