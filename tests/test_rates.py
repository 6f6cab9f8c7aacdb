"""Coding lengths and rates agree with exact arithmetic for every kind of input."""

import itertools
import math

import mpmath
import numpy as np
import oracle
import pandas as pd
import polars as pl
import pytest
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
            for labels in (y, Pi):
                for share in (None, weights):
                    assert_as_exact(name, X, labels, epsilon=epsilon, weights=share)


@pytest.mark.parametrize("name", AFFINE)
def test_lengths_around_the_origin_keep_twelve_digits(name):
    for epsilon, shape in itertools.product(DISTORTIONS, SHAPES):
        X, y, _, weights = problem(shape, 1)
        for share in (None, weights):
            assert_as_exact(
                name, X, y, epsilon=epsilon, weights=share, assume_centered=True
            )


@pytest.mark.parametrize("name", SCALARS)
def test_values_of_rows_in_general_position_keep_twelve_digits(name):
    for epsilon in DISTORTIONS:
        X = np.random.default_rng(0).standard_normal((12, 5)) + 1.0
        _, y, _, weights = problem((12, 5))
        for share in (None, weights):
            assert_as_exact(name, X, y, epsilon=epsilon, weights=share)


@pytest.mark.parametrize("epsilon", [1e2, 1.0, 1e-2])
@pytest.mark.parametrize("name", AFFINE)
def test_an_offset_of_1e8_costs_no_digits(name, epsilon):
    X, y, _, weights = problem((12, 4))
    X = 1e8 + X + np.random.default_rng(0).standard_normal(X.shape)
    for share in (None, weights):
        assert_as_exact(name, X, y, epsilon=epsilon, weights=share)


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


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1), (4, 4), (5, 2), (2, 5)])
def test_gradient_is_the_derivative_by_every_entry(shape):
    for epsilon, rank, soft, weighted in itertools.product(
        [10.0, 1.0, 0.1, 1e-2, 1e-4], {1, min(shape)}, [False, True], [False, True]
    ):
        Z, y, Pi, weights = problem(shape, rank)
        options = {"epsilon": epsilon, "weights": weights if weighted else None}
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
def test_one_number_as_weights_holds_for_every_row(name):
    X, y, _, _ = problem((6, 3))
    value = call(name, X, y, epsilon=0.5, weights=2.0)
    expected = call(name, X, y, epsilon=0.5, weights=np.full(6, 2.0))
    assert_allclose(value, expected, rtol=0)


@pytest.mark.parametrize("name", EVERY)
def test_extreme_weights_do_not_overflow(name):
    for share in [1e-300, 1e-150, 1e150, 1e300]:
        X, y, _, weights = problem((6, 3))
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


def test_constant_columns_and_one_class():
    X, _, _, _ = problem((8, 3))
    X[:, 1] = 0.1
    for epsilon in (1.0, 1e-6):
        assert_as_exact("coding_length", X, None, epsilon=epsilon)
        assert rates.rate_reduction(X, np.zeros(8), epsilon=epsilon) == 0.0
        gradient = rates.rate_reduction_gradient(X, np.zeros(8), epsilon=epsilon)
        assert not gradient.any()
        whole = rates.coding_length(X, epsilon=epsilon)
        assert rates.partition_coding_length(X, ["a"] * 8, epsilon=epsilon) == whole


def test_rows_of_zeros_take_only_the_bits_of_their_labels():
    X, y = np.zeros((4, 3)), [0, 1, 0, 1]
    assert rates.coding_length(X, epsilon=0.1) == 0.0
    assert rates.rate_reduction(X, y, epsilon=0.1) == 0.0
    assert rates.partition_coding_length(X, y, epsilon=0.1) == pytest.approx(4.0)
    assert not rates.rate_reduction_gradient(X, y, epsilon=0.1).any()
