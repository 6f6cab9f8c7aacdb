"""Log-volumes are precise for every rank, shape and scale."""

import itertools
import math

import mpmath
import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose

from skredu import rates
from skredu.coding import _linalg
from skredu.coding._linalg import factors, inverses, log_volume, volume_gradient

SHAPES = [(1, 1), (1, 6), (6, 1), (3, 6), (6, 3), (5, 5), (12, 8), (8, 12), (30, 4)]
EXPONENTS = [-15, -8, -4, -1, 0, 1, 2, 3, 3.8, 4.2, 5, 6, 7.9, 8.1, 10, 12, 15]


def integer_rows(n, d, rank, seed=0):
    """Draw rows of small integers, whose rank is exact in floating point."""
    rng = np.random.default_rng(seed)
    left = rng.integers(-3, 4, (n, rank))
    left[0, 0] += 7
    right = rng.integers(-3, 4, (rank, d))
    right[0, 0] += 7
    return (left @ right).astype(np.float64)


def relative_error(value, exact):
    with mpmath.workdps(oracle.DIGITS):
        return float(abs(mpmath.mpf(value) - exact) / abs(exact))


def volume_and_oracle(W, condition, **options):
    """Return our log-volume and the exact one for ``c |S|`` equal to ``condition``."""
    log_scale = 0.5 * math.log(condition) - math.log(np.linalg.norm(W, 2))
    with mpmath.workdps(oracle.DIGITS):
        exact = oracle.log_volume(W, mpmath.exp(2 * mpmath.mpf(log_scale)))
    return log_volume(W, log_scale=log_scale, **options), exact


