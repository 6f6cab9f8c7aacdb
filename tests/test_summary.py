"""Summaries of parts of the samples merge to that of all samples."""

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from settings import limit

from skredu._stream import Summary
from skredu.coding._rows import Rows

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, 90)
X = RNG.normal(size=(90, 4)) + RNG.normal(size=(3, 4))[Y]


def summary(part, weights=None, *, assume_centered=False):
    """Summarise some of the samples, which know their position among all."""
    w = None if weights is None else weights[part]
    rows = Rows.of(X[part], Y[part], w, np.arange(3))
    scatters = rows.scatters(assume_centered)
    return Summary.of(rows, scatters, keep=True, first=part.start)


def assert_same(found, expected):
    assert found.seen == expected.seen
    for a, b in zip(found.scatters, expected.scatters, strict=True):
        assert_allclose(a.count, b.count, rtol=1e-12)
        assert_allclose(a.mean, b.mean, rtol=1e-10)
        assert_allclose(a.dense(), b.dense(), rtol=1e-10)
    order = np.argsort(found.kept["position"])
    for name in ("position", "X", "codes", "weights"):
        assert_array_equal(found.kept[name][order], expected.kept[name])


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
    assert most / 2 <= len(expected.kept["X"]) <= most or most > 90
    for cuts in ([0, 1, 2, 90], [0, 30, 60, 90], [0, 13, 14, 55, 90]):
        parts = [summary(slice(*cut), weights, **options) for cut in pairwise(cuts)]
        assert_same(reduce(Summary.merge, parts), expected)
        assert_same(reduce(Summary.merge, parts[::-1]), expected)


def test_parts_that_do_not_know_their_position_follow_each_other(monkeypatch):
    limit(monkeypatch, MAX_ROWS=7)
    rows = [Rows.of(X[[i]], Y[[i]], None, np.arange(3)) for i in range(90)]
    parts = [Summary.of(r, r.scatters(False), keep=True) for r in rows]
    assert_same(reduce(Summary.merge, parts), summary(slice(0, 90)))


def test_state_of_a_summary_is_plain_and_restores_it():
    whole = summary(slice(0, 90))
    state = whole.to_state()
    assert all(isinstance(part, dict) for part in state["scatters"])
    assert_same(Summary.of_state(state), whole)
