"""ScatteringTransformer against sums in space, and theorems about scattering."""

import itertools

import numpy as np
import oracle_scattering as oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import peak_of

from skredu import (
    ConvolutionalLifting,
    InvariantReduNetClassifier,
    PolarTransformer,
    ScatteringTransformer,
    make_invariant_pipeline,
)
from skredu.datasets import make_shifted_signals
from skredu.lifting import _morlet

RNG = np.random.default_rng(0)
CASES = {  # grid, channels, options
    "series": ((16,), 1, {"n_scales": 2}),
    "octaves": ((24,), 2, {"n_scales": 3, "quality": 3}),
    "image": ((8, 12), 1, {"n_scales": 2, "n_angles": 4}),
    "channels": ((6, 4), 3, {"n_scales": 1, "n_angles": 8}),
    "odd": ((9, 5), 1, {"n_scales": 2, "n_angles": 3}),
}
PLAIN = {"activation": None}


def signals(name, n=3, dtype=float):
    grid, channels, options = CASES[name]
    X = np.random.default_rng(1).normal(size=(n, channels, *grid)).astype(dtype)
    return X, {"signal_shape": grid, **options}


def flat(X):
    return X.reshape(len(X), -1)


def fitted(X, **options):
    return ScatteringTransformer(**{**PLAIN, **options}).fit(flat(X))


def coefficients(X, **options):
    """Return the coefficients (n, channels, *coarse) without an activation."""
    model = fitted(X, **options)
    return np.asarray(model.transform(flat(X))).reshape(
        len(X), model.n_channels_, *model.signal_shape_
    )


def filters(grid, n_scales, n_angles=8, quality=1):
    """Return the filters of the oracle: of both orders, and the average."""
    phi = oracle.low(grid, n_scales)
    if len(grid) == 2:
        first = oracle.scaled(oracle.planar(grid, n_scales, n_angles), phi)
        return first, first, phi
    first = oracle.scaled(oracle.linear(grid, n_scales, quality), phi)
    return first, oracle.scaled(oracle.linear(grid, n_scales, 1), phi), phi


def slow(X, model, options):
    """Return the coefficients at all points by sums in space."""
    grid, names = X.shape[2:], ("n_scales", "n_angles", "quality")
    first, second, phi = filters(grid, **{k: options[k] for k in names if k in options})
    start = len(first) if options.get("quality", 1) > 1 else 0
    paths = [(a, b - start if b >= 0 else b) for a, b in model.paths_.tolist()]
    return np.array(
        [
            np.concatenate(
                [oracle.scatter(x, first, second, phi, paths) for x in channels]
            )
            for channels in X
        ]
    )


# -- filters --------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_filters_are_the_published_ones(name):
    X, options = signals(name)
    grid, model = X.shape[2:], fitted(X, **options)
    first, second, phi = filters(grid, **CASES[name][2])
    axes = tuple(range(1, 1 + len(grid)))
    expected = np.fft.fftn(first if second is first else first + second, axes=axes)
    if "quality" not in options:
        expected = expected[: len(first)]
    assert_allclose(model._psi, expected.real, atol=1e-12)
    assert_allclose(0.0, expected.imag, atol=1e-12)
    assert_allclose(model._phi, np.fft.fftn(phi), atol=1e-12)


@pytest.mark.parametrize("grid", [(32,), (31,), (16, 16), (9, 14)])
@pytest.mark.parametrize("n_scales", [1, 3])
@pytest.mark.parametrize("number", [1, 3, 8])
def test_no_energy_is_gained_and_little_is_lost(grid, n_scales, number):
    found = _morlet.wavelets(len(grid), n_scales, number, number)
    psi, phi = _morlet.bank(grid, *found)
    n_first, zero = found[-1], (0,) * len(grid)
    assert_allclose(psi[(slice(None), *zero)], 0, atol=1e-15)  # no mean
    assert phi[zero] == 1
    for part in (psi[:n_first], psi[n_first:] if n_first < len(psi) else psi):
        energy = _morlet.littlewood_paley(part, phi)
        assert_allclose(energy.max(), 1, rtol=1e-12)
        if len(grid) == 1:
            assert energy.min() > 0.15
        elif number == 8:
            assert energy.min() > 0.1


