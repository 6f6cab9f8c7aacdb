"""Greedy merging by its definition: every union is coded from its own rows.

Lengths come from the singular values of the rows of a group, every pair of groups is
looked at in every step, and the bits of the labels are those of the whole partition.
"""

import numpy as np
import pytest

QUANTUM = 2.0**-32


def coding_length(X, weights, epsilon, assume_centered):
    """Return the bits of rows from singular values."""
    n, d = float(np.sum(weights)), X.shape[1]
    mean = np.zeros(d) if assume_centered else weights @ X / n
    sigma = np.linalg.svd(np.sqrt(weights)[:, None] * (X - mean), compute_uv=False)
    bits = (n + d) / 2 * np.sum(np.log1p(d / n * (sigma / epsilon) ** 2)) / np.log(2)
    return bits + d / 2 * np.log1p(mean @ mean / epsilon**2) / np.log(2)


class PlainMerging:
    """Groups of rows that are merged; only the costs of pairs are stored.

    ``groups`` are lists of rows to begin with, each row alone by default. ``edges``
    hold what merging two of these groups costs in addition, by their names; only
    groups with an edge between them merge.
    """

    def __init__(
        self,
        X,
        weights,
        epsilon,
        *,
        assume_centered=False,
        groups=None,
        edges=None,
    ):
        self.X, self.weights, self.epsilon = X, weights, epsilon
        self.assume_centered, self.edges = assume_centered, edges
        groups = [[i] for i in range(len(X))] if groups is None else groups
        self.members = dict(enumerate(groups))
        self.parts = {i: [i] for i in self.members}
        self.costs = {}

    def length(self, index):
        """Return the bits of some rows and of their labels."""
        weights = self.weights[index]
        share = weights.sum() / self.weights.sum()
        length = coding_length(
            self.X[index], weights, self.epsilon, self.assume_centered
        )
        return length - weights.sum() * np.log2(share)

    def between(self, a, b):
        """Return whether there is an edge between two groups of the initial ones."""
        pairs = [(i, j) for i in self.parts[a] for j in self.parts[b]]
        return any((i, j) in self.edges or (j, i) in self.edges for i, j in pairs)

    def cost(self, a, b):
        """Return the bits that merging two groups adds."""
        rows = self.members[a] + self.members[b]
        own = self.length(self.members[a]) + self.length(self.members[b])
        return self.length(rows) - own

    def may_merge(self, a, b):
        """Return whether there is an edge between two groups."""
        return self.edges is None or self.between(a, b)

    def candidates(self):
        """Return the rounded costs of all pairs that can be merged, by their names."""
        names = sorted(self.members)
        found = {}
        for a in names:
            for b in names:
                if a < b and self.may_merge(a, b):
                    if (a, b) not in self.costs:
                        self.costs[a, b] = self.cost(a, b)
                    found[a, b] = round(self.costs[a, b] / QUANTUM) * QUANTUM
        return found

    def cheapest(self):
        """Return the pair with the lowest cost, then with the smallest names."""
        found = self.candidates()
        return min((cost, pair) for pair, cost in found.items())

    def merge(self, a, b):
        """Replace two groups by their union, under the next name."""
        name = max(self.members) + 1
        for of_names in (self.members, self.parts):
            of_names[name] = of_names.pop(a) + of_names.pop(b)

    def tolerance(self):
        """Return the size of rounding errors in bits."""
        n, d = self.weights.sum(), self.X.shape[1]
        steepness = 1.0 + d * np.max(self.X**2) * d / self.epsilon**2
        bits = (n + d) * (d + np.log2(steepness))
        return 64 * np.finfo(float).eps * (bits + (n + d) * steepness) + QUANTUM

    def assert_merges(self, found, *, exact=True):
        """Merge as found; where costs are equal up to rounding, others may merge."""
        found, close = list(found), self.tolerance()
        assert len(found) == len(self.members) - 1
        for a, b, cost in found:
            lowest, pair = self.cheapest()
            assert cost == pytest.approx(lowest, abs=close)
            assert not exact or (a, b) == pair
            assert self.costs[a, b] <= lowest + close
            self.merge(a, b)
