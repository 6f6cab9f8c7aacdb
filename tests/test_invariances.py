"""What must not change, or change in a known way, when the rows are changed."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skredu import rates
from skredu.coding._scatter import Scatter

# -- rates and coding lengths ---------------------------------------------------------

SCALARS = [
    "coding_length",
    "coding_rate",
    "partition_coding_length",
    "class_coding_rate",
    "rate_reduction",
]
EVERY = [*SCALARS, "rate_reduction_gradient"]
LENGTHS = ["coding_length", "partition_coding_length"]
every_function = pytest.mark.parametrize("name", EVERY)
every_scalar = pytest.mark.parametrize("name", SCALARS)


@st.composite
def problems(draw):
    """Rows of any shape and rank, labels, distortion, and a generator for the rest."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, d, k = (draw(st.integers(1, top)) for top in (10, 7, 4))
    rank = draw(st.integers(1, min(n, d)))
    X = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
    epsilon = 10.0 ** draw(st.floats(-2, 2))
    return X, rng.integers(0, k, n), epsilon, rng


def call(name, X, y, **options):
    function = getattr(rates, name)
    if name in {"coding_length", "coding_rate"}:
        return function(X, **options)
    return function(X, y, **options)


def assert_same(value, expected, X, epsilon, *, digits=1e-11):
    """Agreement to rounding of the rates, or of the gradient, of rows of this size."""
    size = 1.0 if np.ndim(expected) == 0 else 1.0 / epsilon
    if np.ndim(expected) == 0:
        size = max(size, rates.coding_rate(X, epsilon=epsilon))
    condition = 1.0 + float(np.linalg.norm(X)) / epsilon
    atol = digits * size * (1.0 if np.ndim(expected) == 0 else condition)
    assert_allclose(value, expected, rtol=digits, atol=atol)


def random_weights(n, rng):
    weights = rng.integers(0, 4, n)
    weights[rng.integers(n)] += 1
    return weights


@every_function
@given(problem=problems())
def test_a_weight_is_a_number_of_copies(name, problem):
    X, y, epsilon, rng = problem
    weights = random_weights(len(X), rng)
    value = call(name, X, y, epsilon=epsilon, weights=weights)
    copied = call(
        name, np.repeat(X, weights, axis=0), np.repeat(y, weights), epsilon=epsilon
    )
    if name == "rate_reduction_gradient":  # a row moves all its copies
        owner = np.repeat(np.arange(len(X)), weights)
        copied = np.eye(len(X))[:, owner] @ copied
    assert_same(value, copied, X, epsilon)


@every_function
@given(problem=problems())
def test_a_row_of_weight_zero_is_absent(name, problem):
    X, y, epsilon, rng = problem
    value = call(name, X, y, epsilon=epsilon, weights=np.ones(len(X)))
    place = rng.integers(0, len(X) + 1)
    far = 1e6 * rng.standard_normal(X.shape[1])
    more = call(
        name,
        np.insert(X, place, far, axis=0),
        np.insert(y, place, 9),
        epsilon=epsilon,
        weights=np.insert(np.ones(len(X)), place, 0.0),
    )
    if name == "rate_reduction_gradient":
        assert not more[place].any()
        more = np.delete(more, place, axis=0)
    assert_same(more, value, X, epsilon)


@every_function
@given(problem=problems())
def test_no_weights_are_equal_weights(name, problem):
    X, y, epsilon, _ = problem
    value = call(name, X, y, epsilon=epsilon)
    weighted = call(name, X, y, epsilon=epsilon, weights=np.ones(len(X)))
    assert_same(weighted, value, X, epsilon)


@pytest.mark.parametrize("name", ["coding_rate", "class_coding_rate", "rate_reduction"])
@given(problem=problems(), factor=st.sampled_from([1e-12, 0.3, 7.0, 1e12]))
def test_rates_know_only_shares_of_weights(name, problem, factor):
    X, y, epsilon, rng = problem
    weights = random_weights(len(X), rng)
    value = call(name, X, y, epsilon=epsilon, weights=factor * weights)
    assert_same(value, call(name, X, y, epsilon=epsilon, weights=weights), X, epsilon)


@every_function
@given(problem=problems())
def test_a_rotation_changes_nothing(name, problem):
    X, y, epsilon, rng = problem
    turn = np.linalg.qr(rng.standard_normal((X.shape[1], X.shape[1])))[0]
    value = call(name, X @ turn, y, epsilon=epsilon)
    expected = call(name, X, y, epsilon=epsilon)
    if name == "rate_reduction_gradient":
        expected = expected @ turn
    assert_same(value, expected, X, epsilon)


@every_function
@given(problem=problems())
def test_the_order_of_the_rows_does_not_matter(name, problem):
    X, y, epsilon, rng = problem
    order, weights = rng.permutation(len(X)), random_weights(len(X), rng)
    value = call(name, X[order], y[order], epsilon=epsilon, weights=weights[order])
    expected = call(name, X, y, epsilon=epsilon, weights=weights)
    if name == "rate_reduction_gradient":
        expected = expected[order]
    assert_same(value, expected, X, epsilon)


@every_function
@pytest.mark.parametrize("factor", [1e-150, 1e-8, 1e8, 1e150])
@given(problem=problems())
def test_rows_and_distortion_scale_together(name, factor, problem):
    X, y, epsilon, _ = problem
    value = call(name, factor * X, y, epsilon=factor * epsilon)
    if name == "rate_reduction_gradient":
        value = factor * value
    assert_same(value, call(name, X, y, epsilon=epsilon), X, epsilon)


