"""The generators produce the documented data."""

import inspect
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skredu import datasets
from skredu.datasets import (
    make_gaussians_on_sphere,
    make_shifted_signals,
    make_subspaces,
)
from skredu.rates import rate_reduction

GENERATORS = [getattr(datasets, name) for name in datasets.__all__]
FEW = {"n_samples": 6, "random_state": 0}


subspaces_of = partial(make_subspaces, random_state=0, return_subspaces=True)


def residuals(rows, basis, centre):
    """Return the component of rows outside an affine subspace."""
    rows = rows - centre
    return rows - rows @ basis.T @ basis


# -- all generators -------------------------------------------------------------------


every = pytest.mark.parametrize("make", GENERATORS)


@every
def test_types_shapes_defaults_and_unequal_groups(make):
    X, y = make(random_state=0)
    assert (X.dtype, y.dtype) == (np.float64, np.int64)
    assert X.flags.c_contiguous
    assert X.flags.owndata
    values, counts = np.unique(y, return_counts=True)
    arguments = inspect.signature(make).parameters
    assert_array_equal(counts, arguments["n_samples"].default)
    assert arguments["random_state"].kind is inspect.Parameter.KEYWORD_ONLY
    assert len(X) == counts.sum()
    assert_array_equal(values, range(len(values)))
    counts = np.arange(1, len(values) + 1)
    for n_samples in (counts, tuple(counts.tolist()), range(1, len(values) + 1)):
        assert_array_equal(np.bincount(make(n_samples, random_state=0)[1]), counts)


@every
def test_an_integer_repeats_and_a_generator_goes_on(make):
    first, again, other = (make(6, random_state=seed) for seed in (0, 0, 1))
    for one, two in zip(first, again, strict=True):
        assert_array_equal(one, two)
    assert not np.array_equal(first[0], other[0])
    rng = np.random.RandomState(0)
    assert_array_equal(make(6, random_state=rng)[0], first[0])
    assert not np.array_equal(make(6, random_state=rng)[0], first[0])


@every
def test_shuffle_only_changes_the_order(make):
    X, y = make(20, random_state=3)
    X_sorted, y_sorted = make(20, random_state=3, shuffle=False)
    assert np.all(np.diff(y_sorted) >= 0)
    assert not np.array_equal(y, y_sorted)
    mixed, plain = np.lexsort(X.T), np.lexsort(X_sorted.T)
    assert_array_equal(X[mixed], X_sorted[plain])
    assert_array_equal(y[mixed], y_sorted[plain])


# -- subspaces ------------------------------------------------------------------------


@given(
    n_features=st.integers(1, 7),
    data=st.data(),
    offset=st.sampled_from([0.0, 0.5, 100.0]),
    scale=st.sampled_from([1e-3, 1.0, 50.0]),
    distribution=st.sampled_from(["uniform", "gaussian"]),
    seed=st.integers(0, 1000),
)
def test_rows_without_noise_lie_on_their_subspaces(
    n_features, data, offset, scale, distribution, seed
):
    some = st.lists(st.integers(0, n_features), min_size=1, max_size=4)
    dimensions = data.draw(some, label="dimensions")
    X, y, subspaces = subspaces_of(
        12, n_features=n_features, dimensions=dimensions, noise=0.0, offset=offset,
        scale=scale, distribution=distribution, random_state=seed,
    )  # fmt: skip
    assert X.shape == (12 * len(dimensions), n_features)
    assert len(subspaces) == len(dimensions)
    for j, dimension in enumerate(dimensions):
        basis, centre = subspaces[j]
        assert basis.shape == (dimension, n_features)
        assert centre.shape == (n_features,)
        assert_allclose(basis @ basis.T, np.eye(dimension), atol=1e-13)
        assert_allclose(np.linalg.norm(centre), offset, rtol=1e-13)
        rows, size = X[y == j], offset + scale
        assert_allclose(residuals(rows, basis, centre), 0.0, atol=1e-13 * size)
        spread = np.linalg.svd(rows - centre, compute_uv=False) > 1e-9 * scale
        assert spread.sum() == dimension


