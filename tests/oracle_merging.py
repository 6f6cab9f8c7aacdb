"""Greedy merging by its definition: every union coded anew from its own rows.

Lengths come from the singular values of the rows of a group, every pair of groups is
looked at in every step, and the bits of the labels are those of the whole partition.
"""

import numpy as np

QUANTUM = 2.0**-32


def coding_length(X, weights, epsilon, assume_centered):
    """Bits of rows, from singular values."""
    n, d = float(np.sum(weights)), X.shape[1]
    mean = np.zeros(d) if assume_centered else weights @ X / n
    sigma = np.linalg.svd(np.sqrt(weights)[:, None] * (X - mean), compute_uv=False)
    bits = (n + d) / 2 * np.sum(np.log1p(d / n * (sigma / epsilon) ** 2)) / np.log(2)
    return bits + d / 2 * np.log1p(mean @ mean / epsilon**2) / np.log(2)


class PlainMerging:
    """Groups of rows that merge, with nothing remembered but the costs of pairs."""

    def __init__(self, X, weights, epsilon, *, assume_centered=False, pairs=None):
        self.X, self.weights, self.epsilon = X, weights, epsilon
        self.assume_centered, self.pairs = assume_centered, pairs
        self.members = {i: [i] for i in range(len(X))}
        self.costs = {}

    def length(self, index):
        """Bits of some rows and of their labels."""
        weights = self.weights[index]
        share = weights.sum() / self.weights.sum()
        length = coding_length(
            self.X[index], weights, self.epsilon, self.assume_centered
        )
        return length - weights.sum() * np.log2(share)

    def cost(self, a, b):
        """Bits that merging two groups takes."""
        a, b = self.members[a], self.members[b]
        return self.length(a + b) - self.length(a) - self.length(b)

    def may_merge(self, a, b):
        """Whether rows of both groups are neighbours."""
        return self.pairs is None or any(
            (i, j) in self.pairs or (j, i) in self.pairs
            for i in self.members[a]
            for j in self.members[b]
        )

    def candidates(self):
        """Costs of all pairs that may merge, to the quantum, by their names."""
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
        """Pair with the lowest cost; of equal ones that with the smallest names."""
        found = self.candidates()
        return min((cost, pair) for pair, cost in found.items())

    def merge(self, a, b):
        """Replace two groups by their union, under the next name."""
        name = max(self.members) + 1
        self.members[name] = self.members.pop(a) + self.members.pop(b)
