r"""Choice of the distortion, and of the partition for which it is chosen.

Bits at two distortions cannot be compared, because a larger one always takes fewer. So
every group is described as a Gaussian that has a variance of its own in each of its
``q`` principal directions, and one variance in all others:

.. math::

    \frac{n_j}{2} \Bigl(\sum_{i \le q} \log_2 \lambda_i + (r - q) \log_2 \sigma^2\Bigr)
    + \frac{p_q}{2} \log_2 n - n_j \log_2 \frac{n_j}{n}

with the ``q`` for which this is smallest, and :math:`p_q` parameters. A ball takes few
of them and a subspace needs only those of its own directions, so groups with fewer
samples than features can be distinguished. This is the Bayesian information criterion
of a mixture of probabilistic principal component analysers with hard memberships
(Tipping and Bishop, "Mixtures of probabilistic principal component analyzers", Neural
Computation, 1999).
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
    MAX_DENSE,
    Group,
    Partition,
    Watch,
    group_of,
    reassign,
    settle,
)
from skredu.clustering._rows import Data, Rows
from skredu.clustering._search import (
    MAX_ROWS,
    MAX_SMALL,
    Starts,
    Wanted,
    even_choice,
    solve,
)

# Distortions that are tried, relative to the spread of the rows.
EPSILONS = 2.5 * 2.0 ** np.arange(-10.0, 1.0)
# Values of a feature that differ by less than this share of their range are the same.
RESOLUTION = 1e-9
# Of more distinct rows an even choice of so many is looked at where rows do not move:
# they merge once for each distortion.
MAX_MERGED = 500
# The search for a number of groups goes on to half as many again and so many more.
MORE_GROUPS = 4
MAX_GROUPS = 40
# Rounds in which rows outside the choice take their groups.
MAX_ROUNDS = 5
# Share of the spread below which no deviation counts.
FINEST = 1e-3
# Share of the rows up to which a group is no evidence.
FEW = 0.01


def spread_of(data: Data, assume_centered: bool) -> float:
    """Root mean square distance of rows to their mean, or norm about the origin.

    Equal rows have no spread; then it is their norm, and one for rows of zeros.
    """
    shares = data.weights / np.sum(data.weights)
    X = data.X if assume_centered else data.X - shares @ data.X
    for rows in (X, data.X):
        size = float(np.max(np.abs(rows)))
        if size > 1e-15 * float(np.max(np.abs(data.X))):
            unit = rows / size  # so that no square overflows
            return size * float(shares @ np.einsum("ij,ij->i", unit, unit)) ** 0.5
    return 1.0


def rounding_noise(X: Any) -> float:
    """Root mean square distance by which rounding to the steps of features moves a row.

    Of rows of shape (m, d), in their units: the error within a step ``s`` has the
    variance ``s^2 / 12``. At this distortion it takes as many bits to tell values one
    step apart as to code them as groups of their own; below it, values of a feature
    would be the groups.
    """
    steps = steps_of(X)
    size = float(np.max(steps))
    return size * float(np.sum((steps / size) ** 2) / 12.0) ** 0.5 if size > 0 else 0.0


def steps_of(X: Any) -> Any:
    """Step of each feature."""
    return np.array([_step(values) for values in np.sort(X, axis=0).T])


def _step(values: Any) -> float:
    """Step of a feature from its sorted values: nearly the smallest difference.

    Nearly, as a gap that was filled with the mean lies between two steps.
    """
    largest, gaps = max(-values[0], values[-1]), np.diff(values)
    same = RESOLUTION * (values[-1] - values[0]) + 4.0 * np.finfo(float).eps * largest
    gaps = gaps[gaps > same]
    return float(np.quantile(gaps, 0.1, method="lower")) if len(gaps) else 0.0


def distortions(data: Data, assume_centered: bool) -> Any:
    """Grid relative to the spread of the rows, from the noise of rounding on."""
    epsilons = EPSILONS * spread_of(data, assume_centered)
    coarse = epsilons >= rounding_noise(data.X)
    coarse[-1] = True
    return epsilons[coarse]


def total_bits(data: Data, partition: Partition) -> float:
    """Bits of a partition, labels included."""
    n = float(np.sum(data.weights))
    return (partition.bits + n * float(np.log2(n))) * data.scale


def penalised(data: Data, bits: float, epsilon: float, rank: int) -> float:
    """Bits as if every coordinate were coded to the same precision in the end.

    There are as many coordinates as directions in which rows differ: to count constant
    or dependent features would reward the smallest distortion.
    """
    n = float(np.sum(data.weights)) * data.scale
    return bits + n * rank * float(np.log2(epsilon))


def directions(data: Data, assume_centered: bool) -> int:
    """Count the directions in which rows differ, or from the origin."""
    X, largest = data.X, float(np.max(np.abs(data.X)))
    if not assume_centered:
        X = X - X[0]  # of constant features nothing is left, not even rounding
        X = X - X.mean(axis=0)
    size = float(np.max(np.abs(X)))
    if size <= 1e-15 * largest:
        return 0
    sigma = np.linalg.svd(X / size, compute_uv=False)
    # what rounding leaves of features that follow from others, far from the origin
    floor = max(X.shape) * len(X) ** 0.5 * np.finfo(np.float64).eps * largest / size
    return int(np.count_nonzero(sigma > floor))


def path(
    data: Data, epsilons: Any, assume_centered: bool, n_jobs: int | None, wanted: Wanted
) -> dict[str, Any]:
    """Numbers of groups and bits of the partition for every distortion."""
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
    """Distortion whose partition is described in the fewest bits, and that partition.

    Labels are those of all distinct rows; None where greedy merging has to find them.
    ``watch`` is called between distortions, or as many as there are jobs, and says
    whether to stop.
    """
    moves = wanted.moves(data)
    sample = evenly(data, max(MAX_ROWS if moves else MAX_MERGED, 3 * wanted.at_least))
    basis = principal_directions(sample, assume_centered) if moves else None
    if basis is not None:
        sample = replace(sample, X=sample.X @ basis)
    search = _Search(sample, assume_centered, replace(wanted, refine=moves))
    epsilons = distortions(sample, assume_centered)
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
    """Every so many-th of the distinct rows, with a median weight of one."""
    if len(data.X) <= most:
        return data
    index = even_choice(len(data.X), most)
    X, weights = data.X[index], data.weights[index]
    stands_for = float(np.sum(data.weights)) / float(np.sum(weights))
    chosen = Data(X, weights, weights, np.arange(most), unit=data.unit * stands_for)
    return chosen.evened()


def principal_directions(data: Data, assume_centered: bool) -> Any:
    """Basis of the directions in which rows differ most; None of few features.

    Groups are looked for there: all that can be told from some rows is seen in these
    directions, and codes of few rows are short.
    """
    if data.X.shape[1] <= MAX_DENSE:
        return None
    spread = spread_of(data, assume_centered)
    rows = data.scaled(spread, assume_centered, span=False)
    root = np.sqrt(rows.weights)[:, None] * rows.X
    return np.linalg.svd(root, full_matrices=False)[2][:MAX_DENSE].T


class Judge:
    """Bits that describe partitions of the same rows, up to a constant.

    Lengths are in units of the spread of the rows, so that their squares are in range.

    Parameters
    ----------
    rows : Rows
        At any distortion.
    unit : float
        Length of one in these rows.
    rounding : array of shape (r,)
        Variance that rounding leaves in each coordinate.
    rank : int
        Number of directions in which rows differ.
    """

    def __init__(self, rows: Rows, unit: float, rounding: Any, rank: int) -> None:
        self.rank, self.rounding = max(rank, 1), rounding
        self.floor = FINEST**2 / self.rank
        self.total = float(np.sum(rows.weights))
        self.alone = self._alone(rows, unit)

    def bits(self, partition: Partition, unit: float, large: Any) -> float:
        """Bits of the groups that count, and of all other rows, under one label.

        A row alone has no spread, and a few of many rows are close by chance, so they
        are among the others.
        """
        least = max(1.0, FEW * len(partition.labels))
        bits = outside = 0.0
        for group, counts in zip(partition.groups, large, strict=True):
            if counts and len(group.members) > least:
                bits += self._group(group, unit)
                bits -= group.count * math.log2(group.count / self.total)
            else:
                bits += float(np.sum(self.alone[group.members]))
                outside += group.count
        if outside > 0.0:
            bits -= outside * math.log2(outside / self.total)
        return bits

    def _group(self, group: Group, unit: float) -> float:
        """Bits of a group, for the best number of directions of their own."""
        r, n = self.rank, len(group.members)
        free = n if group.rows.assume_centered else n - 1
        variances = self._variances(group, unit)
        q = np.arange(max(1, min(r, free)))
        rest = np.cumsum(variances[::-1])[::-1][q] / (r - q)
        # Without bias: the directions were fitted to the rows as well.
        rest *= n / np.maximum(free - q, 1)
        own = np.cumsum(np.log2(variances * (n / max(free, 1))))
        volumes = np.concatenate([[0.0], own])[q] + (r - q) * np.log2(rest)
        n_parameters = 1 + q * r - q * (q - 1) // 2 + (n - free) * r
        bits = group.count * volumes + n_parameters * math.log2(self.total)
        return 0.5 * float(np.min(bits))

    def _variances(self, group: Group, unit: float) -> Any:
        """Variances in principal directions, with what rounding leaves in each."""
        order = np.argsort(-group.squares, kind="stable")[: self.rank]
        known = len(order)
        noise, left = np.zeros(self.rank), float(np.sum(self.rounding))
        noise[:known] = self.rounding @ group.V[:, order] ** 2
        if known < self.rank:
            noise[known:] = max(0.0, left - noise.sum()) / (self.rank - known)
        noise[:known] += group.squares[order] * (unit * unit / group.count)
        return np.maximum(noise, self.floor)

    def _alone(self, rows: Rows, unit: float) -> Any:
        """Bits of each row as an outlier.

        By a Cauchy distribution as wide as all rows.
        """
        r, group = self.rank, group_of(rows, np.arange(len(rows)))
        X = (rows.X - group.mean) * unit
        variance = float(np.sum(group.squares)) * unit**2 / (self.total * r)
        variance, half = max(variance, self.floor), 0.5 * (r + 1)
        bits = 0.5 * r * math.log2(variance) - math.lgamma(half) / math.log(2.0)
        bits += half * math.log2(math.pi)
        bits -= 0.5 * r * math.log2(2.0 * math.pi * math.e)  # as for Gaussians
        distances = np.einsum("ij,ij->i", X, X) / variance
        return rows.weights * (bits + half * np.log2(1.0 + distances))


# Rank (the lowest is the best), distortion, labels, and which groups count.
Candidate = tuple[tuple[bool, float, float], float, Any, Any]


def _rank(candidate: Candidate) -> tuple[bool, float, float]:
    return candidate[0]


class _Search:
    """Partitions of the same rows at many distortions, and how well they describe."""

    def __init__(self, data: Data, assume_centered: bool, wanted: Wanted) -> None:
        self.data, self.assume_centered, self.wanted = data, assume_centered, wanted
        self.spread = spread_of(data, assume_centered)
        self.rank = directions(data, assume_centered)
        self.least = wanted.least(data)
        self.rows = rows = data.scaled(self.spread, assume_centered, span=False)
        rounding = (steps_of(data.X) / self.spread) ** 2 / 12.0
        self.judge = Judge(rows, data.X.shape[1] ** -0.5, rounding, self.rank)

    @cached_property
    def starts(self) -> Starts:
        """Partitions to begin with, the same for all distortions."""
        return Starts(self.rows)

    def best(self, epsilon: float) -> Candidate:
        """Partition that is described in the fewest bits."""
        rows = self.data.scaled(epsilon, self.assume_centered, span=False)
        found: list[Candidate] = []
        partitions = self._partitions(rows, epsilon, found)
        found.extend(self._judged(partition, epsilon) for partition in partitions)
        return min(found, key=_rank)

    def _judged(self, partition: Partition, epsilon: float) -> Candidate:
        large = self.wanted.are_large(partition, self.least)
        own = penalised(self.data, partition.bits, epsilon / self.spread, self.rank)
        if self.wanted.n_clusters is not None:
            rank = (not self.wanted.suits(partition, self.least), own, 0.0)
        else:
            bits = self.judge.bits(partition, self._unit(epsilon), large)
            # the same partition takes the same bits up to rounding
            rank = (not large.any(), round(bits / len(self.data.X), 6), own)
        return rank, epsilon, partition.labels, large

    def _unit(self, epsilon: float) -> float:
        """Length of one in rows at a distortion, relative to the spread."""
        return epsilon / self.spread * self.data.X.shape[1] ** -0.5

    def _partitions(self, rows: Rows, epsilon: float, found: list[Candidate]) -> Any:
        """Partitions to be judged; those before are in ``found``."""
        if not self.wanted.moves(self.data):
            greedy = self.wanted.find(self._solved(epsilon))[1]
            yield Partition(rows, greedy.labels)  # not in the span of few rows
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
            for labels in self.starts.many():
                yield settle(Partition(rows, labels))
        best = min(found, key=_rank)
        yield reassign(Partition(rows, best[2]), alone=True)

    def _numbers(self, rows: Rows, found: list[Candidate]) -> Any:
        """Partitions in more and more groups, until more do not pay for long."""
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
        """Distortion, number of groups and bits of the partition that a fit finds."""
        _, found, large = self.wanted.find(self._solved(epsilon))
        rows = self.data.scaled(epsilon, self.assume_centered, span=False)
        partition = Partition(rows, found.labels)
        return (
            epsilon,
            int(large.sum()),
            total_bits(self.data, partition),
            self.judge.bits(partition, self._unit(epsilon), large),
        )


def _extended(rows: Rows, chosen: Any, large: Any) -> Any:
    """Labels of all rows from those of an even choice, each where it takes fewest bits.

    Rows are left alone only where some of the choice are.
    """
    index = even_choice(len(rows), len(chosen))
    names = np.where(large, np.cumsum(large) - 1, -1)
    labels = np.full(len(rows), -1)
    labels[index] = names[chosen]
    alone = np.full(len(rows), math.inf) if large.all() else rows.alone
    for _ in range(MAX_ROUNDS):
        costs = [alone]
        for name in range(np.count_nonzero(large)):
            members = np.flatnonzero(labels == name)
            if len(members) == 0:  # all its rows have moved
                costs.append(np.full(len(rows), math.inf))
                continue
            group = group_of(rows, members)
            cost = group.joined
            cost[group.members] = -group.left
            costs.append(cost)
        before, labels = labels, np.argmin(costs, axis=0) - 1
        if np.array_equal(labels, before):
            break
    outside = np.flatnonzero(labels < 0)
    labels[outside] = len(large) + np.arange(len(outside))
    return labels