@pytest.mark.parametrize("shape", SHAPES)
def test_log_volume_of_rows_of_any_rank_keeps_twelve_digits(shape):
    least = min(shape)
    ranks = {1, max(1, least // 2), max(1, least - 1)}
    cases = [integer_rows(*shape, rank, seed=rank) for rank in ranks]
    cases.append(np.random.default_rng(3).standard_normal(shape))
    for exponent, W in itertools.product(EXPONENTS, cases):
        value, exact = volume_and_oracle(W, 10.0**exponent)
        assert relative_error(value, exact) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("rank", [1, 4, 25])
@pytest.mark.parametrize("shape", [(200, 150), (40, 25)])
def test_log_volume_of_many_null_directions_keeps_twelve_digits(shape, rank):
    rng = np.random.default_rng(0)
    left = rng.integers(-3, 4, (shape[0], rank))
    right = rng.integers(-3, 4, (rank, shape[1]))
    W = (left @ right).astype(np.float64)
    with mpmath.workdps(oracle.DIGITS):
        # I + c S has the determinant of I + c A B, of the size of the rank
        A, B = (mpmath.matrix((F.T @ F).tolist()) for F in (left, right.T))
        for exponent in (1, 3, 3.5, 4, 4.5, 7, 15):
            log_scale = 0.5 * math.log(10.0**exponent) - math.log(np.linalg.norm(W, 2))
            c = mpmath.exp(2 * mpmath.mpf(log_scale))
            exact = mpmath.log(mpmath.det(mpmath.eye(rank) + c * A * B))
            for given in (W, W.T):
                found = log_volume(given, log_scale=log_scale)
                assert relative_error(found, exact) < 1e-12


def test_only_ill_conditioned_samples_need_singular_values(monkeypatch):
    """They take several times as long as a Cholesky factor."""
    X = np.random.default_rng(0).normal(size=(90, 60))
    exact = np.linalg.slogdet(np.eye(60) + 60 / 90 / 0.1**2 * X.T @ X)[1] / 2.0

    def refuse(W):
        raise AssertionError(W.shape)

    monkeypatch.setattr(np.linalg, "svdvals", refuse)
    found = rates.coding_rate(X, epsilon=0.1)
    assert_allclose(found, exact, rtol=1e-12)
    for rows in (X[:, :30] @ X[:30], X * np.logspace(0, -9, 60)):
        with pytest.raises(AssertionError):
            rates.coding_rate(rows, epsilon=0.1)


def test_log_volume_never_overflows():
    for rows, scale in itertools.product(
        [1e-150, 1e-8, 1.0, 1e8, 1e150, 1e300], [1e-300, 1e-150, 1e-8, 1.0, 1e8, 1e150]
    ):
        W = integer_rows(6, 4, 2)
        value = log_volume(W * rows, log_scale=math.log(scale))
        with mpmath.workdps(1000):
            factor = (mpmath.mpf(rows) * mpmath.mpf(scale)) ** 2
            exact = oracle.log_volume(W, factor, digits=1000)
            if exact < 1e-290:
                assert 0.0 <= value < 1e-290
            else:
                assert float(abs(value - exact) / exact) < 1e-12


def test_log_volume_of_denormal_rows():
    tiny = np.nextafter(0.0, 1.0)
    W = np.array([[2.0, 4.0], [-6.0, 4.0]])
    value = log_volume(W * tiny, log_scale=-math.log(tiny))
    assert_allclose(value, math.log(np.linalg.det(np.eye(2) + W.T @ W)), rtol=1e-12)


@pytest.mark.parametrize("shape", [(0, 3), (3, 2)])
def test_log_volume_and_gradient_of_nothing_are_zero(shape):
    assert log_volume(np.zeros(shape), log_scale=700.0) == 0.0
    gradient = volume_gradient(np.zeros(shape), log_scale=700.0)
    assert gradient.shape == shape
    assert not gradient.any()


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_of_rank_deficient_rows_agrees_with_exact_arithmetic(shape):
    for exponent in [-8, 0, 2, 3.9, 4.1, 6, 8, 12, 15]:
        W = integer_rows(*shape, max(1, min(shape) // 2))
        log_scale = 0.5 * exponent * math.log(10.0) - math.log(np.linalg.norm(W, 2))
        with mpmath.workdps(oracle.DIGITS):
            A = mpmath.matrix(W.tolist())
            c = mpmath.exp(2 * mpmath.mpf(log_scale))
            exact = c * A * mpmath.inverse(mpmath.eye(shape[1]) + c * (A.T * A))
        exact = np.array(exact.tolist(), dtype=np.float64)
        gradient = volume_gradient(W, log_scale=log_scale)
        assert_allclose(gradient, exact, rtol=0, atol=2e-12 * np.abs(exact).max())


def test_gradient_at_any_scale_tends_to_the_pseudoinverse():
    W = np.random.default_rng(1).standard_normal((7, 4))
    for log_scale in (30.0, 300.0, 800.0):
        gradient = volume_gradient(W, log_scale=log_scale)
        assert_allclose(gradient, np.linalg.pinv(W).T, rtol=1e-10)


@pytest.mark.parametrize("shape", [(1, 5), (3, 4), (2, 40)])
@pytest.mark.parametrize("i", [0.0, 1.0j])
def test_inverses_and_log_determinants_of_stacks(shape, i):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(*shape, 6)) + i * rng.normal(size=(*shape, 6))
    S, eye = A @ A.conj().transpose(0, 2, 1), np.eye(shape[1])
    L, logs = factors(S.copy())
    inverse = inverses(S.copy(), L)
    assert_allclose(inverse @ (eye + S), eye + 0.0 * S, atol=1e-10)
    assert_allclose(logs, np.linalg.slogdet(eye + S)[1])


def test_every_namespace_and_precision_agrees_with_numpy(xp, dtype):
    for shape, log_scale in itertools.product(
        [(4, 7), (7, 4), (20, 3)], [-6.0, 1.0, 4.0, 16.0]
    ):
        W = integer_rows(*shape, 2)
        ours = xp.asarray(W, dtype=dtype)
        volume = log_volume(ours, log_scale=log_scale)
        assert volume.shape == ()
        assert_allclose(float(volume), log_volume(W, log_scale=log_scale), rtol=1e-13)
        gradient = volume_gradient(ours, log_scale=log_scale)
        assert gradient.dtype == xp.float64
        assert_allclose(
            xp.to_numpy(gradient),
            volume_gradient(W, log_scale=log_scale),
            rtol=1e-9,
            atol=1e-9 * math.exp(min(log_scale, 0.0)),
        )


def test_wide_rows_never_make_a_square_of_the_wide_side():
    W = np.random.default_rng(0).standard_normal((3, 20_000))  # its square: 3.2 GB
    for log_scale in (-9.0, -3.0, 30.0):
        assert log_volume(W, log_scale=log_scale) > 0.0
        assert volume_gradient(W, log_scale=log_scale).shape == W.shape


def test_rank_counts_what_rounding_does_not_explain():
    sigma = np.array([1.0, 1e-3, 1e-17])
    assert _linalg.rank_of(sigma, (5, 3)) == 2
    assert _linalg.rank_of(sigma.astype(np.float32), (5, 3)) == 2
    assert _linalg.rank_of(sigma[:0], (0, 3)) == 0


def test_largest_entry_by_absolute_value():
    assert _linalg.largest(np.array([[1.0, -3.0]])) == 3.0
    assert _linalg.largest(np.empty((0, 4))) == 0.0