@pytest.mark.parametrize("noise", [0.02, 3.0])
def test_noise_has_its_standard_deviation_in_every_coordinate(noise):
    X, y, subspaces = subspaces_of(
        20_000, n_features=5, dimensions=(0, 2), noise=noise, offset=4.0
    )
    assert_allclose(np.std(X[y == 0], axis=0), noise, rtol=0.03)
    square = np.sum(residuals(X[y == 1], *subspaces[1]) ** 2, axis=1).mean()
    assert_allclose(square, (5 - 2) * noise**2, rtol=0.03)


@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_coefficients_have_their_distribution(scale):
    found = []
    for distribution in ("uniform", "gaussian"):
        options = {"noise": 0.0, "scale": scale, "distribution": distribution}
        X, _, [(basis, _)] = subspaces_of(20_000, dimensions=[2], **options)
        found.append(X @ basis.T / scale)
    uniform, gaussian = found
    assert_allclose(np.max(uniform, axis=0), 1.0, rtol=1e-3)
    assert_allclose(np.min(uniform, axis=0), -1.0, rtol=1e-3)
    assert_allclose(np.cov(uniform.T), np.eye(2) / 3.0, atol=0.01)
    assert np.max(np.abs(gaussian)) > 3.0
    assert_allclose(np.cov(gaussian.T), np.eye(2), atol=0.03)


def test_directions_are_uniform():
    *_, found = subspaces_of(1, n_features=2, dimensions=[1] * 4000, offset=1.0)
    bases = np.array([basis[0] for basis, _ in found])
    centres = np.array([centre for _, centre in found])
    for vectors in (bases, centres):
        assert_allclose(vectors.mean(axis=0), 0.0, atol=0.04)
        assert_allclose(vectors.T @ vectors / 4000, np.eye(2) / 2, atol=0.04)
    assert_allclose(np.mean(np.sum(bases * centres, axis=1)), 0.0, atol=0.04)


@pytest.mark.parametrize(
    ("n_samples", "options"),
    [
        (80, {"n_features": 8, "dimensions": (3, 4, 5)}),
        # rows that reach further below the origin than above, and the other way round
        *((1, {"dimensions": [0], "offset": 2.0, "random_state": s}) for s in range(5)),
    ],
)
def test_outliers_fill_the_cube_around_the_other_rows(n_samples, options):
    options = {"n_outliers": 5000, "random_state": 0, **options}
    X, y = make_subspaces(n_samples, **options)
    k = len(options["dimensions"])
    assert_array_equal(np.unique(y), range(-1, k))
    assert_array_equal(np.bincount(y + 1), [5000, *[n_samples] * k])
    reach, outliers = np.max(np.abs(X[y >= 0])), X[y == -1]
    assert np.max(np.abs(outliers)) <= reach
    assert_allclose(np.max(outliers, axis=0), reach, rtol=0.01)
    assert_allclose(np.min(outliers, axis=0), -reach, rtol=0.01)
    cube = np.eye(X.shape[1]) / 3
    assert_allclose(np.cov(outliers.T) / reach**2, cube, atol=0.05)


def test_outliers_leave_the_other_rows_alone_and_scale_and_offset_are_lengths():
    plain, y = make_subspaces(**FEW, shuffle=False)
    X, labels = make_subspaces(**FEW, shuffle=False, n_outliers=4)
    assert_array_equal(X[:18], plain)
    assert_array_equal(labels, [*y, -1, -1, -1, -1])
    units = {"noise": 0.02, "offset": 0.7, "scale": 1.0}
    X, _ = make_subspaces(**FEW, **units, n_outliers=3)
    times_8 = {name: 8 * value for name, value in units.items()}
    assert_allclose(make_subspaces(**FEW, **times_8, n_outliers=3)[0], 8 * X)


# -- Gaussians on the sphere ----------------------------------------------------------


