"""Theorems and closed forms of the theory of coding lengths and coding rates."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

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


# -- gradient -------------------------------------------------------------------------


# -- regularised landscape (Wang et al. 2024) -----------------------------------------


def critical_point(ranks, counts, epsilon, strength, seed=0):
    """Return rows at which the gradient of the rate reduction is ``strength * Z``.

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
