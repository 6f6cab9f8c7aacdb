"""Theorems and closed forms of the theory of coding lengths and coding rates."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skredu.coding._linalg import log_volume
from skredu.rates import (
    class_coding_rate,
    coding_length,
    coding_rate,
    partition_coding_length,
    rate_reduction,
    rate_reduction_gradient,
)

# -- rates ----------------------------------------------------------------------------


@st.composite
def labelled_rows(draw):
    """Draw rows of any rank and size, labels or memberships, distortion and weights."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, d, k = (draw(st.integers(1, top)) for top in (12, 8, 4))
    rank = draw(st.integers(1, min(n, d)))
    Z = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
    y = rng.dirichlet(np.ones(k), n) if draw(st.booleans()) else rng.integers(0, k, n)
    weights = rng.integers(0, 4, n) * 1.0
    weights[rng.integers(n)] += 1.0
    epsilon = 10.0 ** draw(st.floats(-3, 3))
    return Z, y, {"epsilon": epsilon, "weights": weights}


def sphere(Z):
    return Z / np.linalg.norm(Z, axis=1, keepdims=True)


def orthonormal(d, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


def orthogonal_subspaces(dimensions, counts, seed=0):
    """Return rows on the sphere; each class has directions of its own."""
    rng = np.random.default_rng(seed)
    basis, start, blocks = orthonormal(sum(dimensions) + 1, seed), 0, []
    for dimension, count in zip(dimensions, counts, strict=True):
        block = rng.standard_normal((count, dimension))
        blocks.append(sphere(block) @ basis[start : start + dimension])
        start += dimension
    return np.concatenate(blocks), np.repeat(np.arange(len(counts)), counts)


@given(labelled_rows())
def test_rate_reduction_is_never_negative(problem):
    Z, y, options = problem
    R, Rc = coding_rate(Z, **options), class_coding_rate(Z, y, **options)
    assert rate_reduction(Z, y, **options) == R - Rc >= -1e-12 * R


@pytest.mark.parametrize(("k", "expected"), [(2, 0.8756), (3, 1.8798)])
@pytest.mark.parametrize("copies", [1, 500])
def test_orthogonal_lines_reach_the_published_rate_reduction(k, expected, copies):
    Z, y = np.repeat(np.eye(k), copies, axis=0), np.repeat(np.arange(k), copies)
    Z[::2] *= -1.0
    assert_allclose(rate_reduction(Z, y, epsilon=0.1**0.5), expected, atol=5e-5)


@pytest.mark.parametrize("k", [1, 2, 5, 40])
@pytest.mark.parametrize("epsilon", [1e-6, 0.3, 1.0, 1e4])
def test_rates_of_orthogonal_lines_in_closed_form(k, epsilon):
    Z, y = orthonormal(k), np.arange(k)
    whole = k / 2 * math.log1p(1 / epsilon**2)
    assert_allclose(coding_rate(Z, epsilon=epsilon), whole, rtol=1e-12)
    assert_allclose(
        class_coding_rate(Z, y, epsilon=epsilon),
        math.log1p(k / epsilon**2) / 2,
        rtol=1e-12,
    )


@given(labelled_rows())
def test_volumes_of_classes_add_up_to_no_less_than_the_whole(problem):
    Z, y, options = problem
    if np.ndim(y) == 2:
        y = np.argmax(y, axis=1)
    scale = 1.0 / options["epsilon"]
    parts = sum(log_volume(scale * Z[y == label]) for label in np.unique(y))
    assert log_volume(scale * Z) <= parts * (1 + 1e-12)


@pytest.mark.parametrize("dimensions", [(1, 1), (2, 1, 3), (4,)])
@pytest.mark.parametrize("epsilon", [0.01, 0.5, 10.0])
def test_volumes_add_up_exactly_for_orthogonal_classes(dimensions, epsilon):
    Z, y = orthogonal_subspaces(dimensions, [9] * len(dimensions))
    parts = sum(log_volume(Z[y == label] / epsilon) for label in np.unique(y))
    assert_allclose(log_volume(Z / epsilon), parts, rtol=1e-12)
    # so that no other arrangement of the same classes has a larger rate reduction
    best = rate_reduction(Z, y, epsilon=epsilon)
    for seed in range(5):
        other = Z.copy()
        other[y == 0] = other[y == 0] @ orthonormal(Z.shape[1], seed)
        assert rate_reduction(other, y, epsilon=epsilon) <= best + 1e-12


@given(labelled_rows(), st.floats(0.0, 1.0))
def test_log_volume_is_concave_in_the_scatter(problem, share):
    A, _, options = problem
    A = A / options["epsilon"]
    B = np.random.default_rng(0).standard_normal((5, A.shape[1]))
    mixed = np.concatenate([math.sqrt(share) * A, math.sqrt(1.0 - share) * B])
    chord = share * log_volume(A) + (1.0 - share) * log_volume(B)
    assert log_volume(mixed) >= chord * (1 - 1e-12)


@pytest.mark.parametrize("epsilon", [1e-3, 0.5, 30.0])
def test_rate_reduction_is_zero_for_classes_of_proportional_scatter(epsilon):
    rng = np.random.default_rng(0)
    block = rng.standard_normal((6, 4))
    # A block, its rotation and three copies have the same scatter per row.
    turned = orthonormal(6, 1) @ block
    Z = np.concatenate([block, turned, block, -block, turned])
    y = np.repeat([0, 1, 2], [6, 6, 18])
    rate = coding_rate(Z, epsilon=epsilon)
    assert abs(rate_reduction(Z, y, epsilon=epsilon)) < 1e-13 * max(1.0, rate)
    assert_allclose(class_coding_rate(Z, y, epsilon=epsilon), rate, rtol=1e-12)


@given(labelled_rows())
def test_rate_reduction_is_positive_for_classes_of_other_scatter(problem):
    Z = np.concatenate([problem[0], 2.0 * problem[0]])
    y = np.repeat([0, 1], Z.shape[0] // 2)
    epsilon = float(np.linalg.norm(Z)) / 3.0
    assert rate_reduction(Z, y, epsilon=epsilon) > 1e-3 * coding_rate(
        Z, epsilon=epsilon
    )


@given(labelled_rows(), st.floats(1.01, 10.0))
def test_a_finer_distortion_takes_more(problem, factor):
    Z, y, options = problem
    finer = options | {"epsilon": options["epsilon"] / factor}
    assert coding_rate(Z, **finer) > coding_rate(Z, **options)
    assert class_coding_rate(Z, y, **finer) > class_coding_rate(Z, y, **options)
    assert coding_length(Z, **finer) > coding_length(Z, **options)


@given(st.integers(1, 15), st.integers(1, 8), st.integers(0, 99))
def test_no_rows_on_the_sphere_have_a_larger_rate_than_an_orthonormal_frame(n, d, seed):
    Z = sphere(np.random.default_rng(seed).standard_normal((n, d)))
    epsilon = 0.4
    bound = min(n, d) / 2 * math.log1p(d / min(n, d) / epsilon**2)
    assert coding_rate(Z, epsilon=epsilon) <= bound * (1 + 1e-12)
    frame = np.eye(d)[np.arange(d * n) % d]
    assert_allclose(
        coding_rate(frame, epsilon=epsilon), d / 2 * math.log1p(1 / epsilon**2)
    )


def test_rates_at_both_ends_of_the_distortion():
    Z, y = orthogonal_subspaces((2, 1), (30, 10))
    d, coarse = 4, 1e6
    assert_allclose(coding_rate(Z, epsilon=coarse), d / (2 * coarse**2), rtol=1e-11)
    # every halving of the distortion costs one bit for each dimension in use
    for epsilon in (1e-6, 1e-40, 1e-140):
        step = coding_rate(Z, epsilon=epsilon / 2) - coding_rate(Z, epsilon=epsilon)
        assert_allclose(step, 3 * math.log(2), rtol=1e-11)
        step = rate_reduction(Z, y, epsilon=epsilon / 2)
        step -= rate_reduction(Z, y, epsilon=epsilon)
        assert_allclose(step, (3 - 0.75 * 2 - 0.25 * 1) * math.log(2), rtol=1e-10)


# -- gradient -------------------------------------------------------------------------


@given(labelled_rows())
def test_gradient_of_a_single_class_is_exactly_zero(problem):
    Z, _, options = problem
    assert not rate_reduction_gradient(Z, np.ones(len(Z)), **options).any()


@given(labelled_rows())
def test_gradient_turns_with_the_rows(problem):
    """The rates do not change under rotations, so Z^T G is symmetric."""
    Z, y, options = problem
    product = Z.T @ rate_reduction_gradient(Z, y, **options)
    assert_allclose(product, product.T, atol=1e-11 * Z.shape[1])


@given(labelled_rows())
def test_gradient_along_the_rows_is_the_effective_dimension_gained(problem):
    Z, y, options = problem
    Pi = y if np.ndim(y) == 2 else np.eye(4)[y]
    epsilon, weights = options["epsilon"], options["weights"]

    def dimension(share):
        rows = np.sqrt(share)[:, None] * Z
        t = np.linalg.svdvals(rows) ** 2 * Z.shape[1] / (share.sum() * epsilon**2)
        return np.sum(t / (1.0 + t))

    shares = [s for s in (weights[:, None] * Pi).T if s.sum() > 0.0]
    expected = dimension(weights) - sum(
        s.sum() / weights.sum() * dimension(s) for s in shares
    )
    gradient = rate_reduction_gradient(Z, y, **options)
    assert_allclose(np.sum(Z * gradient), expected, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("dimensions", [(1, 1), (1, 1, 1), (1, 1, 1, 1, 1)])
def test_orthogonal_lines_are_a_critical_point_on_the_sphere(dimensions):
    Z, y = orthogonal_subspaces(dimensions, [3] * len(dimensions))
    gradient = rate_reduction_gradient(Z, y, epsilon=0.3)
    radial = np.sum(gradient * Z, axis=1, keepdims=True)
    assert np.all(radial > 0.0)
    assert_allclose(gradient - radial * Z, 0.0, atol=1e-14)


@given(labelled_rows())
def test_a_small_step_along_the_gradient_does_not_lose_rate_reduction(problem):
    Z, y, options = problem
    gradient = rate_reduction_gradient(Z, y, **options)
    n = options["weights"].sum()
    # below one over the curvature, which alpha = d / (n epsilon^2) bounds
    step = 0.1 * n * options["epsilon"] ** 2 / Z.shape[1] / options["weights"].max()
    before = rate_reduction(Z, y, **options)
    after = rate_reduction(Z + step * gradient, y, **options)
    assert after >= before - 1e-12 * coding_rate(Z, **options)


# -- regularised landscape (Wang et al. 2024) -----------------------------------------


def critical_point(ranks, counts, epsilon, strength, seed=0):
    """Return rows whose gradient of the rate reduction is ``strength`` times them.

    Class j spans ``ranks[j]`` directions of its own with equal singular values.
    """
    n, d = sum(counts), sum(ranks)
    alpha, basis, blocks = d / (n * epsilon**2), orthonormal(sum(ranks), seed), []
    for j, (rank, count) in enumerate(zip(ranks, counts, strict=True)):
        alpha_j = d / (count * epsilon**2)
        eta = (alpha_j - alpha) - strength * (n / count + 1)
        root = math.sqrt(eta**2 - 4 * strength**2 * n / count)
        size = math.sqrt((eta + root) / (2 * strength * alpha_j))
        V = orthonormal(count, seed + j + 1)[:, :rank]
        start = sum(ranks[:j])
        blocks.append(size * V @ basis[start : start + rank])
    return np.concatenate(blocks), np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize("ranks", [(1, 1), (2, 3), (1, 2, 2)])
@pytest.mark.parametrize("epsilon", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_regularised_landscape_in_closed_form(ranks, epsilon, share):
    counts = [5, 8, 6][: len(ranks)]
    n, d = sum(counts), sum(ranks)
    ratio = math.sqrt(n / max(counts))
    strength = share * d * (ratio - 1) / (n * (ratio + 1) * epsilon**2)
    Z, y = critical_point(ranks, counts, epsilon, strength)
    gradient = rate_reduction_gradient(Z, y, epsilon=epsilon)
    assert_allclose(gradient, strength * Z, rtol=1e-9, atol=1e-12 / epsilon)

    def objective(Z):
        return rate_reduction(Z, y, epsilon=epsilon) - strength / 2 * np.sum(Z**2)

    best, size = objective(Z), np.linalg.norm(Z)
    rng = np.random.default_rng(0)
    for distance in (1e-4, 1e-2, 0.3, 1.0, 3.0):
        for _ in range(10):
            direction = rng.standard_normal(Z.shape)
            step = distance * size / np.linalg.norm(direction) * direction
            assert objective(Z + step) <= best + 1e-12
            assert objective(step) <= best + 1e-12


# -- coding lengths -------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [1e-5, 0.1, 100.0])
def test_length_of_a_single_row_in_closed_form(epsilon):
    x = np.array([[3.0, -4.0, 12.0]])
    affine = 3 / 2 * math.log2(1 + 169 / epsilon**2)
    linear = (1 + 3) / 2 * math.log2(1 + 3 * 169 / epsilon**2)
    assert_allclose(coding_length(x, epsilon=epsilon), affine, rtol=1e-10)
    assert_allclose(
        coding_length(x, epsilon=epsilon, assume_centered=True), linear, rtol=1e-10
    )


@given(labelled_rows())
def test_length_around_the_origin_is_a_rate_per_row_and_per_row_of_the_basis(problem):
    X, _, options = problem
    n, d = options["weights"].sum(), X.shape[1]
    assert_allclose(
        coding_length(X, assume_centered=True, **options) * math.log(2),
        (n + d) * coding_rate(X, **options),
        rtol=1e-12,
    )


@given(labelled_rows())
def test_merging_a_group_with_its_copy_saves_the_basis_the_mean_and_the_labels(problem):
    X, _, options = problem
    epsilon, weights = options["epsilon"], options["weights"]
    n, d = weights.sum(), X.shape[1]
    twice = np.concatenate([X, X])
    shares = np.concatenate([weights, weights])
    y = np.repeat([0, 1], len(X))
    apart = partition_coding_length(twice, y, epsilon=epsilon, weights=shares)
    together = coding_length(twice, epsilon=epsilon, weights=shares)
    mean = weights @ X / n
    centred = np.sqrt(weights * d / n)[:, None] * (X - mean) / epsilon
    basis = d / 2 * log_volume(centred) / math.log(2)
    mean_bits = d / 2 * math.log2(1 + mean @ mean / epsilon**2)
    assert_allclose(
        apart - together, basis + mean_bits + 2 * n, rtol=1e-9, atol=1e-11 * apart
    )


@given(labelled_rows())
def test_a_row_coded_in_company_never_costs_less_than_in_its_own_classes(problem):
    """Without basis, mean and labels, a partition costs no more than the whole."""
    X, y, options = problem
    n, d = options["weights"].sum(), X.shape[1]

    def bits_of_rows(length, groups):
        return length - groups * d * coding_rate(X, **options) / math.log(2)

    whole = bits_of_rows(coding_length(X, assume_centered=True, **options), 1)
    parts = n * class_coding_rate(X, y, **options) / math.log(2)
    assert parts <= whole * (1 + 1e-11) + 1e-11 * d


def test_lines_are_worth_separating_only_below_some_distortion():
    t = np.linspace(-1, 1, 40)
    X = np.concatenate([np.outer(t, [1.0, 0.0]), np.outer(t, [0.0, 1.0])])
    y = np.repeat([0, 1], 40)
    saved = [
        coding_length(X, epsilon=epsilon)
        - partition_coding_length(X, y, epsilon=epsilon)
        for epsilon in (1e-3, 1e-2, 1e-1, 1.0, 10.0)
    ]
    assert saved == sorted(saved, reverse=True)
    assert saved[0] > 0 > saved[-1]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_label_bits_are_the_entropy(counts):
    y = np.repeat(np.arange(len(counts)), counts)
    bits = partition_coding_length(np.zeros((len(y), 2)), y, epsilon=1.0)
    shares = np.array(counts) / len(y)
    assert_allclose(bits, -len(y) * np.sum(shares * np.log2(shares)), atol=1e-12)


def test_length_does_not_see_a_shift_but_through_the_mean():
    X = np.random.default_rng(0).standard_normal((15, 3))
    X -= X.mean(axis=0)
    shift, epsilon = np.array([3.0, 0.0, 4.0]), 0.5
    extra = coding_length(X + shift, epsilon=epsilon) - coding_length(
        X, epsilon=epsilon
    )
    assert_allclose(extra, 3 / 2 * math.log2(1 + 25 / epsilon**2), rtol=1e-12)


# -- minimum incremental coding length ------------------------------------------------


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
        longer = coding_length(np.vstack([X, x]), epsilon=epsilon, weights=weights)
        shorter = coding_length(X, epsilon=epsilon, weights=weights[:20])
        return abs((longer - shorter) * math.log(2) - limit)

    gaps = [gap(n) for n in (1e3, 1e4, 1e5)]
    assert gaps[0] < 0.2
    for gap_before, gap_after in pairwise(gaps):  # order 1/n
        assert_allclose(gap_after, gap_before / 10, rtol=0.1)