@given(
    n_classes=st.integers(1, 5),
    more=st.none() | st.integers(0, 3),
    noise=st.sampled_from([0.0, 0.1, 5.0]),
    seed=st.integers(0, 1000),
)
def test_rows_have_norm_one(n_classes, more, noise, seed):
    n_features = None if more is None else n_classes + more
    X, y = make_gaussians_on_sphere(
        4, n_classes=n_classes, n_features=n_features, noise=noise, random_state=seed
    )
    assert X.shape == (4 * n_classes, n_classes + (more or 0))
    assert_array_equal(np.bincount(y), [4] * n_classes)
    assert_allclose(np.linalg.norm(X, axis=1), 1.0, rtol=1e-15)
    if noise == 0.0:
        assert_array_equal(X, np.eye(n_classes, X.shape[1])[y])


def test_classes_lie_around_the_axes_with_their_noise():
    X, y = make_gaussians_on_sphere(
        20_000, n_classes=3, n_features=4, noise=0.05, random_state=0
    )
    for j in range(3):
        rows = X[y == j] / X[y == j, j : j + 1]  # (e_j + e) / (1 + e_jj)
        others = np.delete(rows, j, axis=1)
        assert_allclose(others.mean(axis=0), 0.0, atol=0.002)
        assert_allclose(others.std(axis=0), 0.05, rtol=0.03)


@pytest.mark.parametrize(("k", "largest"), [(2, 0.8756), (3, 1.8798)])
def test_rate_reduction_of_the_published_classes(k, largest):
    def rate(noise):
        X, y = make_gaussians_on_sphere(n_classes=k, noise=noise, random_state=0)
        return rate_reduction(X, y, epsilon=math.sqrt(0.1))

    assert round(rate(0.0), 4) == largest
    assert 0.8 * largest < rate(0.1) < 0.95 * largest


# -- shifted signals ------------------------------------------------------------------

PLAIN = {"noise": 0.0, "max_shift": 0, "shuffle": False, "random_state": 0}