@pytest.mark.parametrize(("scales", "angles"), [(1, 8), (2, 8), (3, 4), (2, 3)])
def test_second_wavelets_of_images_are_of_larger_scales(scales, angles):
    options = {"n_scales": scales, "n_angles": angles, "signal_shape": (8, 8)}
    model = fitted(np.ones((1, 64)), **options)
    pairs = scales * (scales - 1) // 2
    assert len(model.paths_) == 1 + scales * angles + angles**2 * pairs
    a, b = model.paths_[1 + scales * angles :].T
    assert np.all(b // angles > a // angles)
    sizes = np.linalg.norm(model.frequencies_, axis=1)
    assert_allclose(sizes, np.repeat(0.375 / 2.0 ** np.arange(scales), angles))


@pytest.mark.parametrize("order", [0, 1])
def test_fewer_orders_are_the_first_channels(order):
    X, options = signals("image")
    every = coefficients(X, **options)
    some = coefficients(X, order=order, **options)
    assert some.shape[1] == [1, 9][order]
    assert_array_equal(some, every[:, : some.shape[1]])


# -- coefficients ---------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_coefficients_are_those_of_sums_in_space(name, dtype):
    X, options = signals(name, dtype=dtype)
    found = coefficients(X, subsampling=1, **options)
    expected = slow(X.astype(float), fitted(X, **options), options)
    assert found.dtype == dtype
    assert_allclose(found, expected, atol=1e-12 if dtype == "float64" else 3e-6)


@pytest.mark.parametrize("name", CASES)
def test_sampled_moduli_change_little(name):
    X, options = signals(name, n=20)
    found, exact = coefficients(X, **options), coefficients(X, subsampling=1, **options)
    grid = X.shape[2:]
    steps = [size // kept for size, kept in zip(grid, found.shape[2:], strict=True)]
    exact = exact[(..., *(slice(None, None, step) for step in steps))]
    assert exact.shape == found.shape
    assert np.linalg.norm(found - exact) < 0.01 * np.linalg.norm(exact)


def test_grids_are_sampled_at_powers_of_two_and_at_least_four_points():
    shapes = {(8, 12): (4, 6), (6, 9): (6, 9), (16, 20): (4, 5), (5, 4): (5, 4)}
    for grid, coarse in shapes.items():
        model = fitted(np.ones((1, *grid)), signal_shape=grid, n_scales=2)
        assert model.signal_shape_ == coarse
    for size, scales in ((28, 3), (64, 4), (8, 2), (2, 1), (300, 4)):
        X = np.ones((1, size, size))
        options = {"signal_shape": (size, size), "order": 0, "n_angles": 1}
        assert fitted(X, **options).n_scales_ == scales
    for size, scales in ((1, 1), (63, 1), (64, 1), (128, 2), (600, 4)):
        assert fitted(np.ones((1, size)), order=0).n_scales_ == scales


def test_channels_are_transformed_on_their_own():
    X, options = signals("channels")
    together = coefficients(X, **options)
    alone = [coefficients(X[:, [c]], **options) for c in range(3)]
    assert_allclose(together, np.concatenate(alone, axis=1), atol=1e-15)


def test_a_constant_has_no_waves(dtype):
    X, options = np.full((2, 64), 3.0, dtype=dtype), {"signal_shape": (8, 8)}
    Z = coefficients(X, n_scales=2, **options)
    assert_allclose(Z[:, 0], 3.0, rtol=1e-6)
    assert_allclose(Z[:, 1:], 0.0, atol=1e-6)
    # rounding errors stay small beside the offsets
    model = ScatteringTransformer(2, **options).fit(X)
    least = 0.2 * 100 * np.finfo(dtype).eps * 3.0
    assert_allclose(model.offsets_[1:], least, rtol=1e-4)
    assert_allclose(model.transform(X).reshape(Z.shape)[:, 1:], 0.0, atol=0.1)


# -- theorems -------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["log", "root", None])
@pytest.mark.parametrize("name", CASES)
def test_shifts_by_the_distance_of_points_shift_the_output(name, activation):
    X, options = signals(name)
    grid, axes = X.shape[2:], tuple(range(2, X.ndim))
    for subsampling in ("auto", 1):
        options |= {"activation": activation, "subsampling": subsampling}
        model = fitted(X, **options)
        shape = (len(X), model.n_channels_, *model.signal_shape_)
        Z = np.reshape(model.transform(flat(X)), shape)
        step = [a // b for a, b in zip(grid, model.signal_shape_, strict=True)]
        for by in itertools.product((0, 1, 2), repeat=len(grid)):
            shift = [k * s for k, s in zip(by, step, strict=True)]
            moved = model.transform(flat(np.roll(X, shift, axes)))
            expected = np.roll(Z, by, axes)
            assert_allclose(np.reshape(moved, shape), expected, atol=1e-7)


# -- beyond the ends ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["series", "image", "odd"])
@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_padded_signals_are_part_of_long_ones(name, padding):
    X, options = signals(name)
    grid = X.shape[2:]
    mode = "constant" if padding == "zero" else "reflect"
    wide = np.pad(X, [(0, 0), (0, 0), *[(64, 64)] * len(grid)], mode=mode)
    exact = coefficients(
        wide, **{**options, "signal_shape": wide.shape[2:], "subsampling": 1}
    )
    for step in (1, 3, "auto"):
        found = coefficients(X, padding=padding, subsampling=step, **options)
        every = [2 ** (a // 4).bit_length() // 2 for a in grid]
        every = [min(4, s) for s in every] if step == "auto" else [step] * len(grid)
        inside = (slice(64, 64 + a, s) for a, s in zip(grid, every, strict=True))
        expected = exact[(..., *inside)]
        assert found.shape == expected.shape
        scale = np.linalg.norm(expected)
        tolerance = 0.01 if step == 1 else 0.02  # moduli are sampled
        assert np.linalg.norm(found - expected) < tolerance * scale


def test_ends_do_not_see_each_other_if_padded():
    X = np.zeros((1, 64))
    X[0, -1] = 1.0
    for padding, seen in (("cyclic", True), ("reflect", False), ("zero", False)):
        Z = coefficients(X, n_scales=2, padding=padding)
        assert (np.max(np.abs(Z[..., 0])) > 0.01) == seen


# -- activation -----------------------------------------------------------------------


def test_activations_keep_the_sign_and_the_unit_does_not_matter(dtype):
    X, options = signals("channels", n=9, dtype=dtype)
    options |= {"signal_shape": (6, 4)}
    raw = coefficients(X, **options)
    assert np.any(raw[:, 0] < 0)

    def transformed(rows, **more):
        model = fitted(rows, **options, **more)
        return model, np.reshape(model.transform(flat(rows)), raw.shape)

    model, Z = transformed(X, activation="root")
    assert not hasattr(model, "offsets_")
    assert_allclose(Z, np.copysign(np.sqrt(np.abs(raw)), raw), rtol=1e-6)
    model, Z = transformed(X, activation="log")
    assert Z.dtype == dtype
    offsets = 0.2 * np.mean(np.abs(raw), axis=(0, 2, 3))
    assert_allclose(model.offsets_, offsets, rtol=1e-6)
    ratio = raw / offsets[:, None, None]
    assert_allclose(Z, np.copysign(np.log1p(np.abs(ratio)), ratio), rtol=1e-5)
    assert_allclose(transformed(1000 * X, activation="log")[1], Z, atol=1e-4)
    model, Z = transformed(X, activation="log", offset=0.5)
    assert_allclose(Z, np.copysign(np.log1p(np.abs(raw) / 0.5), raw), rtol=1e-5)
    assert_array_equal(model.offsets_, 0.5)


def test_offsets_are_those_of_evenly_chosen_samples(monkeypatch):
    X, options = signals("series", n=40)
    monkeypatch.setattr("skredu.lifting._scattering.MAX_ROWS", 4)
    options["activation"] = "log"
    few = fitted(X[[0, 13, 26, 39]], **options)
    assert_allclose(fitted(X, **options).offsets_, few.offsets_)


def test_sizes_far_from_one(dtype):
    X, options = signals("image", dtype=dtype)
    expected = coefficients(X, **options)
    for power in (-100, 100) if dtype == "float32" else (-900, 900):
        found = coefficients(np.ldexp(X, power), **options)
        assert_allclose(np.ldexp(found, -power), expected, rtol=1e-5, atol=1e-6)
    largest = np.full((1, 96), np.finfo(dtype).max)
    largest[0, ::2] *= -1
    for rows in (largest, np.abs(largest)):
        assert np.all(np.isfinite(coefficients(rows, **options)))


# -- grids, blocks, errors ------------------------------------------------------------


def test_grids_are_handed_on():
    X, y = make_shifted_signals(10, n_timesteps=64, random_state=0)
    model = make_invariant_pipeline(64, n_scales=3).fit(X, y)
    assert model[0].signal_shape_ == model[1].signal_shape_ == (8,)
    assert model[1].n_channels_ == model[0].n_channels_ == len(model[0].paths_)
    assert model[0].get_feature_names_out()[:2].tolist() == [
        "scatteringtransformer0_at_0",
        "scatteringtransformer0_at_1",
    ]
    Z = PolarTransformer((8, 8), 2, 16).fit_transform(X)
    after = ScatteringTransformer().fit(Z)
    assert (after._grid, after.n_channels_) == ((16,), 2 * len(after.paths_))
    ConvolutionalLifting(2, random_state=0).fit(after.transform(Z))
    frames = ScatteringTransformer(signal_shape=(8, 8)).set_output(transform="pandas")
    net = InvariantReduNetClassifier(0).fit(frames.fit_transform(X), y)
    assert net.signal_shape_ == (4, 4)
    with pytest.raises(ValueError, match="Bad signal_shape: X contains signals on"):
        after.transform(PolarTransformer((8, 8), 4, 8).fit_transform(X))


def test_pipeline_passes_its_options_on():
    model = make_invariant_pipeline(
        (8, 8), n_layers=2, class_weight="balanced", n_angles=4, padding="reflect"
    )
    assert model[0].get_params()["n_angles"] == 4
    assert model[0].padding == "reflect"
    assert (model[1].n_layers, model[1].class_weight) == (2, "balanced")
    with pytest.raises(TypeError, match="n_angels"):
        make_invariant_pipeline((8, 8), n_angels=4)
    for shape in (0, 2.5, None, "8", (8, 2.5), (), (8, 0)):
        with pytest.raises(ValueError, match="Bad signal_shape"):
            make_invariant_pipeline(shape)


def test_predictions_are_the_same_for_all_shifts_at_all_points():
    X, y = make_shifted_signals(20, n_timesteps=32, random_state=0)
    exact = make_invariant_pipeline(32, subsampling=1).fit(X, y)
    coarse = make_invariant_pipeline(32, n_scales=2).fit(X, y)
    expected = exact.predict_proba(X), coarse.predict_proba(X)
    for shift in range(32):
        moved = np.roll(X, shift, axis=1)
        assert_allclose(exact.predict_proba(moved), expected[0], atol=1e-9)
        tolerance = 1e-9 if shift % 4 == 0 else 0.05
        assert_allclose(coarse.predict_proba(moved), expected[1], atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("grid", [(32, 32), (1024,)])
def test_memory_beside_input_and_result_does_not_grow_with_the_samples(grid):
    options = {"signal_shape": grid, "n_scales": 3, "n_angles": 4}
    model = ScatteringTransformer(**options).fit(RNG.normal(size=(1, 1024)))
    peaks = [peak_of(model.transform, RNG.normal(size=(n, 1024))) for n in (100, 400)]
    assert peaks[1] < 1.1 * peaks[0]
    n_rows = 4 * 2**20 / (8 * 8 * 1024)
    assert peaks[1] < 1.5 * (4 * 2**20 + 4 * n_rows * 8 * model._n_features_out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"signal_shape": (2, 3, 4)}, "Bad signal_shape: must be the length of series"),
        ({"signal_shape": (5, 4)}, "not a multiple"),
        ({"n_scales": 5}, "Bad n_scales: must be at most 4 for a grid of shape"),
        ({"subsampling": 5}, "Bad subsampling: must divide the grid"),
        ({"n_angles": 10**9, "signal_shape": (4, 6)}, "Bad n_angles or quality"),
        ({"quality": 10**6}, "Bad n_angles or quality"),
        ({"offset": 0.0}, "'offset' parameter"),
        ({"order": 3}, "'order' parameter"),
        ({"padding": "wrap"}, "'padding' parameter"),
    ],
)
def test_odd_parameters_are_refused_by_name(options, message):
    model = ScatteringTransformer(**options)

    def refused():
        with pytest.raises(ValueError, match=message):
            model.fit(np.ones((3, 24)))

    assert peak_of(refused) < 2**25
    assert set(vars(model)) == set(model.get_params())
