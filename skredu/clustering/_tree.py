"""The tree of merges: built from rows that are equal, cut, and given to SciPy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class Tree:
    """Merges of ``n`` leaves, in their order: down to one node, or the first of these.

    Parameters
    ----------
    children : array of shape (n_merges, 2)
        Nodes that merge: leaves below ``n``, the node that merge ``i`` makes is
        ``n + i``.
    costs : array of shape (n_merges,)
        Bits that each merge adds to the total.
    n_leaves : int
        Number of leaves ``n``.
    """

    children: Any
    costs: Any
    n_leaves: int

    def cut(self, n_merges: int) -> Any:
        """Labels of the leaves after some merges: integers, in the order of leaves."""
        n = self.n_leaves
        above = np.arange(n + n_merges)
        above[self.children[:n_merges]] = np.arange(n, n + n_merges)[:, None]
        while True:
            higher = above[above]  # twice as far up in every round
            if np.array_equal(higher, above):
                return in_order(above[:n])
            above = higher

    def count_large(self, weights: Any, least: float) -> tuple[Any, Any]:
        """Count nodes with a weight of ``least``, and add these, after every merge."""
        n, n_merges = self.n_leaves, len(self.children)
        sizes = np.concatenate([weights, np.zeros(n_merges)])
        for i, (a, b) in enumerate(self.children):
            sizes[n + i] = sizes[a] + sizes[b]
        large = (sizes >= least).astype(float)

        def after(values: Any) -> Any:
            change = values[n:] - values[self.children].sum(axis=1)
            start = np.sum(values[:n])
            return np.concatenate([[start], start + np.cumsum(change)])

        return np.rint(after(large)).astype(np.intp), after(large * sizes)

    def linkage(self) -> Any:
        """Linkage matrix of SciPy, with the bits moved so far as heights."""
        n = self.n_leaves
        sizes = np.ones(n + len(self.children))
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
    pairs = np.array(children, dtype=np.intp).reshape(-1, 2)
    return Tree(pairs, np.array(costs), n)