@given(
    n_classes=st.integers(1, 6), longer=st.integers(0, 30), seed=st.integers(0, 1000)
)
def test_rows_are_cyclic_shifts_of_one_waveform(n_classes, longer, seed):
    n_timesteps = 8 * (2 * ((n_classes - 1) // 2) + 1) + longer
    options = {"n_timesteps": n_timesteps, "n_classes": n_classes}
    X, y, shifts = make_shifted_signals(
        5, **options, noise=0.0, return_shifts=True, random_state=seed
    )
    assert X.shape == (5 * n_classes, n_timesteps)
    assert shifts.shape == y.shape
    assert shifts.min() >= 0
    assert shifts.max() < n_timesteps
    waveforms, _ = make_shifted_signals(1, **options, **PLAIN)
    for row, label, shift in zip(X, y, shifts, strict=True):
        assert_array_equal(row, np.roll(waveforms[label], shift))


def test_waveforms_are_sines_and_squares_of_odd_periods_that_differ():
    t = (np.arange(150) + 1e-9) / 150  # square waves are up at the start of a period
    waveforms, y = make_shifted_signals(1, n_classes=4, **PLAIN)
    assert_array_equal(y, [0, 1, 2, 3])
    for j, periods in enumerate([1, 1, 3, 3]):
        sine = np.sin(2 * np.pi * periods * t)
        expected = sine if j % 2 == 0 else np.sign(sine)
        assert_allclose(waveforms[j], expected, atol=1e-7)
    for k in (2, 4, 5, 8):  # whatever the shift
        n_timesteps = 8 * (2 * ((k - 1) // 2) + 1)
        options = {"n_timesteps": n_timesteps, "n_classes": k, "noise": 0.0}
        waveforms, _ = make_shifted_signals(1, random_state=0, **options)
        spectra = np.abs(np.fft.rfft(waveforms))
        spectra /= np.linalg.norm(spectra, axis=1, keepdims=True)
        apart = np.linalg.norm(spectra[:, None] - spectra, axis=2)
        assert np.min(apart[~np.eye(k, dtype=bool)]) > 0.3


def test_shifts_are_uniform_and_bounded_and_noise_has_its_standard_deviation():
    options = {"n_timesteps": 8, "return_shifts": True, "random_state": 0}
    *_, shifts = make_shifted_signals(20_000, **options)
    assert_allclose(np.bincount(shifts) / 40_000, np.full(8, 1 / 8), rtol=0.05)
    for most in (3, 0):
        *_, shifts = make_shifted_signals(1000, max_shift=most, **options)
        assert_array_equal(np.unique(shifts), range(most + 1))
    options = {"n_timesteps": 12, **PLAIN}
    noisy, _ = make_shifted_signals(20_000, **options | {"noise": 0.3})
    noise = noisy - make_shifted_signals(20_000, **options)[0]
    assert_allclose(np.std(noise, axis=0), 0.3, rtol=0.03)
    assert_allclose(np.mean(noise, axis=0), 0.0, atol=0.01)


# -- bad parameters -------------------------------------------------------------------

NOT_SIZES = [10**400, -0.1, math.nan, math.inf, "1", None, 1j, True, [0.1]]
NOT_COUNTS = [0, -3, 2.5, "many", None, True, math.nan, [], [1], [3, 0, 2], [1, 2.0, 3]]
BAD = [
    *((make, {"n_samples": value}) for make in GENERATORS for value in NOT_COUNTS),
    *((make, {"noise": value}) for make in GENERATORS for value in NOT_SIZES),
    *((make, {"random_state": value}) for make in GENERATORS for value in ("a", 1.5)),
    *((make_subspaces, {"offset": value}) for value in NOT_SIZES),
    *((make_subspaces, {"scale": value}) for value in NOT_SIZES),
    *((make_subspaces, {"n_features": value}) for value in (0, 2.0, None, "3", True)),
    *((make_subspaces, {"dimensions": v}) for v in (2, None, [], [1, 4], [-1], [1.0])),
    *((make_subspaces, {"n_outliers": value}) for value in (-1, 0.5, None)),
    *((make_subspaces, {"distribution": value}) for value in ("normal", None, 3)),
    *((make_gaussians_on_sphere, {"n_classes": value}) for value in (0, 2.0, None)),
    *((make_gaussians_on_sphere, {"n_features": value}) for value in (1, 2.0, "2")),
    *((make_shifted_signals, {"n_classes": value}) for value in (0, 1.5, None)),
    *((make_shifted_signals, {"n_timesteps": value}) for value in (3, 8.0, None)),
    *((make_shifted_signals, {"max_shift": value}) for value in (-1, 150, 2.0)),
]


@every
def test_bad_parameters_are_named(make):
    for bad in (bad for kind, bad in BAD if kind is make):
        [(name, value)] = bad.items()
        with pytest.raises(ValueError, match=f"^Bad {name}: ") as error:
            make(**{**FEW, name: value})
        found = {"none", repr(value)}
        if isinstance(value, list | str):
            found |= {repr(entry) for entry in value} | {str(len(value))}
        said = str(error.value)
        assert any(f"found {part}." in said for part in found) or (
            name == "random_state" and repr(value) in said
        )


def test_messages_tell_what_is_allowed():
    with pytest.raises(ValueError, match=r"dimensions: .* from 0 to 3, found 4\.$"):
        make_subspaces(dimensions=[1, 4])
    with pytest.raises(ValueError, match=r"each of the 3 groups, found 2\.$"):
        make_subspaces([5, 5])
    with pytest.raises(ValueError, match=r"n_timesteps: .* at least 24, found 23\.$"):
        make_shifted_signals(n_classes=3, n_timesteps=23)
    assert make_shifted_signals(**FEW, n_classes=3, n_timesteps=24)[0].shape == (18, 24)
    with pytest.raises(ValueError, match='"uniform" or "gaussian", found \'normal\''):
        make_subspaces(distribution="normal", random_state=0)
