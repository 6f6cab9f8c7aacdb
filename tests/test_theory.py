"""Theorems and closed forms of the theory of coding lengths and coding rates."""

import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skredu.rates import (
    class_coding_rate,
    coding_length,
    coding_rate,
    rate_reduction,
)

# -- rates ----------------------------------------------------------------------------


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
