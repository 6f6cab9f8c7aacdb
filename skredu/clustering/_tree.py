"""The tree of merges: built from rows that are equal, cut, and given to SciPy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class Tree:
    """Merges of ``n`` leaves down to one node, in their order.

    Parameters
    ----------
    children : array of shape (n - 1, 2)
        Nodes that merge: leaves below ``n``, the node that merge ``i`` makes is
        ``n + i``.
    costs : array of shape (n - 1,)
        Bits that each merge adds to the total.
    """

    children: Any
    costs: Any

    def cut(self, n_merges: int) -> Any:
        """Labels of the leaves after some merges: integers, in the order of leaves."""
        n = len(self.children) + 1
        above = np.arange(n + n_merges)
        above[self.children[:n_merges]] = np.arange(n, n + n_merges)[:, None]
        while True:
            higher = above[above]  # twice as far up in every round
            if np.array_equal(higher, above):
                return in_order(above[:n])
            above = higher

    def n_large(self, weights: Any, least: float) -> Any:
        """Count the nodes with a weight of ``least`` or more, after every merge."""
        n = len(self.children) + 1
        sizes = np.concatenate([weights, np.zeros(n - 1)])
        change = np.empty(n - 1)
        for i, (a, b) in enumerate(self.children):
            sizes[n + i] = sizes[a] + sizes[b]
            parts = float(sizes[a] >= least) + float(sizes[b] >= least)
            change[i] = float(sizes[n + i] >= least) - parts
        start = np.count_nonzero(np.asarray(weights) >= least)
        return np.concatenate([[start], start + np.cumsum(change)]).astype(np.intp)

    def linkage(self) -> Any:
        """Linkage matrix of SciPy, with the bits moved so far as heights."""
        n = len(self.children) + 1
        sizes = np.ones(2 * n - 1)
        for i, (a, b) in enumerate(self.children):
            sizes[n + i] = sizes[a] + sizes[b]
        heights = np.cumsum(np.abs(self.costs))
        return np.column_stack([self.children, heights, sizes[n:]]).astype(float)


def in_order(labels: Any) -> Any:
    """Labels as integers from 0, in the order in which they appear."""
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]


def grow(heads: Any, joins: Iterable[Any], merges: Iterable[Any]) -> Tree:
    """Build a tree from rows that join a head first, and from merges of the heads.

    Parameters
    ----------
    heads : array of shape (m,)
        One leaf of each of the groups that merge, by name.
    joins : iterable of (name, leaf, bits)
        Leaves that join the group of a name before anything merges.
    merges : iterable of (name, name, bits)
        Merges of the groups, as `skredu.clustering._merging.merges` yields them.
    """
    nodes = [int(leaf) for leaf in heads]
    joined = [(name, int(leaf), bits) for name, leaf, bits in joins]
    n = len(nodes) + len(joined)
    children: list[tuple[int, int]] = []
    costs: list[float] = []
    for name, leaf, bits in joined:
        children.append((nodes[name], leaf))
        nodes[name] = n + len(costs)
        costs.append(bits)
    for a, b, bits in merges:
        children.append((nodes[a], nodes[b]))
        nodes.append(n + len(costs))
        costs.append(bits)
    return Tree(np.array(children, dtype=np.intp).reshape(-1, 2), np.array(costs))
