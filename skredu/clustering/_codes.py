"""Codes of the groups that were found, kept for rows to come."""

from __future__ import annotations

from typing import Any

import numpy as np

from skredu.clustering._partition import Group, Partition, Rows
from skredu.clustering._solve import Data

FIELDS = ("count", "mean", "squares", "V", "mean_square", "bits")


def codes_of(
    data: Data, labels: Any, epsilon: float, assume_centered: bool
) -> dict[str, Any]:
    """Plain arrays that say what each group is, in the order of the labels."""
    rows = data.scaled(epsilon, assume_centered, span=False)
    groups = Partition(rows, labels).groups
    return {
        "groups": [{name: getattr(g, name) for name in FIELDS} for g in groups],
        "origin": rows.origin,
        "assume_centered": bool(assume_centered),
        "weights": data.leaves,
        "names": data.names,
    }


def effective_dimensions(codes: dict[str, Any], n_groups: int) -> Any:
    """Traces of S (S + n_j I)^-1 of the first groups, in the unit of the rows."""
    return np.array(
        [
            float(np.sum(code["squares"] / (code["squares"] + code["count"])))
            for code in codes["groups"][:n_groups]
        ]
    )


def extra_bits(codes: dict[str, Any], X: Any, epsilon: float) -> tuple[Any, Any]:
    """Bits that each row costs in each group, of shape (n, k), and on its own."""
    d, origin = X.shape[1], codes["origin"]
    X = np.asarray(X, dtype=np.float64) * (d**0.5 / epsilon) - origin
    rows = Rows(X, np.ones(len(X)), origin, d, codes["assume_centered"])
    groups = [Group(rows, **code) for code in codes["groups"]]
    return np.stack([group.change(rows, 1.0) for group in groups], axis=1), rows.alone
