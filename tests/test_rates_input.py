"""Labels of every kind are accepted, and errors name invalid arguments."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from numpy.testing import assert_allclose

from skredu import rates

AFFINE = ["coding_length", "partition_coding_length"]
WITHOUT_LABELS = ["coding_length", "coding_rate"]
WITH_LABELS = [
    "partition_coding_length",
    "class_coding_rate",
    "rate_reduction",
    "rate_reduction_gradient",
]
EVERY = WITHOUT_LABELS + WITH_LABELS
ROWS = np.random.default_rng(0).standard_normal((6, 3))


def call(name, X, y, **options):
    function = getattr(rates, name)
    return (
        function(X, **options) if name in WITHOUT_LABELS else function(X, y, **options)
    )


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


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_of_every_kind_mean_the_same(labels):
    for name in WITH_LABELS:
        X = ROWS
        value = call(name, X, labels, epsilon=0.5)
        expected = call(name, X, np.array([0, 0, 1, 2, 1, 2]), epsilon=0.5)
        assert_allclose(value, expected, rtol=1e-13, atol=1e-14)


def test_boolean_labels_are_two_classes():
    X = ROWS
    y = X[:, 0] > 0
    assert_allclose(
        rates.rate_reduction(X, y, epsilon=1.0),
        rates.rate_reduction(X, y.astype(int), epsilon=1.0),
    )


def test_memberships_rounded_to_single_precision_are_accepted():
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
    *(0, 0.0, -1.0, math.nan, math.inf, -math.inf),
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
        with pytest.raises(ValueError, match="Bad epsilon: must be a positive finite"):
            call(name, GOOD, GOOD_LABELS, epsilon=epsilon)


@pytest.mark.parametrize(("X", "found"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_rows_are_named(X, found):
    for name in EVERY:
        letter = "X" if name in AFFINE else "Z"
        with pytest.raises(ValueError, match=rf"(?s)^Bad {letter}: .*({found})"):
            call(name, X, GOOD_LABELS, epsilon=0.5)


@pytest.mark.parametrize(("weights", "found"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights_are_named(weights, found):
    for name in EVERY:
        with pytest.raises(ValueError, match=rf"(?s)^Bad weights: .*({found})"):
            call(name, GOOD, GOOD_LABELS, epsilon=0.5, weights=weights)


@pytest.mark.parametrize(("labels", "found"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_bad_labels_are_named(labels, found):
    for name in WITH_LABELS:
        with pytest.raises(ValueError, match=rf"(?s)^Bad y: .*({found})"):
            call(name, GOOD, labels, epsilon=0.5)


@pytest.mark.parametrize(
    "epsilon", [1, np.float32(0.5), np.int64(2), Fraction(1, 3), np.float64(1e-300)]
)
def test_a_good_distortion_is_any_positive_real_number(epsilon):
    assert rates.coding_rate(GOOD, epsilon=epsilon) == rates.coding_rate(
        GOOD, epsilon=float(epsilon)
    )
