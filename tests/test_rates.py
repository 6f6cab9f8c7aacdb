"""Coding lengths and rates agree with exact arithmetic; wrong arguments are named."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import oracle
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from numpy.testing import assert_allclose

from skredu import rates

WITHOUT_LABELS = ["coding_length", "coding_rate"]
WITH_LABELS = [
    "partition_coding_length",
    "class_coding_rate",
    "rate_reduction",
    "rate_reduction_gradient",
]
EVERY = WITHOUT_LABELS + WITH_LABELS
SCALARS = [name for name in EVERY if name != "rate_reduction_gradient"]
AFFINE = ["coding_length", "partition_coding_length"]
SHAPES = [(1, 1), (1, 4), (2, 3), (4, 6), (6, 6), (7, 6), (25, 3)]
# Distortions, relative to the size of the rows: c |S| from 1e-6 to 1e15 and more.
DISTORTIONS = [1e3, 10.0, 1.0, 0.1, 1e-2, 1e-3, 1e-5, 3e-8]


def problem(shape, rank=None, seed=0):
    """Return rows of small integers, three classes, memberships, and exact weights."""
    rng = np.random.default_rng(seed)
    n, d = shape
    rank = min(n, d) if rank is None else rank
    X = rng.integers(-3, 4, (n, rank)) @ rng.integers(-3, 4, (rank, d))
    X[0, 0] += 5
    y = np.arange(n) % 3
    Pi = rng.integers(0, 5, (n, 3)) / 16.0
    Pi[:, 2] = 1.0 - Pi[:, 0] - Pi[:, 1]
    weights = rng.integers(0, 9, n) / 4.0
    weights[0] += 1.0
    return X.astype(np.float64), y, Pi, weights


def call(name, X, y, module=rates, **options):
    function = getattr(module, name)
    return (
        function(X, **options) if name in WITHOUT_LABELS else function(X, y, **options)
    )


def assert_as_exact(name, X, y, rtol=1e-12, **options):
    value = call(name, X, y, **options)
    exact = call(name, X, y, module=oracle, **options)
    size = abs(exact)
    if name == "rate_reduction":  # a difference: digits are those of its terms
        options.pop("digits", None)
        size = oracle.coding_rate(
            X, epsilon=options["epsilon"], weights=options["weights"]
        )
    with mpmath.workdps(oracle.DIGITS):
        assert abs(mpmath.mpf(value) - exact) <= rtol * size
    assert type(value) is float


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SCALARS)
def test_values_keep_twelve_digits_at_every_rank(name, shape):
    for epsilon in DISTORTIONS[::2]:
        for rank in {1, max(1, min(shape) // 2), min(shape)}:
            X, y, Pi, weights = problem(shape, rank)
            for labels, share in ((y, weights), (Pi, None)):
                assert_as_exact(name, X, labels, epsilon=epsilon, weights=share)


@pytest.mark.parametrize("name", AFFINE)
def test_lengths_around_the_origin_keep_twelve_digits(name):
    for epsilon, shape in itertools.product(DISTORTIONS, SHAPES):
        X, y, _, weights = problem(shape, 1)
        options = {"epsilon": epsilon, "assume_centered": True}
        assert_as_exact(name, X, y, weights=weights, **options)


@pytest.mark.parametrize("name", SCALARS)
def test_values_of_rows_in_general_position_keep_twelve_digits(name):
    _, y, _, weights = problem((12, 5))
    normal = np.random.default_rng(0).standard_normal((12, 5))
    for share in (None, weights):
        for epsilon in DISTORTIONS:
            assert_as_exact(name, normal + 1.0, y, epsilon=epsilon, weights=share)
        for epsilon in (1e2, 1.0, 1e-2) if name in AFFINE else ():
            assert_as_exact(name, normal + 1e8, y, epsilon=epsilon, weights=share)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCALARS)
def test_extreme_rows_and_distortions_do_not_overflow(name):
    for rows, epsilon in itertools.product(
        [1e-150, 1e-8, 1.0, 1e8, 1e150], [1e-150, 1e-8, 1e8, 1e150]
    ):
        X, y, _, weights = problem((6, 4), 2)
        X = X * rows
        value = call(name, X, y, epsilon=epsilon, weights=weights)
        exact = call(name, X, y, oracle, epsilon=epsilon, weights=weights, digits=1500)
        # What rounding leaves in directions that hold nothing counts from 1e30 on.
        tolerance = 1e-12 if name != "rate_reduction" else 1e-10
        assert_allclose(value, float(exact), rtol=tolerance, atol=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_denormal_rows_and_distortions(name):
    tiny = np.nextafter(0.0, 1.0)
    X = np.array([[2.0, 0.0], [4.0, 1.0], [1.0, 3.0]])
    y = [0, 0, 1]
    if name == "rate_reduction_gradient":
        value = call(name, X * 1e-305, y, epsilon=3e-305) * 1e-305
        assert_allclose(value, call(name, X, y, epsilon=3.0), rtol=1e-10)
    else:
        value = call(name, X * tiny, y, epsilon=3.0 * tiny)
        assert_allclose(value, call(name, X, y, epsilon=3.0), rtol=1e-12)
        assert call(name, X * tiny, y, epsilon=1.0) == (
            pytest.approx(3 * (math.log2(3) - 2 / 3))
            if name == "partition_coding_length"
            else 0.0
        )


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1), (3, 3), (4, 2), (2, 4)])
def test_gradient_is_the_derivative_by_every_entry(shape):
    for epsilon, rank, soft in itertools.product(
        [10.0, 1.0, 0.1, 1e-2, 1e-4], {1, min(shape)}, [False, True]
    ):
        Z, y, Pi, weights = problem(shape, rank)
        options = {
            "epsilon": epsilon,
            "weights": weights if soft != (rank > 1) else None,
        }
        labels = Pi if soft else y
        exact = oracle.rate_reduction_gradient(Z, labels, **options)
        gradient = rates.rate_reduction_gradient(Z, labels, **options)
        size = max(1.0, float(np.abs(Z).max()) / epsilon) / epsilon
        assert_allclose(gradient, exact, rtol=1e-9, atol=1e-13 * size)


@pytest.mark.parametrize("name", EVERY)
def test_every_namespace_and_precision_agrees(xp, dtype, name):
    X, y, Pi, weights = problem((9, 4), 3)
    X = X / 4.0
    ours = xp.asarray(X, dtype=dtype)
    for labels, as_labels in ((y, None), (Pi, dtype)):
        for share in (None, weights):
            value = call(
                name,
                ours,
                xp.asarray(labels, dtype=as_labels),
                epsilon=0.3,
                weights=None if share is None else xp.asarray(share, dtype=dtype),
            )
            expected = call(name, X, labels, epsilon=0.3, weights=share)
            if name == "rate_reduction_gradient":
                assert value.dtype == getattr(xp, dtype)
                value = xp.to_numpy(value)
                tolerance = 1e-12 if dtype == "float64" else 1e-5
                assert_allclose(value, expected, rtol=0, atol=tolerance)
            else:
                assert type(value) is float
                assert_allclose(value, expected, rtol=1e-12)


def test_labels_may_be_numpy_beside_rows_of_another_namespace(xp):
    X, y, _, _ = problem((6, 3))
    names = np.array(["a", "b", "c"])[y]
    value = rates.rate_reduction(xp.asarray(X), names, epsilon=1.0)
    assert_allclose(value, rates.rate_reduction(X, y, epsilon=1.0), rtol=1e-14)


@pytest.mark.parametrize("name", EVERY)
def test_memory_order_and_kind_of_table_do_not_matter(name):
    X, y, _, weights = problem((7, 3))
    expected = call(name, X, y, epsilon=0.5, weights=weights)
    tables = [
        np.asfortranarray(X),
        np.repeat(X, 2, axis=1)[:, ::2],
        X.astype(np.int16),
        X.tolist(),
        pd.DataFrame(X),
        pl.DataFrame(X),
    ]
    for table in tables:
        value = call(name, table, list(y), epsilon=0.5, weights=list(weights))
        assert_allclose(value, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", WITH_LABELS)
def test_a_class_without_weight_is_absent(name):
    X, y, Pi, _ = problem((9, 3))
    weights = np.where(y == 1, 0.0, 2.0)
    kept = weights > 0.0
    value = call(name, X, y, epsilon=0.5, weights=weights)
    expected = call(name, X[kept], y[kept], epsilon=0.5, weights=weights[kept])
    if name == "rate_reduction_gradient":
        assert not value[~kept].any()
        value = value[kept]
    assert_allclose(value, expected, rtol=1e-13, atol=1e-14)
    Pi = np.column_stack([Pi, np.zeros(9)])
    value = call(name, X, Pi, epsilon=0.5)
    assert_allclose(value, call(name, X, Pi[:, :3], epsilon=0.5), atol=1e-14)


@pytest.mark.parametrize("name", EVERY)
def test_one_number_as_weights_holds_for_every_row_and_no_weights_overflow(name):
    X, y, _, weights = problem((6, 3))
    value = call(name, X, y, epsilon=0.5, weights=2.0)
    expected = call(name, X, y, epsilon=0.5, weights=np.full(6, 2.0))
    assert_allclose(value, expected, rtol=0)
    for share in [1e-300, 1e-150, 1e150, 1e300]:
        value = call(name, X, y, epsilon=0.5, weights=weights * share)
        assert np.all(np.isfinite(value))
        if name not in AFFINE:  # rates know nothing of a common factor
            expected = call(name, X, y, epsilon=0.5, weights=weights)
            assert_allclose(value, expected, rtol=1e-12, atol=1e-13)


def test_weights_at_both_ends_of_the_floating_range():
    X, y = problem((3, 2))[0], [0, 0, 1]
    tiny = np.nextafter(0.0, 1.0)
    assert_allclose(
        rates.rate_reduction(X, y, epsilon=0.5, weights=np.full(3, tiny)),
        rates.rate_reduction(X, y, epsilon=0.5),
        rtol=1e-12,
    )
    uneven = np.array([1e300, 1e300, tiny])  # their ratio is no floating-point number
    for name in ("partition_coding_length", "class_coding_rate", "rate_reduction"):
        value = call(name, X, y, epsilon=0.5, weights=uneven)
        exact = call(name, X, y, oracle, epsilon=0.5, weights=uneven, digits=800)
        rate = rates.coding_rate(X, epsilon=0.5)
        assert_allclose(value, float(exact), rtol=1e-12, atol=1e-14 * rate)


@pytest.mark.parametrize("name", EVERY)
def test_counts_do_not_round_in_single_precision(name):
    X, y = problem((3, 2))[0], [0, 0, 1]
    weights = np.array([2.0**24, 1.0, 1.0])  # in single precision their sum is 2^24
    value = call(
        name, X.astype(np.float32), y, epsilon=0.5, weights=weights.astype(np.float32)
    )
    expected = call(name, X, y, epsilon=0.5, weights=weights)
    rtol = 1e-6 if name == "rate_reduction_gradient" else 1e-13
    assert_allclose(value, expected, rtol=rtol, atol=1e-14)


def test_constant_columns_one_class_and_zeros():
    X, _, _, _ = problem((8, 3))
    X[:, 1] = 0.1
    for epsilon in (1.0, 1e-6):
        assert_as_exact("coding_length", X, None, epsilon=epsilon)
        assert rates.rate_reduction(X, np.zeros(8), epsilon=epsilon) == 0.0
        gradient = rates.rate_reduction_gradient(X, np.zeros(8), epsilon=epsilon)
        assert not gradient.any()
        whole = rates.coding_length(X, epsilon=epsilon)
        assert rates.partition_coding_length(X, ["a"] * 8, epsilon=epsilon) == whole
    X, y = np.zeros((4, 3)), [0, 1, 0, 1]  # only their labels take bits
    assert rates.coding_length(X, epsilon=0.1) == 0.0
    assert rates.rate_reduction(X, y, epsilon=0.1) == 0.0
    assert rates.partition_coding_length(X, y, epsilon=0.1) == pytest.approx(4.0)
    assert not rates.rate_reduction_gradient(X, y, epsilon=0.1).any()


# -- closed forms ---------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 5, 40])
@pytest.mark.parametrize("epsilon", [1e-6, 0.3, 1.0, 1e4])
def test_rates_of_orthogonal_lines_in_closed_form(k, epsilon):
    Z = np.linalg.qr(np.random.default_rng(0).normal(size=(k, k)))[0]
    whole = k / 2 * math.log1p(1 / epsilon**2)
    assert_allclose(rates.coding_rate(Z, epsilon=epsilon), whole, rtol=1e-12)
    within = rates.class_coding_rate(Z, np.arange(k), epsilon=epsilon)
    assert_allclose(within, math.log1p(k / epsilon**2) / 2, rtol=1e-12)


@pytest.mark.parametrize("epsilon", [1e-5, 0.1, 100.0])
def test_length_of_a_single_row_in_closed_form(epsilon):
    x = np.array([[3.0, -4.0, 12.0]])
    affine = 3 / 2 * math.log2(1 + 169 / epsilon**2)
    linear = (1 + 3) / 2 * math.log2(1 + 3 * 169 / epsilon**2)
    assert_allclose(rates.coding_length(x, epsilon=epsilon), affine, rtol=1e-10)
    found = rates.coding_length(x, epsilon=epsilon, assume_centered=True)
    assert_allclose(found, linear, rtol=1e-10)


@pytest.mark.parametrize("epsilon", [0.2, 1.0, 3.0])
def test_extra_bits_in_a_large_group_tend_to_those_of_a_regularised_gaussian(epsilon):
    rng = np.random.default_rng(0)
    d = 3
    X = rng.standard_normal((20, d)) @ rng.standard_normal((d, d)) + 1.0
    x = np.array([1.0, -1.0, 2.0])
    mean, cov = X.mean(axis=0), np.cov(X.T, bias=True)
    regularised = cov + epsilon**2 / d * np.eye(d)
    away = x - mean
    limit = 0.5 * np.linalg.slogdet(np.eye(d) + d / epsilon**2 * cov)[1]
    limit += 0.5 * away @ np.linalg.solve(regularised, away)
    limit -= 0.5 * np.trace(np.linalg.solve(regularised, cov))

    def gap(n):
        weights = np.append(np.full(20, n / 20), 1.0)
        longer = rates.coding_length(
            np.vstack([X, x]), epsilon=epsilon, weights=weights
        )
        shorter = rates.coding_length(X, epsilon=epsilon, weights=weights[:20])
        return abs((longer - shorter) * math.log(2) - limit)

    gaps = [gap(n) for n in (1e3, 1e4, 1e5)]
    assert gaps[0] < 0.2
    for gap_before, gap_after in itertools.pairwise(gaps):  # order 1/n
        assert_allclose(gap_after, gap_before / 10, rtol=0.1)


# -- labels of every kind, and invalid arguments --------------------------------------

ROWS = np.random.default_rng(0).standard_normal((6, 3))
LABELS = {
    "integers": [0, 0, 1, 2, 1, 2],
    "negative integers": [-5, -5, 7, 9, 7, 9],
    "floats": [0.5, 0.5, 1.5, 2.5, 1.5, 2.5],
    "strings": ["b", "b", "a", "c", "a", "c"],
    "objects": np.array(["b", "b", "a", "c", "a", "c"], dtype=object),
    "bytes": np.array([b"b", b"b", b"a", b"c", b"a", b"c"]),
    "dates": np.array([1, 1, 2, 3, 2, 3], dtype="datetime64[D]"),
    "pandas": pd.Series([3, 3, 1, 2, 1, 2], index=list("uvwxyz")),
    "pandas strings": pd.Series(["b", "b", "a", "c", "a", "c"]),
    "pandas categories": pd.Series(["b", "b", "a", "c", "a", "c"], dtype="category"),
    "pandas integers": pd.Series([3, 3, 1, 2, 1, 2], dtype="Int64"),
    "polars": pl.Series([3, 3, 1, 2, 1, 2]),
    "polars strings": pl.Series(["b", "b", "a", "c", "a", "c"]),
    "tuple": (0, 0, 1, 2, 1, 2),
    "one-hot integers": np.eye(3, dtype=int)[[0, 0, 1, 2, 1, 2]],
    "one-hot booleans": np.eye(3, dtype=bool)[[0, 0, 1, 2, 1, 2]],
    "one-hot single precision": np.eye(3, dtype=np.float32)[[0, 0, 1, 2, 1, 2]],
    "one-hot lists": np.eye(3)[[0, 0, 1, 2, 1, 2]].tolist(),
    "pandas one-hot": pd.get_dummies(pd.Series(["b", "b", "a", "c", "a", "c"])),
    "polars one-hot": pl.DataFrame(np.eye(3)[[0, 0, 1, 2, 1, 2]]),
}


@pytest.mark.parametrize("name", WITH_LABELS)
def test_labels_of_every_kind_mean_the_same(name):
    expected = call(name, ROWS, np.array([0, 0, 1, 2, 1, 2]), epsilon=0.5)
    for kind, labels in LABELS.items():
        value = call(name, ROWS, labels, epsilon=0.5)
        assert_allclose(value, expected, rtol=1e-13, atol=1e-14, err_msg=kind)


def test_labels_may_be_booleans_and_memberships_rounded_to_single_precision():
    y = ROWS[:, 0] > 0
    value = rates.rate_reduction(ROWS, y, epsilon=1.0)
    assert_allclose(value, rates.rate_reduction(ROWS, y.astype(int), epsilon=1.0))
    rng = np.random.default_rng(0)
    X, Pi = rng.standard_normal((20, 3)), rng.dirichlet(np.ones(3), 20)
    value = rates.rate_reduction(X, Pi.astype(np.float32), epsilon=1.0)
    assert_allclose(value, rates.rate_reduction(X, Pi, epsilon=1.0), rtol=1e-6)
    one = np.full((20, 1), 1.0 + 5e-5)  # sums to one after all: the reduction is zero
    assert_allclose(rates.rate_reduction(X, one, epsilon=1.0), 0.0, atol=1e-14)


# -- bad input ------------------------------------------------------------------------

GOOD = np.arange(12.0).reshape(6, 2)
GOOD_LABELS = [0, 1, 0, 1, 0, 1]
BAD_EPSILON = [
    *(0, 0.0, -1.0, math.nan, math.inf, -math.inf, np.int64(0)),
    *(True, False, np.True_, "0.1", None, [0.1], np.array([0.1]), 1j, 10**400),
]
BAD_ROWS = {
    "one-dimensional": (np.ones(6), "2D array, got 1D"),
    "a number": (3.0, "2D array, got scalar"),
    "three-dimensional": (np.ones((6, 2, 2)), "dim 3"),
    "NaN": (np.where(GOOD == 3, np.nan, GOOD), "contains NaN"),
    "infinite": (np.where(GOOD == 3, np.inf, GOOD), "contains infinity"),
    "no rows": (np.empty((0, 2)), "0 sample"),
    "no columns": (np.empty((6, 0)), "0 feature"),
    "complex": (GOOD * 1j, "Complex"),
    "sparse": (scipy.sparse.csr_array(GOOD), "Sparse data"),
    "strings": (np.full((6, 2), "a"), "could not convert|numeric"),
    "objects": (np.full((6, 2), object()), "float"),
    "missing": (None, "scalar|None"),
    "ragged": ([[1.0, 2.0], [1.0]], "inhomogeneous"),
    "dates": (GOOD.astype("datetime64[D]"), "real numbers"),
    "durations in a list": ([[np.timedelta64(3, "s")] * 2] * 6, "real numbers"),
    "frame of dates": (pd.DataFrame(GOOD.astype("datetime64[ns]")), "real numbers"),
}
BAD_WEIGHTS = {
    "too short": (np.ones(5), r"\(5,\)"),
    "two-dimensional": (np.ones((6, 1)), "1D"),
    "negative": ([1, 1, -2, 1, 1, 1], "0 or more, found -2"),
    "NaN": ([1, 1, np.nan, 1, 1, 1], "NaN"),
    "infinite": ([1, 1, np.inf, 1, 1, 1], "infinity"),
    "all zero": (np.zeros(6), "at least one"),
    "strings": (["a"] * 6, "could not convert"),
    "complex": (np.ones(6) * 1j, "Complex"),
    "durations": (np.full(6, np.timedelta64(1, "D")), "real numbers"),
}
BAD_LABELS = {
    "too short": ([0, 1], r"inconsistent.*\[6, 2\]"),
    "a number": (3, "at least 1 dim|[Ss]ingleton"),
    "missing": (None, "at least 1 dim|[Ss]ingleton"),
    "three-dimensional": (np.ones((6, 1, 1)), r"shape \(6, 1, 1\)"),
    "NaN": ([0, 1, np.nan, 1, 0, 1], "found nan"),
    "infinite": ([0, 1, np.inf, 1, 0, 1], "found inf"),
    "objects with NaN": (np.array(["a", np.nan] * 3, dtype=object), "found nan"),
    "objects with None": (np.array(["a", None] * 3, dtype=object), "found None"),
    "pandas missing": (pd.Series([1, None] * 3, dtype="Int64"), "found (<NA>|nan)"),
    "objects with NA": (np.array(["a", pd.NA] * 3, dtype=object), "found <NA>"),
    "pandas missing strings": (pd.Series(["a", None] * 3), "found nan"),
    "mixed": (np.array(["a", 1] * 3, dtype=object), "sort"),
    "negative memberships": ([[1.5, -0.5]] * 6, "smallest entry of -0.5"),
    "memberships that do not sum to one": ([[0.5, 0.4]] * 6, "sum off by 0.1"),
    "memberships that hold NaN": ([[0.5, np.nan]] * 6, "NaN"),
    "memberships of too few rows": ([[0.5, 0.5]] * 5, r"inconsistent.*\[6, 5\]"),
    "memberships without columns": (np.empty((6, 0)), "0 feature"),
    "complex memberships": (np.ones((6, 1)) * 1j, "Complex"),
    "string memberships": (np.full((6, 1), "a"), "could not convert|numeric"),
    "sparse memberships": (scipy.sparse.csr_array(np.ones((6, 1))), "[Ss]parse"),
}


@pytest.mark.parametrize("name", EVERY)
def test_a_bad_distortion_is_named(name):
    for epsilon in BAD_EPSILON:
        with pytest.raises(ValueError, match=r"Bad epsilon: .*found (?!np\.int)"):
            call(name, GOOD, GOOD_LABELS, epsilon=epsilon)


@pytest.mark.parametrize("name", EVERY)
def test_bad_rows_weights_and_labels_are_named(name):
    letter = "X" if name in AFFINE else "Z"
    for X, found in BAD_ROWS.values():
        with pytest.raises(ValueError, match=rf"(?s)^Bad {letter}: .*({found})"):
            call(name, X, GOOD_LABELS, epsilon=0.5)
    for weights, found in BAD_WEIGHTS.values():
        with pytest.raises(ValueError, match=rf"(?s)^Bad weights: .*({found})"):
            call(name, GOOD, GOOD_LABELS, epsilon=0.5, weights=weights)
    for labels, found in BAD_LABELS.values() if name in WITH_LABELS else ():
        with pytest.raises(ValueError, match=rf"(?s)^Bad y: .*({found})"):
            call(name, GOOD, labels, epsilon=0.5)


@pytest.mark.parametrize(
    "epsilon", [1, np.float32(0.5), np.int64(2), Fraction(1, 3), np.float64(1e-300)]
)
def test_a_good_distortion_is_any_positive_real_number(epsilon):
    assert rates.coding_rate(GOOD, epsilon=epsilon) == rates.coding_rate(
        GOOD, epsilon=float(epsilon)
    )