@every_function
@given(problem=problems())
def test_the_sign_of_the_rows_does_not_matter(name, problem):
    X, y, epsilon, _ = problem
    value = call(name, -X, y, epsilon=epsilon)
    if name == "rate_reduction_gradient":
        value = -value
    assert_same(value, call(name, X, y, epsilon=epsilon), X, epsilon)


@every_function
@given(problem=problems())
def test_names_of_classes_do_not_matter(name, problem):
    X, y, epsilon, rng = problem
    expected = call(name, X, y, epsilon=epsilon)
    for names in (rng.permutation(4), np.array(["d", "bb", "a", "c"])):
        assert_same(call(name, X, names[y], epsilon=epsilon), expected, X, epsilon)


@every_function
@given(problem=problems())
def test_labels_are_memberships_of_zero_and_one(name, problem):
    X, y, epsilon, rng = problem
    weights = random_weights(len(X), rng)
    for share in (None, weights):
        value = call(name, X, np.eye(5)[y], epsilon=epsilon, weights=share)
        expected = call(name, X, y, epsilon=epsilon, weights=share)
        assert_same(value, expected, X, epsilon)


@every_function
@given(problem=problems())
def test_a_membership_splits_a_row(name, problem):
    """Shared between classes, a row is several rows of less weight, one in each."""
    X, _, epsilon, rng = problem
    Pi = rng.dirichlet(np.ones(3), len(X))
    value = call(name, X, Pi, epsilon=epsilon)
    split = call(
        name,
        np.repeat(X, 3, axis=0),
        np.tile([0, 1, 2], len(X)),
        epsilon=epsilon,
        weights=Pi.ravel(),
    )
    if name == "rate_reduction_gradient":
        split = split.reshape(len(X), 3, -1).sum(axis=1)
    assert_same(value, split, X, epsilon)


@every_function
@given(problem=problems())
def test_single_precision_changes_only_the_rounding_of_the_result(name, problem):
    X, y, epsilon, _ = problem
    single = X.astype(np.float32)
    value = call(name, single, y, epsilon=epsilon)
    expected = call(name, single.astype(np.float64), y, epsilon=epsilon)
    if name == "rate_reduction_gradient":
        assert value.dtype == np.float32
        expected = expected.astype(np.float32)
    assert_same(value, expected, X, epsilon)


@every_function
def test_the_same_call_gives_the_same_digits(name):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 8)), rng.integers(0, 3, 50)
    first = call(name, X, y, epsilon=0.1)
    np.testing.assert_array_equal(call(name, X, y, epsilon=0.1), first)


# -- count, mean and scatter ----------------------------------------------------------


@st.composite
def groups(draw, size=3):
    """Weighted groups of rows far from the origin, and options of the scatter."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    d = draw(st.integers(1, 8))
    offset = draw(st.sampled_from([0.0, -3.0, 1e8]))
    parts = []
    for _ in range(size):
        n = draw(st.integers(0, 10))
        parts.append((offset + rng.standard_normal((n, d)), rng.uniform(0, 2, n)))
    options = {
        "assume_centered": draw(st.booleans()) and offset != 1e8,
        "precise": draw(st.booleans()),
    }
    return parts, options


def assert_same_scatter(scatter, expected):
    assert_allclose(scatter.count, expected.count, rtol=1e-13)
    if expected.count > 0.0:
        assert_allclose(scatter.mean, expected.mean, rtol=1e-13, atol=1e-13)
    assert_allclose(
        scatter.dense(), expected.dense(), atol=1e-12 * (1 + expected.trace)
    )
    assert (scatter.root is None) != (scatter.matrix is None)


@given(groups(2))
def test_merging_is_commutative(problem):
    parts, options = problem
    a, b = (Scatter.from_rows(*part, **options) for part in parts)
    assert_same_scatter(a.merge(b), b.merge(a))


@given(groups(3))
def test_merging_is_associative(problem):
    parts, options = problem
    a, b, c = (Scatter.from_rows(*part, **options) for part in parts)
    assert_same_scatter(a.merge(b).merge(c), a.merge(b.merge(c)))


@given(groups(4))
def test_merging_parts_is_taking_all_rows_at_once(problem):
    parts, options = problem
    rows, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    merged = reduce(
        Scatter.merge, (Scatter.from_rows(*part, **options) for part in parts)
    )
    assert_same_scatter(merged, Scatter.from_rows(rows, weights, **options))


@given(groups(1))
def test_a_scatter_counts_copies(problem):
    ((rows, weights),), options = problem
    copies = np.ceil(weights).astype(int)
    assert_same_scatter(
        Scatter.from_rows(rows, copies.astype(float), **options),
        Scatter.from_rows(np.repeat(rows, copies, axis=0), **options),
    )


@given(groups(1), st.sampled_from([1e-150, 1e-8, 1e8, 1e150]))
def test_a_scatter_scales_with_the_square_of_the_rows(problem, factor):
    ((rows, weights),), options = problem
    scatter = Scatter.from_rows(rows, weights, **options)
    scaled = Scatter.from_rows(factor * rows, weights, **options)
    atol = 1e-12 * (1.0 + np.abs(rows).max(initial=0.0))
    assert_allclose(scaled.mean / factor, scatter.mean, atol=atol)
    assert_allclose(
        scaled.dense() / factor / factor, scatter.dense(), rtol=1e-6, atol=atol
    )
