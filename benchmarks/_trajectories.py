"""Trajectories of tracked points: coordinates, rules of choice, and missing entries.

A trajectory is a row ``x1, y1, x2, y2, ...``. Under an affine camera, trajectories of
one rigid motion lie on a linear subspace of at most four dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from skredu.metrics import clustering_accuracy, coding_length_score

# Dimension of the subspace of a rigid motion under an affine camera.
RANK = 4
# Largest number of steps of the EM algorithm that completes trajectories.
EM_STEPS = 50


def coordinates(X: Any, d: int, power: float = 1.0, *, unit: bool = False) -> Any:
    """Return the coordinates ``u_i * s_i**power`` along ``d`` singular directions."""
    U, s, _ = np.linalg.svd(X, full_matrices=False)
    rows = U[:, :d] * s[:d] ** power
    return rows / np.linalg.norm(rows, axis=1, keepdims=True) if unit else rows


# -- rules that choose one of several partitions --------------------------------------


class Candidate(NamedTuple):
    """A partition of trajectories, and how it was found.

    ``X`` (n, d) are the coordinates that were clustered, and ``bits`` is the coding
    length of the partition at the distortion ``epsilon``.
    """

    labels: Any
    X: Any
    epsilon: float
    bits: float


def determined(candidates: list[Candidate]) -> list[Candidate]:
    """Return the partitions in which more points than dimensions support each motion.

    Any four points lie on a subspace of four dimensions. If there are no such
    partitions, all are returned.
    """
    large = [c for c in candidates if np.unique_counts(c.labels).counts.min() > RANK]
    return large or candidates


class Pool:
    """Partitions among which a rule chooses, and how they compare with each other."""

    def __init__(self, candidates: list[Candidate], trajectories: Any) -> None:
        self.candidates, self.trajectories = candidates, trajectories

    @cached_property
    def agreements(self) -> Any:
        """Shares of samples that two partitions label alike, for all pairs."""
        found = np.eye(len(self.candidates))
        for i, j in combinations(range(len(found)), 2):
            labels = self.candidates[i].labels, self.candidates[j].labels
            found[i, j] = found[j, i] = clustering_accuracy(*labels)
        return found

    @cached_property
    def saved(self) -> Any:
        """Shares of bits that partitions (rows) save at distortions (columns).

        The coordinates of a column are those that were clustered with its distortion.
        """

        def share(labels: Any, at: Candidate) -> float:
            return coding_length_score(
                at.X, labels, epsilon=at.epsilon, assume_centered=True
            )

        every = self.candidates
        return np.array([[share(c.labels, at) for at in every] for c in every])


def penalised_bits(pool: Pool) -> Any:
    """Return the bits plus ``n d log2(epsilon)``, by which ``epsilon="auto"`` chooses.

    Bits of different coordinates cannot be compared, so only the first ones count.
    """
    found, first = pool.candidates, pool.candidates[0].X
    bits = np.array([c.bits + c.X.size * np.log2(c.epsilon) for c in found])
    return np.where([c.X is first for c in found], bits, np.inf)


def disagreement(pool: Pool) -> Any:
    """Return minus the mean agreement of each partition with all others."""
    return -pool.agreements.mean(axis=1)


def plateau(pool: Pool) -> Any:
    """Return minus the number of successive distortions with the same partition.

    Distortions are successive only in the same coordinates. Of equally long plateaus,
    the partition that agrees best with all others is chosen.
    """
    found, lengths = pool.candidates, np.ones(len(pool.candidates))
    start = 0
    for i in range(1, len(found) + 1):
        same = i < len(found) and found[i].X is found[start].X
        if not same or pool.agreements[start, i] < 1.0:
            lengths[start:i], start = i - start, i
    return -lengths - pool.agreements.mean(axis=1)


def rarity(pool: Pool) -> Any:
    """Return minus the number of times that each partition was found.

    Of equally frequent ones, the partition that agrees best with all others is chosen.
    """
    return -np.sum(pool.agreements == 1.0, axis=1) - pool.agreements.mean(axis=1)


def unsaved(pool: Pool) -> Any:
    """Return minus the share of bits that each saves, averaged over all distortions."""
    return -pool.saved.mean(axis=1)


def regret(pool: Pool) -> Any:
    """Return how much larger a share another one saves, at the worst distortion."""
    return (pool.saved.max(axis=0) - pool.saved).max(axis=1)


def distance(pool: Pool) -> Any:
    """Return the squared distances of trajectories from the subspaces of their groups.

    Each subspace is the best one of four dimensions, and every trajectory, with all its
    frames, is scaled to unit norm.
    """
    norms = np.linalg.norm(pool.trajectories, axis=1, keepdims=True)
    Z = pool.trajectories / norms
    return np.array([_distance(Z, c.labels) for c in pool.candidates])


def _distance(Z: Any, labels: Any) -> float:
    groups = (Z[labels == label] for label in np.unique(labels))
    sigma = [np.linalg.svd(group, compute_uv=False)[RANK:] for group in groups]
    return float(sum(np.sum(s**2) for s in sigma))


# The partition with the smallest value is chosen; of equal ones, the first.
RULES: dict[str, Callable[[Pool], Any]] = {
    "fewest penalised bits": penalised_bits,
    "longest plateau": plateau,
    "found most often, in both coordinates": rarity,
    "agreement with all others": disagreement,
    "bits saved, mean over distortions": unsaved,
    "bits saved, smallest regret": regret,
    "distance from 4-dimensional subspaces": distance,
}


# -- missing entries -------------------------------------------------------------------


def delete_frames(X: Any, share: float, rng: np.random.Generator) -> Any:
    """Return which entries are missing: points (both coordinates) in random frames.

    Two frames of every trajectory are kept.
    """
    values = rng.random((len(X), X.shape[1] // 2))
    missing = values < share
    kept = np.argsort(values, axis=1)[:, -2:]
    np.put_along_axis(missing, kept, False, axis=1)
    return np.repeat(missing, 2, axis=1)


def interpolated(X: Any, missing: Any) -> Any:
    """Return trajectories whose missing entries lie on lines between known frames."""
    X, frames = X.copy(), np.arange(X.shape[1] // 2)
    for row, gaps in zip(X, missing, strict=True):
        for axis in (0, 1):
            gap = gaps[axis::2]
            row[axis::2][gap] = np.interp(frames[gap], frames[~gap], row[axis::2][~gap])
    return X


def completed(X: Any, missing: Any, n_directions: int) -> Any:
    """Return trajectories whose missing entries are their means given the known ones.

    The trajectories have a Gaussian distribution around the origin, with a variance in
    each of ``n_directions`` directions and a common variance in all others. Means and
    distribution are found in turn, by the EM algorithm, from the values of ``X`` at the
    missing entries on.
    """
    X, (n, d) = X.copy(), X.shape
    q = min(n_directions, n - 1, d - 1)
    rows = [
        (i, np.flatnonzero(gap), np.flatnonzero(~gap))
        for i, gap in enumerate(missing)
        if gap.any()
    ]
    uncertain = np.zeros((d, d))
    for _ in range(EM_STEPS):
        variances, V = np.linalg.eigh((X.T @ X + uncertain) / n)
        largest = variances[-1]
        noise = max(variances[: d - q].mean(), 1e-12 * largest)
        W = V[:, d - q :] * np.sqrt(np.maximum(variances[d - q :] - noise, 0.0))
        uncertain, moved = np.zeros((d, d)), 0.0
        for i, gap, known in rows:
            # posterior of the coordinates in the q directions, given the known entries
            precision = W[known].T @ W[known] / noise + np.eye(q)
            gain = np.linalg.solve(precision, np.hstack([W[known].T / noise, W[gap].T]))
            means = W[gap] @ (gain[:, : len(known)] @ X[i, known])
            moved = max(moved, float(np.max(np.abs(means - X[i, gap]))))
            X[i, gap] = means
            errors = W[gap] @ gain[:, len(known) :] + noise * np.eye(len(gap))
            uncertain[np.ix_(gap, gap)] += errors
        if moved <= 1e-7 * (largest / d) ** 0.5:
            break
    return X


def completed_by_group(X: Any, missing: Any, labels: Any) -> Any:
    """Return trajectories that are completed by the Gaussian of their group."""
    X = X.copy()
    for label in np.unique(labels):
        group = labels == label
        if group.sum() > RANK:
            X[group] = completed(X[group], missing[group], RANK)
    return X
