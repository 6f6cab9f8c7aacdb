"""Choice of the distortion: over a grid relative to the spread of the rows."""

from __future__ import annotations

from itertools import compress
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from skredu.clustering._partition import Partition
from skredu.clustering._solve import Data, Solution, solve
from skredu.clustering._wish import Wish

# Distortions that are tried, relative to the spread of the rows.
EPSILONS = np.logspace(-3.0, 0.0, 16)
# None is smaller than this: rows that lie closer are the same.
SMALLEST = 1e-300
# Values of a feature that differ by less than this share of their range are the same.
RESOLUTION = 1e-9
# Of more distinct rows than this, an even choice of so many is looked at.
MAX_ROWS = 500


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
    steps = np.array([_step(values) for values in np.sort(X, axis=0).T])
    size = float(np.max(steps))
    return size * float(np.sum((steps / size) ** 2) / 12.0) ** 0.5 if size > 0 else 0.0


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
    return np.maximum(epsilons[coarse], SMALLEST)


def evenly(data: Data, most: int = MAX_ROWS) -> Data:
    """Every so many-th of the distinct rows, with their weights."""
    m = len(data.X)
    if m <= most:
        return Data(data.X, data.weights, data.weights, np.arange(m), data.adjacency)
    chosen = np.linspace(0, m - 1, most).astype(np.intp)
    weights = data.weights[chosen]
    return Data(data.X[chosen], weights, weights, np.arange(most))


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


def solved(
    data: Data,
    epsilons: Any,
    assume_centered: bool,
    n_jobs: int | None,
    *,
    to_the_end: bool = True,
) -> list[Solution]:
    """Solution for every distortion."""
    job = delayed(solve)
    return list(
        Parallel(n_jobs)(
            job(data, float(epsilon), assume_centered, to_the_end=to_the_end)
            for epsilon in epsilons
        )
    )


def path(
    data: Data, epsilons: Any, assume_centered: bool, n_jobs: int | None, wish: Wish
) -> dict[str, Any]:
    """Numbers of groups and bits of the partition for every distortion."""

    def one(epsilon: float) -> Partition:
        # a given number of groups may come after the merges that save bits
        to_the_end = wish.n_clusters is not None
        return wish.find(solve(data, epsilon, assume_centered, to_the_end=to_the_end))

    found = list(Parallel(n_jobs)(delayed(one)(float(e)) for e in epsilons))
    bits = [total_bits(data, partition) for partition in found]
    pairs, rank = zip(bits, epsilons, strict=True), directions(data, assume_centered)
    return {
        "epsilon": np.array(epsilons),
        "n_clusters": np.array([wish.n_large(partition) for partition in found]),
        "coding_length": np.array(bits),
        "penalised_length": np.array([penalised(data, *p, rank) for p in pairs]),
    }


def choose_epsilon(
    data: Data,
    assume_centered: bool,
    n_jobs: int | None,
    wish: Wish,
) -> float:
    """Distortion with the fewest penalised bits, or elected for a number of groups."""
    data = evenly(data)
    epsilons = distortions(data, assume_centered)
    solutions = solved(data, epsilons, assume_centered, n_jobs, to_the_end=False)
    if wish.n_clusters is not None:
        elected = _elected(solutions, wish)
        if elected is not None:
            return float(epsilons[elected])
        # none: then so many groups are in the merges that cost bits, if anywhere
        solutions = solved(data, epsilons, assume_centered, n_jobs)
        possible = [wish.possible(solution) for solution in solutions]
        if any(possible):  # otherwise the fit will say why none is
            epsilons = epsilons[possible]
            solutions = list(compress(solutions, possible))
    rank = directions(data, assume_centered)
    scores = [
        penalised(data, total_bits(data, partition), epsilon, rank)
        for partition, epsilon in zip(wish.along(solutions), epsilons, strict=True)
    ]
    return float(epsilons[int(np.argmin(scores))])


def _elected(solutions: list[Solution], wish: Wish) -> int | None:
    """Distortion that is elected for a given number of groups, if there is one.

    Every distortion at which greedy merging ends with as many groups is a candidate;
    each distortion votes for the candidate with the fewest bits at its own value, and
    the most votes win (Rao, Tron, Vidal and Ma 2010).
    """
    natural = [s.partition(s.n_merges, False, None)[0] for s in solutions]
    candidates = [
        i for i, p in enumerate(natural) if wish.n_large(p) == wish.n_clusters
    ]
    if not candidates:
        return None
    votes = dict.fromkeys(candidates, 0)
    for solution, own in zip(solutions, natural, strict=True):
        if len(own.groups) > 1:
            bits = {
                i: Partition(solution.rows, natural[i].labels).bits for i in candidates
            }
            votes[min(candidates, key=bits.__getitem__)] += 1
    return max(candidates, key=votes.__getitem__)
