"""Results that do not change, or change in a known way, if the rows are changed."""

import math
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skredu import rates
from skredu.coding._scatter import Scatter

# -- rates and coding lengths ---------------------------------------------------------

SHARES = ["coding_rate", "class_coding_rate", "rate_reduction"]
EVERY = [*SHARES, "coding_length", "partition_coding_length", "rate_reduction_gradient"]


@st.composite
def problems(draw):
    """Draw rows of any shape and rank, labels, a distortion, and a generator."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, d, k = (draw(st.integers(1, top)) for top in (10, 7, 4))
    rank = draw(st.integers(1, min(n, d)))
    X = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
    epsilon = 10.0 ** draw(st.floats(-2, 2))
    return X, rng.integers(0, k, n), epsilon, rng


def call(name, X, y, epsilon, weights=None):
    function = getattr(rates, name)
    arguments = [X] if name in {"coding_length", "coding_rate"} else [X, y]
    return function(*arguments, epsilon=epsilon, weights=weights)


def weights_of(X, rng):
    weights = rng.integers(0, 4, len(X))
    weights[rng.integers(len(X))] += 1
    return weights


def same(gradient):
    return gradient


# Each change: rows, labels, distortion, weights that stand for those of the problem
# with these weights, and what makes the gradient of these from that of the others.


def copies(X, y, epsilon, rng, w):
    owner = np.repeat(np.arange(len(X)), w)  # a row moves all its copies
    return (X[owner], y[owner], epsilon), lambda g: np.eye(len(X))[:, owner] @ g


def absent_row(X, y, epsilon, rng, w):
    at, far = rng.integers(0, len(X) + 1), 1e6 * rng.standard_normal(X.shape[1])
    rows, labels = np.insert(X, at, far, axis=0), np.insert(y, at, 9)
    return (rows, labels, epsilon, np.insert(w, at, 0)), lambda g: np.delete(g, at, 0)


def order(X, y, epsilon, rng, w):
    index = rng.permutation(len(X))
    return (X[index], y[index], epsilon, w[index]), lambda g: g[np.argsort(index)]


def rotation(X, y, epsilon, rng, w):
    turn = np.linalg.qr(rng.standard_normal((X.shape[1], X.shape[1])))[0]
    return (X @ turn, y, epsilon, w), lambda g: g @ turn.T


def sign(X, y, epsilon, rng, w):
    return (-X, y, epsilon, w), np.negative


def unit(factor):
    def change(X, y, epsilon, rng, w):
        return (factor * X, y, factor * epsilon, w), lambda g: factor * g

    return change


def names(X, y, epsilon, rng, w):
    return (X, np.array(["d", "bb", "a", "c"])[y], epsilon, w), same


def memberships(X, y, epsilon, rng, w):
    return (X, np.eye(5)[y], epsilon, w), same


def split_rows(X, y, epsilon, rng, w):
    shares = rng.dirichlet(np.ones(3), len(X)) * w[:, None]  # in the same class
    rows, labels = np.repeat(X, 3, axis=0), np.repeat(y, 3)
    return (rows, labels, epsilon, shares.ravel()), lambda g: g.reshape(
        len(X), 3, -1
    ).sum(axis=1)


def single(X, y, epsilon, rng, w):
    X[:] = X.astype(np.float32)  # both see these rows
    return (X.astype(np.float32), y, epsilon, w), same


CHANGES = {
    change.__name__: change
    for change in (copies, absent_row, order, rotation, sign, names, memberships)
}
CHANGES |= {"a row is several": split_rows, "single precision": single}
CHANGES |= {f"unit {c}": unit(c) for c in (1e-150, 1e-8, 1e8, 1e150)}


def assert_same(value, expected, X, epsilon, digits=1e-11):
    """Assert that rates or gradients of rows of this size agree up to rounding."""
    if np.ndim(expected) == 0:
        atol = digits * max(1.0, rates.coding_rate(X, epsilon=epsilon))
    else:
        atol = digits / epsilon * (1.0 + float(np.linalg.norm(X)) / epsilon)
        if value.dtype == np.float32:
            expected = expected.astype(np.float32)
    assert_allclose(value, expected, rtol=digits, atol=atol)


FURTHER = "unit 1e-08", "unit 100000000.0", "sign"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in FURTHER else [])
        for name in CHANGES
    ],
)
@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=20)
@given(problem=problems())
def test_what_stands_for_the_same_rows_gives_the_same(name, change, problem):
    X, y, epsilon, rng = problem
    w = weights_of(X, rng)
    changed, back = CHANGES[change](X, y, epsilon, rng, w)
    value = call(name, *changed)
    if name == "rate_reduction_gradient":
        value = back(value)
    assert_same(value, call(name, X, y, epsilon, w), X, epsilon)


@pytest.mark.parametrize("name", EVERY)
@given(problem=problems())
def test_weights_of_one_are_none_and_memberships_split_a_row(name, problem):
    X, y, epsilon, rng = problem
    expected = call(name, X, y, epsilon)
    assert_same(call(name, X, y, epsilon, np.ones(len(X))), expected, X, epsilon)
    assert_array_equal(call(name, X, y, epsilon), expected)  # the same digits again
    Pi = rng.dirichlet(np.ones(3), len(X))
    rows, labels = np.repeat(X, 3, axis=0), np.tile([0, 1, 2], len(X))
    split = call(name, rows, labels, epsilon, Pi.ravel())
    if name == "rate_reduction_gradient":
        split = split.reshape(len(X), 3, -1).sum(axis=1)
    assert_same(call(name, X, Pi, epsilon), split, X, epsilon)


@pytest.mark.parametrize("name", SHARES)
@given(problem=problems(), factor=st.sampled_from([1e-12, 0.3, 7.0, 1e12]))
def test_rates_know_only_shares_of_weights(name, problem, factor):
    X, y, epsilon, rng = problem
    w = weights_of(X, rng)
    value = call(name, X, y, epsilon, factor * w)
    assert_same(value, call(name, X, y, epsilon, w), X, epsilon)


# -- count, mean and scatter ----------------------------------------------------------


@st.composite
def groups(draw):
    """Draw weighted groups of rows far from the origin, and options of the scatter."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    d, parts = draw(st.integers(1, 8)), []
    offset = draw(st.sampled_from([0.0, -3.0, 1e8]))
    for _ in range(4):
        n = draw(st.integers(0, 10))
        parts.append((offset + rng.standard_normal((n, d)), rng.uniform(0, 2, n)))
    centred = draw(st.booleans()) and offset != 1e8
    epsilon = draw(
        st.sampled_from([math.inf, 1e-12])
    )  # a root is kept where it is fine
    return parts, {"assume_centered": centred, "epsilon": epsilon}


