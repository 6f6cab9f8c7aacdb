"""Count, mean and scatter are exact up to rounding in every order of merging."""

import itertools
from fractions import Fraction
from functools import reduce
from itertools import pairwise

import numpy as np
import oracle
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skredu.coding._scatter import Scatter, _two_sum, centre

EPS = float(np.finfo(np.float64).eps)
FINE = [np.inf, 1e-12]  # distortions: a matrix or a root with many rows
OFFSETS = [0.0, 1.0, -1e8]


def rows(n, d, *, offset=0.0, seed=0):
    return offset + np.random.default_rng(seed).standard_normal((n, d))


def weights_of(n, seed=0):
    weights = np.random.default_rng(seed).uniform(0.2, 3.0, n)
    weights[n // 2] = 0.0
    return weights


def assert_exact(scatter, X, weights=None, *, rounding=8.0):
    """Assert agreement with exact fractions up to rounding of the largest entry."""
    n, mean, S = oracle.scatter(X, weights, assume_centered=scatter.assume_centered)
    size = max(float(S[a][a]) for a in range(len(mean)))
    assert_allclose(scatter.count, float(n), rtol=8 * EPS)
    offset = np.abs(np.asarray(X)).max()
    assert oracle.distance(scatter.mean, mean) <= rounding * EPS * offset
    bound = rounding * EPS * len(X) ** 0.5 * size
    assert oracle.distance(scatter.dense(), S) <= bound
    trace = sum(S[a][a] for a in range(len(mean)))
    assert oracle.distance([scatter.trace], [trace]) <= bound * len(mean)


def chunks(X, weights, cuts):
    for start, stop in pairwise([0, *cuts, len(X)]):
        yield X[start:stop], None if weights is None else weights[start:stop]


def merged(parts, **options):
    """Return the merged scatter of parts of rows and weights."""
    return reduce(
        Scatter.merge, (Scatter.from_rows(*part, **options) for part in parts)
    )


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("shape", [(1, 3), (2, 5), (4, 4), (40, 3), (60, 6)])
def test_scatter_of_rows_is_exact(shape, assume_centered):
    for epsilon, weighted, offset in itertools.product(FINE, [False, True], OFFSETS):
        X = rows(*shape, offset=offset)
        weights = weights_of(shape[0]) + (shape[0] == 1) if weighted else None
        scatter = Scatter.from_rows(
            X, weights, assume_centered=assume_centered, epsilon=epsilon
        )
        assert_exact(scatter, X, weights)


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("cuts", [[1], [20], [1, 2, 3, 4], [5, 10, 30], range(1, 40)])
def test_adding_chunks_is_exact(cuts, assume_centered):
    for epsilon, weighted, offset in itertools.product(FINE, [False, True], OFFSETS):
        X = rows(40, 6, offset=offset)
        weights = weights_of(40) if weighted else None
        options = {"assume_centered": assume_centered, "epsilon": epsilon}
        scatter = merged(chunks(X, weights, cuts), **options)
        assert_exact(scatter, X, weights, rounding=20.0)


@pytest.mark.parametrize("offset", OFFSETS)
def test_merging_in_any_order_is_exact(offset):
    for epsilon, seed in itertools.product(FINE, range(3)):
        rng = np.random.default_rng(seed)
        X = rows(30, 5, offset=offset) + 3.0 * rng.integers(0, 4, (30, 1))
        cuts = np.sort(rng.choice(np.arange(1, 30), 6, replace=False))
        parts = [
            Scatter.from_rows(part, epsilon=epsilon)
            for part, _ in chunks(X, None, cuts)
        ]
        while len(parts) > 1:
            rng.shuffle(parts)
            parts.append(parts.pop().merge(parts.pop()))
        assert_exact(parts[0], X, rounding=20.0)


def test_the_empty_scatter_is_neutral():
    scatter = Scatter.from_rows(rows(5, 3))
    for empty in (
        Scatter.from_rows(np.empty((0, 3))),
        Scatter.from_rows(rows(4, 3), np.zeros(4)),
    ):
        assert empty.count == 0.0
        assert empty.root.shape == (0, 3)
        assert scatter.merge(empty) is scatter
        assert empty.merge(scatter) is scatter


def test_equal_rows_and_a_constant_column_have_exactly_no_scatter():
    X = np.tile([0.1, 1e8 / 3, -1e-9], (7, 1))
    scatter = Scatter.from_rows(X, np.linspace(0.1, 1, 7), epsilon=FINE[1])
    assert scatter.trace == 0.0
    assert_array_equal(scatter.mean, X[0])
    assert scatter.merge(Scatter.from_rows(X)).trace == 0.0
    X = rows(50, 4)
    X[:, 2] = 0.1
    S = Scatter.from_rows(X).dense()
    assert not S[2].any()
    assert not S[:, 2].any()


def test_an_absent_row_may_be_far_away_and_a_lone_outlier_costs_no_digits():
    X, weights = rows(6, 3), np.ones(6)
    X[2], weights[2] = 1e150, 0.0
    kept = np.delete(X, 2, axis=0)
    for copies in (1.0, 3.0):
        scatter = Scatter.from_rows(X, copies * weights)
        assert_exact(scatter, kept, np.full(5, copies))
    X, weights = rows(30, 2), np.ones(30)
    X[0], weights[0] = 1e9, 1e-18
    assert_exact(Scatter.from_rows(X, weights), X, weights)


@pytest.mark.parametrize(
    ("scale", "count"),
    [
        *((10.0**p, 1.0) for p in (-150, -8, 8, 150)),
        (1, 1e-150),
        (1, 1e150),
        (1, 1e300),
    ],
)
def test_extreme_scales_and_counts(scale, count):
    X, weights = rows(9, 3), np.full(9, count)
    parts = slice(5), slice(5, 9)
    scatter = merged([(X[part] * scale, weights[part]) for part in parts])
    expected = Scatter.from_rows(X)
    assert_allclose(scatter.count / count, 9.0)
    assert_allclose(scatter.mean / scale, expected.mean, rtol=1e-12)
    found = scatter.dense() / scale / scale / count
    assert_allclose(found, expected.dense(), rtol=1e-11)


def test_root_of_rows_is_the_centred_weighted_rows_in_their_order():
    X, weights = rows(4, 6), np.array([1.0, 2.0, 0.0, 0.5])
    scatter = Scatter.from_rows(X, weights)
    count, mean, _, centred = centre(X, weights)
    assert (scatter.count, count) == (3.5, 3.5)
    assert scatter.matrix is None
    assert_array_equal(scatter.root, centred)
    assert_allclose(centred, np.sqrt(weights)[:, None] * (X - mean), atol=1e-15)


def test_wide_rows_never_make_a_square_matrix():
    X = rows(6, 20_000)  # the square would take 3.2 GB
    scatter = merged([(X[:4],), (X[4:],)])
    assert scatter.matrix is None
    assert scatter.root.shape[0] <= 8
    assert scatter.mean.shape == (20_000,)
    assert_allclose(scatter.trace, Scatter.from_rows(X).trace, rtol=1e-12)


@pytest.mark.parametrize("epsilon", FINE)
def test_the_held_array_never_exceeds_a_square(epsilon):
    X = rows(50, 4)
    scatter = merged([(part,) for part in np.array_split(X, 25)], epsilon=epsilon)
    held, other = scatter.matrix, scatter.root
    if epsilon == FINE[1]:
        held, other = other, held
    assert held.shape == (4, 4)
    assert other is None


def test_a_precise_root_keeps_null_directions_null():
    line = np.outer(np.arange(40.0), [1.0, 2.0, 3.0])
    scatter = merged([(line[:20],), (line[20:],)], epsilon=FINE[1])
    sigma = np.linalg.svd(scatter.root, compute_uv=False)
    assert sigma[1] < 1e-14 * sigma[0]


def test_two_sum_is_exact_whichever_is_larger():
    a = np.array([1e8 / 3, 1e-9 / 7, -0.1, 1e300, 0.1])
    for left, right in ((a, a[::-1]), (a, -a / 3), (a[::-1], a)):
        total, rest = _two_sum(left, right)
        for x, y, hi, lo in zip(left, right, total, rest, strict=True):
            exact = Fraction(float(x)) + Fraction(float(y))
            assert Fraction(float(hi)) + Fraction(float(lo)) == exact


def test_merging_both_forms():
    X = rows(20, 6)
    wide, tall = Scatter.from_rows(X[:4]), Scatter.from_rows(X[4:])
    assert wide.matrix is None
    assert tall.root is None
    assert_exact(wide.merge(tall), X, rounding=20.0)
    assert_exact(tall.merge(wide), X, rounding=20.0)


def test_every_namespace_and_precision_agrees(xp, dtype):
    for origin, weighted, shape in itertools.product(
        [False, True], [False, True], [(9, 4), (5, 12)]
    ):
        X = np.round(rows(*shape) * 8.0)
        weights = np.arange(1.0, shape[0] + 1.0) if weighted else None
        ours = built(X, weights, origin, lambda part: xp.asarray(part, dtype=dtype))
        expected = built(X, weights, origin, np.asarray)
        tolerance = 200 * float(np.finfo(dtype).eps)
        for scatter, reference in zip(ours, expected, strict=True):
            assert scatter.count == reference.count
            assert scatter.mean.dtype == scatter.dense().dtype == getattr(xp, dtype)
            mean, S = xp.to_numpy(scatter.mean), xp.to_numpy(scatter.dense())
            assert_allclose(mean, reference.mean, atol=tolerance * 8)
            assert_allclose(S, reference.dense(), atol=tolerance * reference.trace)


def built(X, weights, assume_centered, asarray):
    """Return the scatter of the first of three parts of rows, and of all."""
    W = [None] * 3
    if weights is not None:
        W = [*map(asarray, np.split(weights, [2, 4]))]
    parts = zip([asarray(part) for part in np.split(X, [2, 4])], W, strict=True)
    parts, options = list(parts), {"assume_centered": assume_centered}
    return Scatter.from_rows(*parts[0], **options), merged(parts, **options)


def test_arguments_and_a_scatter_are_not_changed():
    X, weights = rows(8, 3), weights_of(8)
    before = X.copy(), weights.copy()
    scatter = merged([(X, weights), (X, weights)])
    assert scatter.count > 0.0
    assert_array_equal(X, before[0])
    assert_array_equal(weights, before[1])
    with pytest.raises(AttributeError):
        scatter.count = 4.0
