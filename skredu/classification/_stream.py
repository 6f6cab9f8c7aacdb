"""Rows that come in parts: they wait, as they are, until there are many."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skredu._compat import namespace
from skredu.classification._selection import MAX_ROWS, Codes
from skredu.classification._training import Training, keep_evenly
from skredu.coding._scatter import Scatter

# Entries of rows that wait for a stream to need them: 8 MB in double precision.
MOST_WAITING = 2**20


def stream_of(
    scatters: list[Scatter] | None, stay: Codes | None, n_classes: int
) -> dict[str, Any]:
    """Plain state of a stream that starts with scatters, or without rows.

    ``waiting`` holds rows that are not in the scatters yet, ``kept`` rows to choose by,
    ``stay`` a choice to stay with.
    """
    known = [None] * n_classes if scatters is None else [vars(s) for s in scatters]
    stays = None if stay is None else {**vars(stay), "log_priors": None}
    return {"scatters": known, "waiting": [], "kept": None, "stay": stays}


def scatters_of(
    rows: Training, estimator: Any, before: list[Any] | None = None
) -> list[Scatter]:
    """Scatters of the classes, merged with the states of those before."""
    states = [None] * len(rows.sizes) if before is None else before
    old = [None if state is None else Scatter(**state) for state in states]
    epsilon = estimator._given_epsilon()
    return rows.scatters(old, estimator.assume_centered, epsilon)


def merged(stream: dict[str, Any], estimator: Any) -> dict[str, Any]:
    """Return a stream whose rows that wait are merged with those before."""
    rows, kept = all_waiting(stream["waiting"], estimator.classes_), stream["kept"]
    chooses = estimator.epsilon == "auto" or estimator.calibrate
    if chooses and stream["stay"] is None:
        kept = keep_evenly(kept, rows, MAX_ROWS)
    rows = rows.scaled(estimator._unit)
    scatters = scatters_of(rows, estimator, stream["scatters"])
    known = [vars(scatter) for scatter in scatters]
    return {**stream, "scatters": known, "kept": kept, "waiting": []}


def wait(waiting: list[dict[str, Any]], rows: Training) -> list[dict[str, Any]]:
    """Let copies of rows of a stream wait until there are many."""
    X, codes, weights = rows.as_they_came()
    if weights is None:
        xp = namespace(X)
        weights = xp.ones(X.shape[0], dtype=X.dtype, device=X.device)
    return [*waiting, {"X": X, "codes": codes, "weights": weights}]


def are_many(waiting: list[dict[str, Any]]) -> bool:
    """Whether rows that wait take so much memory that they should be merged."""
    return sum(math.prod(part["X"].shape) for part in waiting) >= MOST_WAITING


def all_waiting(waiting: list[dict[str, Any]], classes: Any) -> Training:
    """Order the rows that wait by class."""
    xp = namespace(waiting[0]["X"])
    joins = {"X": xp.concat, "codes": np.concatenate, "weights": xp.concat}
    rows = {name: join([p[name] for p in waiting]) for name, join in joins.items()}
    return Training.of_kept(rows, classes)
