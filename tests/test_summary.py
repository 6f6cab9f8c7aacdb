"""Summaries of parts of the samples merge to that of all samples."""

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit

from skredu._stream import Summary, hashes
from skredu.coding._rows import Rows

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, 90)
X = RNG.normal(size=(90, 4)) + RNG.normal(size=(3, 4))[Y]


def summary(part, weights=None, *, assume_centered=False):
    """Summarise some of the samples."""
    w = None if weights is None else weights[part]
    rows = Rows.of(X[part], Y[part], w, np.arange(3))
    return Summary.of(rows, rows.scatters(assume_centered), keep=True)


def assert_same(found, expected):
    assert found.seen == expected.seen
    assert found.complete == expected.complete
    for a, b in zip(found.scatters, expected.scatters, strict=True):
        assert_allclose(a.count, b.count, rtol=1e-12)
        assert_allclose(a.mean, b.mean, rtol=1e-10)
        assert_allclose(a.dense(), b.dense(), rtol=1e-10)
    orders = [np.argsort(each.kept["hash"]) for each in (found, expected)]
    for name in ("hash", "X", "codes"):
        kept = [s.kept[name][o] for s, o in zip((found, expected), orders, strict=True)]
        assert_array_equal(*kept)
    weights = [s.kept["weights"] for s in (found, expected)]
    assert_allclose(weights[0][orders[0]], weights[1][orders[1]])


@pytest.mark.parametrize("assume_centered", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("most", [7, 1000])
def test_parts_in_any_order_merge_to_the_summary_of_all_samples(
    most, weighted, assume_centered, monkeypatch
):
    limit(monkeypatch, MAX_ROWS=most)
    weights = RNG.uniform(0.2, 3.0, 90) if weighted else None
    options = {"assume_centered": assume_centered}
    expected = summary(slice(0, 90), weights, **options)
    assert len(expected.kept["X"]) == min(most, 90)
    assert expected.complete == (most > 90)
    single = [*range(91)]
    for cuts in ([0, 1, 2, 90], [0, 30, 60, 90], [0, 13, 14, 55, 90], single):
        parts = [summary(slice(*cut), weights, **options) for cut in pairwise(cuts)]
        assert_same(reduce(Summary.merge, parts), expected)
        assert_same(reduce(Summary.merge, parts[::-1]), expected)


def test_copies_of_kept_samples_are_weights(monkeypatch):
    limit(monkeypatch, MAX_ROWS=7)
    copies = RNG.integers(1, 5, 90)
    index = RNG.permutation(np.repeat(np.arange(90), copies))
    rows = Rows.of(X[index], Y[index], None, np.arange(3))
    found = Summary.of(rows, rows.scatters(False), keep=True)
    expected = summary(slice(0, 90), copies.astype(float))
    assert_same(Summary(found.scatters, 90, found.kept), expected)


def test_hashes_depend_on_the_values_of_a_sample_only():
    single = X.astype(np.float32)
    assert_array_equal(hashes(single, Y), hashes(single.astype(float), Y))
    assert_array_equal(hashes(X, Y)[::-1], hashes(X[::-1], Y[::-1]))
    assert_array_equal(hashes(-0.0 * X, Y), hashes(0.0 * X, Y))
    assert (hashes(X, Y) != hashes(X, Y + 1)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hashes_of_similar_samples_are_even(dtype):
    """They are all different, and as many as expected are in each tenth."""
    bits = np.arange(2**14)[:, None] >> np.arange(14) & 1
    for rows in (bits, np.arange(2**14)[:, None], 0.1 * np.arange(2**14)[:, None]):
        found = hashes(rows.astype(dtype), np.zeros(2**14, int))
        assert len(np.unique(found)) == 2**14
        shares = np.bincount((found / 2.0**64 * 10).astype(int), minlength=10) / 2**14
        assert abs(shares - 0.1).max() < 0.012
        position = np.argsort(found)[:1000].mean() / 2**14
        assert abs(position - 0.5) < 0.04


def test_state_of_a_summary_is_plain_and_restores_it():
    whole = summary(slice(0, 90))
    state = whole.to_state()
    assert all(isinstance(part, dict) for part in state["scatters"])
    assert_same(Summary.of_state(state), whole)
