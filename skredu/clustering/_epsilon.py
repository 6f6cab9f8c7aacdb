r"""Choice of the distortion, and of the partition for which it is chosen.

Bits at two distortions cannot be compared, because a larger distortion always needs
fewer. So every group is described by a Gaussian that has a variance of its own in each
of its ``q`` principal directions, and a common variance in all others:

.. math::

    \frac{n_j}{2} \Bigl(\sum_{i \le q} \log_2 \lambda_i
    + (r - q) \log_2 \sigma^2\Bigr) + \frac{p_q}{2} \log_2 n
    - n_j \log_2 \frac{n_j}{n}

with the ``q`` that minimises it, and :math:`p_q` parameters. A ball has few parameters,
and a subspace only needs those of its own directions, so groups with fewer samples than
features can be distinguished. This is the Bayesian information criterion of a mixture
of probabilistic principal component analysers with hard memberships (Tipping and
Bishop, "Mixtures of probabilistic principal component analyzers", Neural Computation,
1999).
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.utils import gen_batches

from skredu.clustering._partition import (
    MAX_CELLS,
    MAX_DENSE,
    Cluster,
    Partition,
    Watch,
    cells,
    cluster_of,
    reassign,
    settle,
)
from skredu.clustering._rows import Data, Samples, even_choice
from skredu.clustering._search import (
    MAX_CHOSEN,
    MAX_SMALL,
    Starts,
    Wanted,
    solve,
)

# Distortions that are tried, relative to the spread of the samples.
EPSILONS = 2.5 * 2.0 ** np.arange(-10.0, 1.0)
# Values of a feature that differ by less than this share of their range are equal.
RESOLUTION = 1e-9
# Largest number of distinct samples that are merged for each distortion; of more
# samples, an even choice is used.
MAX_MERGED = 500
# The search for a number of groups continues to one and a half times the number, plus
# this number.
MORE_GROUPS = 4
MAX_GROUPS = 40
# Number of rounds in which samples outside of the choice are assigned to groups.
EXTENDED_ROUNDS = 5
# Share of the spread below which deviations do not count.
FINEST = 1e-3
# Largest share of the samples for which a group is not evidence.
FEW = 0.01


def spread_of(data: Data, assume_centered: bool) -> float:
    """Return the root mean square distance of samples from their mean, or the norm.

    Equal samples have no spread; in this case the norm is returned, and one for zeros.
    """
    shares = data.weights / np.sum(data.weights)
    X = data.X if assume_centered else data.X - shares @ data.X
    for rows in (X, data.X):
        size = float(np.max(np.abs(rows)))
        if size > 1e-15 * float(np.max(np.abs(data.X))):
            unit = rows / size  # so that squares do not overflow
            return size * float(shares @ np.einsum("ij,ij->i", unit, unit)) ** 0.5
    return 1.0


def rounding_noise(X: Any) -> float:
    """Return the root mean square distance by which rounding moves a sample.

    For samples of shape (m, d), in their units: an error within a step ``s`` of a
    feature has the variance ``s^2 / 12``. At this distortion, distinguishing values
    that are one step apart takes as many bits as coding them as separate groups; at
    smaller distortions, the values of a feature would be the groups.
    """
    steps = steps_of(X)
    size = float(np.max(steps))
    return size * float(np.sum((steps / size) ** 2) / 12.0) ** 0.5 if size > 0 else 0.0


def steps_of(X: Any) -> Any:
    """Return the step of each feature."""
    return np.array([_step(values) for values in np.sort(X, axis=0).T])


def _step(values: Any) -> float:
    """Return the step of a feature from its sorted values.

    It is not exactly the smallest difference, because a missing value that was replaced
    by the mean is between two steps.
    """
    largest, gaps = max(-values[0], values[-1]), np.diff(values)
    same = RESOLUTION * (values[-1] - values[0]) + 4.0 * np.finfo(float).eps * largest
    gaps = gaps[gaps > same]
    return float(np.quantile(gaps, 0.1, method="lower")) if len(gaps) else 0.0


def total_bits(data: Data, partition: Partition) -> float:
    """Return the bits of a partition, including labels."""
    n = float(np.sum(data.weights))
    return (partition.bits + n * float(np.log2(n))) * data.scale


def directions(data: Data, assume_centered: bool) -> int:
    """Count the directions in which samples differ from each other or the origin."""
    X, largest = data.X, float(np.max(np.abs(data.X)))
    if not assume_centered:
        X = X - X[0]  # constant features vanish exactly, without rounding errors
        X = X - X.mean(axis=0)
    size = float(np.max(np.abs(X)))
    if size <= 1e-15 * largest:
        return 0
    sigma = np.linalg.svd(X / size, compute_uv=False)
    # rounding errors of linearly dependent features far from the origin
    floor = max(X.shape) * len(X) ** 0.5 * np.finfo(np.float64).eps * largest / size
    return int(np.count_nonzero(sigma > floor))


def path(
    data: Data, epsilons: Any, assume_centered: bool, n_jobs: int | None, wanted: Wanted
) -> dict[str, Any]:
    """Return numbers of groups and bits of the partition for every distortion."""
    search = _Search(data, assume_centered, wanted)
    found = Parallel(n_jobs)(delayed(search.fitted)(float(e)) for e in epsilons)
    names = ("epsilon", "n_clusters", "coding_length", "description_length")
    columns = np.array(found, dtype=float).reshape(-1, len(names)).T
    table = dict(zip(names, columns, strict=True))
    table["n_clusters"] = table["n_clusters"].astype(np.intp)
    return table


def elect(
    data: Data, assume_centered: bool, n_jobs: int | None, wanted: Wanted, watch: Watch
) -> tuple[float, Any]:
    """Return the distortion with the shortest description, and its labels.

    The labels are those of all distinct samples, or None if greedy merging has to find
    them. ``watch`` is called between distortions (or between batches of parallel ones),
    and returns whether to stop.
    """
    moves = wanted.moves(data)
    sample = evenly(
        data, max(MAX_CHOSEN if moves else MAX_MERGED, 3 * (wanted.n_clusters or 1))
    )
    basis = principal_directions(sample, assume_centered) if moves else None
    if basis is not None:
        sample = replace(sample, X=sample.X @ basis)
    search = _Search(sample, assume_centered, replace(wanted, refine=moves))
    epsilons = EPSILONS * spread_of(sample, assume_centered)
    if sample.counts is None:
        coarse = epsilons >= rounding_noise(sample.X)
        coarse[-1] = True
        epsilons = epsilons[coarse]
    if wanted.n_clusters is None:
        epsilons = epsilons[::-2]
    found: list[Candidate] = []
    for some in gen_batches(len(epsilons), effective_n_jobs(n_jobs)):
        jobs = (delayed(search.best)(float(epsilon)) for epsilon in epsilons[some])
        found += Parallel(n_jobs)(jobs)
        if watch():
            break
    best = min(found, key=_rank)
    # the same distortion in each direction
    epsilon = best[1] * (data.X.shape[1] / sample.X.shape[1]) ** 0.5
    missed = best[0][0]
    if not moves or missed:
        return epsilon, None
    if len(sample.X) == len(data.X):
        return epsilon, best[2]
    coordinates = data.X if basis is None else data.X @ basis
    rows = replace(data, X=coordinates).scaled(best[1], assume_centered)
    return epsilon, _extended(rows, best[2], best[3])


def evenly(data: Data, most: int) -> Data:
    """Return evenly spaced distinct samples, with median weight one."""
    if len(data.X) <= most or data.counts is not None:
        return data
    index = even_choice(len(data.X), most)
    X, weights = data.X[index], data.weights[index]
    stands_for = float(np.sum(data.weights)) / float(np.sum(weights))
    chosen = Data(X, weights, weights, np.arange(most), unit=data.unit * stands_for)
    return chosen.evened()


def principal_directions(data: Data, assume_centered: bool) -> Any:
    """Return the directions in which samples differ most, None for few features.

    Groups are searched in this space, because all that can be inferred from some
    samples is visible in these directions, and codes of few samples are short.
    """
    if data.X.shape[1] <= MAX_DENSE:
        return None
    spread = spread_of(data, assume_centered)
    rows = data.scaled(spread, assume_centered, span=False)
    root = np.sqrt(rows.weights)[:, None] * rows.X
    return np.linalg.svd(root, full_matrices=False)[2][:MAX_DENSE].T


# Rank (the lowest is the best), distortion, labels, and which groups count.
Candidate = tuple[tuple[bool, float, float], float, Any, Any]


def _rank(candidate: Candidate) -> tuple[bool, float, float]:
    return candidate[0]


class _Search:
    """Partitions of the same samples at many distortions, and their descriptions.

    Lengths are in units of the spread of the samples, so that their squares are in
    range.
    """

    def __init__(self, data: Data, assume_centered: bool, wanted: Wanted) -> None:
        self.data, self.assume_centered, self.wanted = data, assume_centered, wanted
        self.spread = spread_of(data, assume_centered)
        self.rank = directions(data, assume_centered)
        self.least = wanted.least(data)
        self.rows = data.scaled(self.spread, assume_centered, span=False)
        # variance of the rounding error in each coordinate
        self.rounding = (steps_of(data.X) / self.spread) ** 2 / 12.0
        self.counts = np.ones(len(data.X), dtype=np.intp)
        if data.counts is not None:
            self.rounding, self.counts = 0.0 * self.rounding, data.counts
        self.floor = FINEST**2 / max(self.rank, 1)
        self.total = float(np.sum(data.weights))
        self.alone = self._alone(self.rows, data.X.shape[1] ** -0.5)

    @cached_property
    def starts(self) -> Starts:
        """Starting points, which are the same for all distortions."""
        return Starts(self.rows)

    def best(self, epsilon: float) -> Candidate:
        """Return the partition with the shortest description."""
        rows = self.data.scaled(epsilon, self.assume_centered, span=False)
        found: list[Candidate] = []
        partitions = self._partitions(rows, epsilon, found)
        found.extend(self._judged(partition, epsilon) for partition in partitions)
        return min(found, key=_rank)

    def _judged(self, partition: Partition, epsilon: float) -> Candidate:
        large = self.wanted.are_large(partition, self.least)
        # Bits as if all coordinates were coded to the same final precision. Only the
        # directions in which samples differ are counted, because counting constant or
        # dependent features would favour the smallest distortion.
        n = self.total * self.data.scale
        own = partition.bits + n * self.rank * math.log2(epsilon / self.spread)
        if self.wanted.n_clusters is not None:
            rank = (not self.wanted.suits(partition, self.least), own, 0.0)
        else:
            bits = self.describe(partition, epsilon, large)
            # the same partition takes the same bits up to rounding
            rank = (not large.any(), round(bits / len(self.data.X), 6), own)
        return rank, epsilon, partition.labels, large

    def _partitions(self, rows: Samples, epsilon: float, found: list[Candidate]) -> Any:
        """Yield partitions to compare; previous ones are in ``found``."""
        if not self.wanted.moves(self.data):
            greedy = self.wanted.find(self._solved(epsilon))[1]
            yield Partition(rows, greedy.labels)  # not in the span of few samples
            return
        n_groups = self.wanted.n_clusters
        if n_groups is not None:
            for labels in self.starts.given(n_groups, self.least):
                yield settle(Partition(rows, labels), n_groups)
            more = range(n_groups + 1, min(n_groups + MAX_SMALL, len(rows)) + 1)
            for k in more:
                if not min(rank[0] for rank, *_ in found):
                    break
                yield settle(Partition(rows, self.starts.ward(k)), k)
        else:
            yield from self._numbers(rows, found)
            for labels in (self.starts.ward(MAX_CELLS), cells(self.rows, MAX_CELLS)):
                yield settle(Partition(rows, labels))
        best = min(found, key=_rank)
        yield reassign(Partition(rows, best[2]), alone=True)

    def _numbers(self, rows: Samples, found: list[Candidate]) -> Any:
        """Yield partitions with more and more groups, until they no longer improve."""
        for k in range(1, min(MAX_GROUPS, len(rows)) + 1):
            yield settle(Partition(rows, self.starts.ward(k)), k)
            best = min(range(k), key=lambda i: found[i][0]) + 1
            if k >= 1.5 * best + MORE_GROUPS:
                return

    def _solved(self, epsilon: float) -> Any:
        # a given number of groups may come after the merges that save bits
        to_the_end = self.wanted.n_clusters is not None
        return solve(self.data, epsilon, self.assume_centered, to_the_end=to_the_end)

    def fitted(self, epsilon: float) -> tuple[float, int, float, float]:
        """Return distortion, number of groups and bits of the partition of a fit."""
        _, found, large = self.wanted.find(self._solved(epsilon))
        rows = self.data.scaled(epsilon, self.assume_centered, span=False)
        partition = Partition(rows, found.labels)
        return (
            epsilon,
            int(large.sum()),
            total_bits(self.data, partition),
            self.describe(partition, epsilon, large),
        )

    def describe(self, partition: Partition, epsilon: float, large: Any) -> float:
        """Return the bits that describe a partition at a distortion, up to a constant.

        The groups that count are described one by one, and all other samples as one
        group. A single sample has no spread, and a few of many samples are close by
        chance, so they belong to the others.
        """
        unit = epsilon / self.spread * self.data.X.shape[1] ** -0.5
        least = max(1.0, FEW * np.sum(self.counts))
        bits = outside = 0.0
        for group, counts in zip(partition.groups, large, strict=True):
            if counts and np.sum(self.counts[group.members]) > least:
                bits += self._group(group, unit)
                bits -= group.count * math.log2(group.count / self.total)
            else:
                bits += float(np.sum(self.alone[group.members]))
                outside += group.count
        if outside > 0.0:
            bits -= outside * math.log2(outside / self.total)
        return bits

    def _group(self, group: Cluster, unit: float) -> float:
        """Return the bits of a group for the best number of its own directions."""
        r, n = max(self.rank, 1), int(np.sum(self.counts[group.members]))
        free = n if group.rows.assume_centered else n - 1
        variances = self._variances(group, unit)
        q = np.arange(max(1, min(r, free)))
        rest = np.cumsum(variances[::-1])[::-1][q] / (r - q)
        # Unbiased, because the directions were fitted to the samples, too.
        rest *= n / np.maximum(free - q, 1)
        own = np.cumsum(np.log2(variances * (n / max(free, 1))))
        volumes = np.concatenate([[0.0], own])[q] + (r - q) * np.log2(rest)
        n_parameters = 1 + q * r - q * (q - 1) // 2 + (n - free) * r
        bits = group.count * volumes + n_parameters * math.log2(self.total)
        return 0.5 * float(np.min(bits))

    def _variances(self, group: Cluster, unit: float) -> Any:
        """Return variances in principal directions, including rounding errors."""
        rank = max(self.rank, 1)
        order = np.argsort(-group.squares, kind="stable")[:rank]
        known = len(order)
        noise, left = np.zeros(rank), float(np.sum(self.rounding))
        noise[:known] = self.rounding @ group.V[:, order] ** 2
        if known < rank:
            noise[known:] = max(0.0, left - noise.sum()) / (rank - known)
        noise[:known] += group.squares[order] * (unit * unit / group.count)
        return np.maximum(noise, self.floor)

    def _alone(self, rows: Samples, unit: float) -> Any:
        """Return the bits of each sample as an outlier.

        Outliers have a Cauchy distribution that is as wide as all samples.
        """
        r, group = max(self.rank, 1), cluster_of(rows, np.arange(len(rows)))
        X = (rows.X - group.mean) * unit
        variance = float(np.sum(group.squares)) * unit**2 / (self.total * r)
        variance, half = max(variance, self.floor), 0.5 * (r + 1)
        bits = 0.5 * r * math.log2(variance) - math.lgamma(half) / math.log(2.0)
        bits += half * math.log2(math.pi)
        bits -= 0.5 * r * math.log2(2.0 * math.pi * math.e)  # as for Gaussians
        distances = np.einsum("ij,ij->i", X, X) / variance
        return rows.weights * (bits + half * np.log2(1.0 + distances))


def _extended(rows: Samples, chosen: Any, large: Any) -> Any:
    """Extend labels of an even choice to all samples, each to its cheapest group.

    Samples become single only if some of the choice are.
    """
    index = even_choice(len(rows), len(chosen))
    names = np.where(large, np.cumsum(large) - 1, -1)
    labels = np.full(len(rows), -1)
    labels[index] = names[chosen]
    alone = np.full(len(rows), math.inf) if large.all() else rows.alone
    for _ in range(EXTENDED_ROUNDS):
        costs = [alone]
        for name in range(np.count_nonzero(large)):
            members = np.flatnonzero(labels == name)
            if len(members) == 0:  # all of its samples have moved
                costs.append(np.full(len(rows), math.inf))
                continue
            group = cluster_of(rows, members)
            cost = group.joined
            cost[group.members] = -group.left
            costs.append(cost)
        before, labels = labels, np.argmin(costs, axis=0) - 1
        if np.array_equal(labels, before):
            break
    outside = np.flatnonzero(labels < 0)
    labels[outside] = len(large) + np.arange(len(outside))
    return labels