def assert_same_scatter(scatter, expected):
    assert_allclose(scatter.count, expected.count, rtol=1e-13)
    if expected.count > 0.0:
        assert_allclose(scatter.mean, expected.mean, rtol=1e-13, atol=1e-13)
    atol = 1e-12 * (1 + expected.trace)
    assert_allclose(scatter.dense(), expected.dense(), atol=atol)
    assert (scatter.root is None) != (scatter.matrix is None)


@given(groups(), st.sampled_from([1e-150, 1e-8, 1e8, 1e150]))
def test_scatters_merge_in_any_order_count_copies_and_scale(problem, factor):
    parts, options = problem
    a, b, c, d = (Scatter.from_rows(*part, **options) for part in parts)
    rows, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    whole = Scatter.from_rows(rows, weights, **options)
    assert_same_scatter(reduce(Scatter.merge, (a, b, c, d)), whole)
    assert_same_scatter(d.merge(c).merge(b.merge(a)), whole)
    times = np.ceil(weights).astype(int)
    assert_same_scatter(
        Scatter.from_rows(rows, times.astype(float), **options),
        Scatter.from_rows(np.repeat(rows, times, axis=0), **options),
    )
    scaled = Scatter.from_rows(factor * rows, weights, **options)
    atol = 1e-12 * (1.0 + np.abs(rows).max(initial=0.0))
    assert_allclose(scaled.mean / factor, whole.mean, atol=atol)
    S = scaled.dense() / factor / factor
    assert_allclose(S, whole.dense(), rtol=1e-6, atol=atol)
