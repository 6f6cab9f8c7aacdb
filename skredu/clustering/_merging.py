"""Greedy merging: always the two groups whose union costs the fewest extra bits.

Of every pair the younger group (with the greater name) keeps the account: its best
partner among the older ones. A new group is compared with all others once; the
account of another is looked at again only when its best partner is gone and its old
best cost, by then a lower bound, is the lowest of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from skredu.clustering._groups import Groups

# Pairs of rows whose costs are computed at once: they stay in the cache.
PAIRS = 2**17

Merge = tuple[int, int, float]


def merges(groups: Groups, graph: Graph | None = None) -> Iterator[Merge]:
    """Merge groups until one is left; yield names of both parts and the cost in bits.

    The groups that merge first are named from 0, every union takes the next name. The
    smaller name comes first; of pairs with equal costs the one with the smallest first
    name, then the smallest second name, is merged.

    Parameters
    ----------
    groups : Groups
        Used up.
    graph : Graph, default=None
        Which groups are neighbours; used up. It must be connected. None: all are.
    """
    best, partners = _initial(groups, graph)
    while groups.n_groups > 1:
        a, b = _cheapest(groups, graph, best, partners)
        first, second = sorted((int(groups.names[a]), int(groups.names[b])))
        yield first, second, float(best[a])
        union = groups.merge(a, b)
        for slot, moved in groups.moved:
            best[slot], partners[slot] = best[moved], partners[moved]
            best[moved] = np.inf
        if graph is not None:
            graph.merge(first, second)
        best[union], partners[union] = _account(groups, graph, union)


def _cheapest(
    groups: Groups, graph: Graph | None, best: Any, partners: Any
) -> tuple[int, int]:
    """Slots of the group with the lowest cost and of its partner."""
    while True:
        accounts = best[: groups.end]
        tied = (accounts == accounts[accounts.argmin()]).nonzero()[0]
        stale = tied[groups.slots[partners[tied]] < 0]
        for slot in stale:
            best[slot], partners[slot] = _account(groups, graph, slot)
        if len(stale) == 0:
            slot = int(tied[0])
            if len(tied) > 1:
                order = np.lexsort((groups.names[tied], partners[tied]))
                slot = int(tied[order[0]])
            return slot, int(groups.slots[partners[slot]])


def _account(groups: Groups, graph: Graph | None, slot: int) -> tuple[float, int]:
    """Lowest cost of a group with an older one, and its name; infinity where none."""
    if graph is None:
        return groups.best_partner(slot)
    name = int(groups.names[slot])
    names = graph.neighbours(name)
    names = names[names < name]
    if len(names) == 0:
        return np.inf, -1
    costs = groups.costs(slot, groups.slots[names])
    return float(costs.min()), int(names[costs == costs.min()].min())


def _initial(groups: Groups, graph: Graph | None) -> tuple[Any, Any]:
    """Accounts of all groups, by slot."""
    best = np.full(len(groups.names), np.inf)
    partners = np.full(len(groups.names), -1)
    start = 0
    if graph is None and not groups.steep and groups.n_thin:
        start = groups.n_thin
        for block in gen_batches(start, max(1, PAIRS // max(1, start))):
            best[block], partners[block] = groups.first_partners(block)
    for slot in range(start, groups.end):
        best[slot], partners[slot] = _account(groups, graph, slot)
    return best, partners


class Graph:
    """Which groups are neighbours while they merge.

    Every group is known by one of its first groups, its head. When two groups merge,
    only the neighbours of that with fewer of them hear of it.

    Parameters
    ----------
    adjacency : sparse array of shape (n, n), CSR
        Neighbours of the first groups, symmetric, without loops.
    """

    def __init__(self, adjacency: Any) -> None:
        n = adjacency.shape[0]
        self.links = np.split(adjacency.indices, adjacency.indptr[1:-1])  # by head
        self.name_of = np.arange(n)  # by head
        self.heads = list(range(n))  # by name

    def neighbours(self, name: int) -> Any:
        """Names of the groups beside one."""
        return self.name_of[self.links[self.heads[name]]]

    def merge(self, a: int, b: int) -> None:
        """Join the groups with two names under the next name."""
        gone, head = sorted((self.heads[a], self.heads[b]), key=self._n_links)
        new = []
        for other in self.links[gone].tolist():
            if other == head:
                continue
            links = self.links[other]
            if np.any(links == head):
                self.links[other] = links[links != gone]
            else:
                self.links[other] = np.where(links == gone, head, links)
                new.append(other)
        links = self.links[head]
        self.links[head] = np.append(links[links != gone], new).astype(np.intp)
        self.links[gone] = links[:0]
        self.name_of[head] = len(self.heads)
        self.heads.append(head)

    def _n_links(self, head: int) -> int:
        return len(self.links[head])
