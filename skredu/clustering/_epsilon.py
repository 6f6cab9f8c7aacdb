r"""Choice of the distortion, and of the partition for which it is chosen.

Bits at two distortions cannot be compared, because a larger distortion always needs
fewer. So every group is described as a Gaussian whose parameters are unknown. Its
covariance has an inverse Wishart prior with ``nu`` degrees of freedom and the scale
:math:`\psi I`, so that the covariance is integrated out exactly:

.. math::

    \frac{\nu + m}{2} \sum_{i \le r} \log_2 (\psi + s_i)
    - \frac{\nu r}{2} \log_2 \psi
    - \log_2 \frac{\Gamma_r((\nu + m) / 2)}{\Gamma_r(\nu / 2)}
    + \frac{mr}{2} \log_2 \pi + \frac{r + 2}{2} \log_2 n
    - n_j \log_2 \frac{n_j}{n}

Here, :math:`s_i` are the eigenvalues of the scatter, :math:`m = n_j - 1` is the number
of samples in addition to one that determines the mean, and :math:`\Gamma_r` is the
multivariate gamma function. The prior is the one that takes the fewest bits: with many
degrees of freedom, the covariance is spherical, and with few degrees of freedom, it is
full. So a group of few samples differs from a sphere only as far as its samples tell.
The mean and the two parameters of the prior cost as much as in the Bayesian information
criterion. That criterion is valid for many samples per parameter. If there are few, a
full covariance costs more than it assumes, and two groups in many dimensions are often
described as one. See Fraley and Raftery, "Bayesian regularization for normal mixture
estimation and model-based clustering", Journal of Classification 24(2), 2007, for this
prior.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from scipy.special import multigammaln
from sklearn.utils import gen_batches

from skredu.clustering._costs import Cluster
from skredu.clustering._partition import (
    MAX_CELLS,
    Partition,
    Watch,
    cells,
    reassign,
    settle,
)
from skredu.clustering._rows import MAX_DENSE, SMALLEST, Data, Samples
from skredu.clustering._search import MAX_CHOSEN, MAX_SMALL, Request, Starts
from skredu.clustering._tree import merge_greedily
from skredu.coding._rows import even_choice

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
# Parameters of the prior of a covariance: degrees of freedom beyond the smallest
# number, and scales relative to the mean variance.
STRENGTHS = 4.0 ** np.arange(9.0)
SCALES = 4.0 ** -np.arange(10.0)


def choose_epsilon(
    data: Data,
    assume_centered: bool,
    n_jobs: int | None,
    request: Request,
    watch: Watch,
) -> tuple[float, Any]:
    """Return the distortion with the shortest description, and its labels.

    The labels are those of all distinct samples, or None if greedy merging has to find
    them. ``watch`` is called between distortions (or between batches of parallel ones),
    and returns whether to stop.
    """
    n_clusters, moves = request.n_clusters, request.moves
    # a power of two near the spread, a unit in which squares are in range
    unit = math.ldexp(0.5, math.frexp(spread_of(data, assume_centered))[1])
    all_data = replace(data, X=data.X / unit)
    most = max(MAX_CHOSEN if moves else MAX_MERGED, 3 * (n_clusters or 1))
    data, some = reduced(all_data, most, assume_centered, moves)
    request = Request(some, n_clusters, request.min_cluster_size, moves)
    search = EpsilonSearch(some, assume_centered, request)
    epsilons = EPSILONS * search.spread
    # At the noise of rounding, distinguishing values that are one step apart takes as
    # many bits as coding them as separate groups; at smaller distortions, the values of
    # a feature would be the groups.
    coarse = epsilons >= search.spread * float(np.sum(search.rounding)) ** 0.5
    coarse[-1] = True  # even if rounding is all there is
    epsilons = epsilons[coarse] if n_clusters is not None else epsilons[coarse][::-2]
    found: list[Candidate] = []
    for batch in gen_batches(len(epsilons), effective_n_jobs(n_jobs)):
        jobs = (delayed(search.best)(float(epsilon)) for epsilon in epsilons[batch])
        found += Parallel(n_jobs)(jobs)
        if watch():
            break
    best = min(found, key=lambda candidate: candidate.rank)
    # the same distortion in each direction
    epsilon = best.epsilon * (all_data.X.shape[1] / data.X.shape[1]) ** 0.5 * unit
    if epsilon < SMALLEST:
        return SMALLEST, None
    if not moves or best.rank[0]:
        return epsilon, None
    if len(some.X) == len(data.X):
        return epsilon, best.labels
    rows = data.scaled(best.epsilon, assume_centered)
    return epsilon, extended(rows, best.labels, best.counting)


def epsilon_path(
    data: Data,
    epsilons: Any,
    assume_centered: bool,
    n_jobs: int | None,
    request: Request,
) -> dict[str, Any]:
    """Return numbers of groups and bits of the partition for every distortion."""
    search = EpsilonSearch(data, assume_centered, request)
    found = Parallel(n_jobs)(delayed(search.fitted)(float(e)) for e in epsilons)
    names = ("epsilon", "n_clusters", "coding_length", "description_length")
    columns = np.array(found, dtype=float).reshape(-1, len(names)).T
    table = dict(zip(names, columns, strict=True))
    table["n_clusters"] = table["n_clusters"].astype(np.intp)
    return table


# -- properties of the samples --------------------------------------------------------


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


def rounding_variances(X: Any) -> Any:
    """Return the variances of the rounding errors of features.

    An error within a step ``s`` of a feature has the variance ``s^2 / 12``. The step is
    not exactly the smallest difference of values, because a missing value that was
    replaced by the mean is between two steps.
    """
    steps = np.zeros(X.shape[1])
    for j, values in enumerate(np.sort(X, axis=0).T):
        largest, gaps = max(-values[0], values[-1]), np.diff(values)
        equal = RESOLUTION * (values[-1] - values[0])
        gaps = gaps[gaps > equal + 4.0 * np.finfo(float).eps * largest]
        if len(gaps):
            steps[j] = np.quantile(gaps, 0.1, method="lower")
    return steps**2 / 12.0


def count_directions(X: Any, assume_centered: bool) -> int:
    """Count the directions in which samples differ from each other or the origin."""
    largest = float(np.max(np.abs(X)))
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


def reduced(
    data: Data, most: int, assume_centered: bool, moves: bool
) -> tuple[Data, Data]:
    """Return all and some samples, in few directions if samples move.

    The samples that are chosen are evenly spaced distinct ones, with median weight one.
    """
    some = data
    if len(data.X) > most and data.counts is None:
        index, chosen = even_choice(len(data.X), most), np.arange(most)
        X, weights = data.X[index], data.weights[index]
        stands_for = float(np.sum(data.weights)) / float(np.sum(weights))
        unit = data.unit * stands_for
        some = Data(X, weights, chosen, weights, chosen, unit=unit).evened()
    if not moves or data.X.shape[1] <= MAX_DENSE:
        return data, some
    # All that can be inferred from some samples is visible in the directions in which
    # they differ most, and codes of few samples are short.
    rows = some.scaled(spread_of(some, assume_centered), assume_centered, span=False)
    X = rows.X
    if not assume_centered:
        X = X - rows.weights @ X / np.sum(rows.weights)
    root = np.sqrt(rows.weights)[:, None] * X
    basis = np.linalg.svd(root, full_matrices=False)[2][:MAX_DENSE].T
    return replace(data, X=data.X @ basis), replace(some, X=some.X @ basis)


def total_bits(data: Data, partition: Partition) -> float:
    """Return the bits of a partition, including labels."""
    n = float(np.sum(data.weights))
    return (partition.bits + n * float(np.log2(n))) * data.scale


# -- the search -----------------------------------------------------------------------


class Candidate(NamedTuple):
    """A partition at a distortion; of several, the lowest rank is the best.

    The rank is whether the partition is not as requested, then the bits that describe
    it, then its penalised bits.
    """

    rank: tuple[bool, float, float]
    epsilon: float
    labels: Any
    counting: Any


class EpsilonSearch:
    """Partitions of the same samples at many distortions, and their descriptions.

    Lengths are in units of the spread of the samples, so that their squares are in
    range.
    """

    def __init__(self, data: Data, assume_centered: bool, request: Request) -> None:
        self.data, self.assume_centered, self.request = data, assume_centered, request
        self.spread = spread_of(data, assume_centered)
        self.n_directions = count_directions(data.X, assume_centered)
        self.rows = data.scaled(self.spread, assume_centered, span=False)
        # starting points, which are the same for all distortions
        self.starts = Starts(self.rows) if request.moves else None
        self.rounding = rounding_variances(data.X / self.spread)
        self.counts = np.ones(len(data.X), dtype=np.intp)
        if data.counts is not None:  # samples without errors of rounding
            self.rounding, self.counts = 0.0 * self.rounding, data.counts
        self.floor = FINEST**2 / max(self.n_directions, 1)
        self.total = float(np.sum(data.weights))
        self.outlier_bits = self._outlier_bits()

    def best(self, epsilon: float) -> Candidate:
        """Return the partition with the shortest description."""
        data, request = self.data, self.request
        rows = data.scaled(epsilon, self.assume_centered, span=False)
        # Bits as if all coordinates were coded to the same final precision. Only the
        # directions in which samples differ are counted, because counting constant or
        # dependent features would favour the smallest distortion.
        n = self.total * data.scale
        penalty = n * self.n_directions * math.log2(epsilon / self.spread)
        found: list[Candidate] = []
        for partition in self._partitions(rows, epsilon, found):
            counting = request.counting(partition)
            wrong = not counting.any()
            if request.n_clusters is not None:
                wrong = not request.suits(partition)
            description = self.describe(partition, epsilon, counting)
            # the same partition takes the same bits up to rounding
            per_sample = round(description / len(data.X), 6)
            rank = (wrong, per_sample, partition.bits + penalty)
            found.append(Candidate(rank, epsilon, partition.labels, counting))
        return min(found, key=lambda candidate: candidate.rank)

    def _partitions(
        self, rows: Samples, epsilon: float, found: list[Candidate]
    ) -> Iterator[Partition]:
        """Yield partitions to compare; previous ones are in ``found``."""
        n_groups, starts = self.request.n_clusters, self.starts
        if starts is None:  # samples do not move
            greedy = self._greedy(epsilon)
            yield Partition(rows, self.request.find(greedy)[1].labels)
            return
        if n_groups is not None:
            for labels in starts.given(n_groups, self.request.least):
                yield settle(Partition(rows, labels), n_groups)
            most = min(n_groups + MAX_SMALL, len(rows.X))
            for k in range(n_groups + 1, most + 1):
                if not all(candidate.rank[0] for candidate in found):
                    break
                yield settle(Partition(rows, starts.ward(k)), k)
        else:
            for k in range(1, min(MAX_GROUPS, len(rows.X)) + 1):
                yield settle(Partition(rows, starts.ward(k)), k)
                best_k = min(range(k), key=lambda i: found[i].rank) + 1
                if k >= 1.5 * best_k + MORE_GROUPS:
                    break
            small = cells(self.rows.X, self.rows.weights, MAX_CELLS)
            for labels in (starts.ward(MAX_CELLS), small):
                yield settle(Partition(rows, labels))
        best = min(found, key=lambda candidate: candidate.rank)
        yield reassign(Partition(rows, best.labels))

    def _greedy(self, epsilon: float) -> Any:
        # a given number of groups may come after the merges that save bits
        to_the_end = self.request.n_clusters is not None
        data, centered = self.data, self.assume_centered
        return merge_greedily(data, epsilon, centered, to_the_end=to_the_end)

    def fitted(self, epsilon: float) -> tuple[float, int, float, float]:
        """Return distortion, number of groups and bits of the partition of a fit."""
        _, found, counting = self.request.find(self._greedy(epsilon))
        rows = self.data.scaled(epsilon, self.assume_centered, span=False)
        partition = Partition(rows, found.labels)
        bits = total_bits(self.data, partition)
        description = self.describe(partition, epsilon, counting)
        return epsilon, int(counting.sum()), bits, description

    # -- descriptions -----------------------------------------------------------------

    def describe(self, partition: Partition, epsilon: float, counting: Any) -> float:
        """Return the bits that describe a partition at a distortion, up to a constant.

        The groups that count are described one by one, and all other samples as one
        group. A single sample has no spread, and a few of many samples are close by
        chance, so they belong to the others.
        """
        unit = epsilon / self.spread * self.data.X.shape[1] ** -0.5
        least = max(1.0, FEW * np.sum(self.counts))
        bits = outside = 0.0
        for group, counts in zip(partition.groups, counting, strict=True):
            if counts and np.sum(self.counts[group.members]) > least:
                bits += self._group_bits(group, unit)
                bits -= group.count * math.log2(group.count / self.total)
            else:
                bits += float(np.sum(self.outlier_bits[group.members]))
                outside += group.count
        if outside > 0.0:
            bits -= outside * math.log2(outside / self.total)
        return bits

    def _group_bits(self, group: Cluster, unit: float) -> float:
        """Return the bits of a group for the best parameters of the prior."""
        r, n = max(self.n_directions, 1), int(np.sum(self.counts[group.members]))
        # variances in principal directions, including rounding errors
        order = np.argsort(-group.eigenvalues, kind="stable")[:r]
        known, variances = len(order), np.zeros(r)
        variances[:known] = self.rounding @ group.basis[:, order] ** 2
        if known < r:
            left = float(np.sum(self.rounding)) - variances.sum()
            variances[known:] = max(0.0, left) / (r - known)
        variances[:known] += group.eigenvalues[order] * (unit * unit / group.count)
        variances = np.maximum(variances, self.floor)
        usual = float(np.mean(variances))
        free = n if self.assume_centered else n - 1
        values = n * variances / usual
        degrees = r - 1.0 + STRENGTHS
        scales = STRENGTHS * SCALES[:, None]
        nats = np.sum(np.log(scales[..., None] + values), axis=2)
        nats *= 0.5 * (degrees + free)
        nats -= 0.5 * degrees * r * np.log(scales)
        nats += multigammaln(0.5 * degrees, r)
        nats -= multigammaln(0.5 * (degrees + free), r)
        least = float(np.min(nats)) + 0.5 * n * r * math.log(usual)
        least -= 0.5 * free * r * math.log(2.0 * math.e)  # as for outliers
        least += 0.5 * (2 + (n - free) * r) * math.log(self.total)
        return group.count / n * least / math.log(2.0)

    def _outlier_bits(self) -> Any:
        """Return the bits of each sample as an outlier.

        Outliers have a Cauchy distribution as wide as all samples, and its bits are
        compared with those of a Gaussian distribution.
        """
        r, group = max(self.n_directions, 1), Cluster.of(self.rows, slice(None))
        scale = self.rows.n_features**-0.5
        variance = float(np.sum(group.eigenvalues)) * scale**2 / (self.total * r)
        variance, half = max(variance, self.floor), 0.5 * (r + 1)
        bits = 0.5 * r * math.log2(variance) - math.lgamma(half) / math.log(2.0)
        bits += half * math.log2(math.pi) - 0.5 * r * math.log2(2.0 * math.pi * math.e)
        squares = np.sum(((self.rows.X - group.mean) * scale) ** 2, axis=1)
        return self.rows.weights * (bits + half * np.log2(1.0 + squares / variance))


def extended(rows: Samples, chosen: Any, counting: Any) -> Any:
    """Extend labels of an even choice to all samples, each to its cheapest group.

    Samples become single only if some of the choice are.
    """
    n = len(rows.X)
    index = even_choice(n, len(chosen))
    labels = np.full(n, -1)
    labels[index] = np.where(counting, np.cumsum(counting) - 1, -1)[chosen]
    alone = np.full(n, math.inf) if counting.all() else rows.alone
    for _ in range(EXTENDED_ROUNDS):
        costs = [alone]
        for label in range(np.count_nonzero(counting)):
            members = np.flatnonzero(labels == label)
            if len(members) == 0:  # all of its samples have moved
                costs.append(np.full(n, math.inf))
                continue
            group = Cluster.of(rows, members)
            cost = group.change(rows.X, rows.weights, 1.0)
            own = rows.X[members], rows.weights[members]
            cost[members] = -group.change(*own, -1.0)
            costs.append(cost)
        before, labels = labels, np.argmin(costs, axis=0) - 1
        if np.array_equal(labels, before):
            break
    outside = np.flatnonzero(labels < 0)
    labels[outside] = len(counting) + np.arange(len(outside))
    return labels
