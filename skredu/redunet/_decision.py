"""Decisions between the classes of features, after any number of layers."""

from __future__ import annotations

from typing import Any

from skredu._compat import namespace
from skredu.coding._choose import choose
from skredu.coding._classes import Classes
from skredu.coding._factoring import group_of
from skredu.coding._rows import Rows


def fit_decision(
    Z: Any,
    rows: Rows | None,
    space: Any,
    labels: Any,
    *,
    centred: bool = False,
    groups: list[Any] | None = None,
    before: Any = None,
) -> dict[str, Any]:
    """Code the classes of training features, and choose the parameters of decisions.

    Distortion, label code and temperature are chosen by leave-one-out, or are those of
    a choice ``before``. The groups of the classes can be given if they contain more
    samples than ``rows``, with the features ``Z``.
    """
    spread = 1.0  # on the sphere, about the origin
    if groups is None:
        assert rows is not None
        spread = space.spread(Z, rows, centred)
        groups = [
            group_of(Z[:, :, p], rows.weights_at(p), space.blocks, centred=centred)
            for p in rows.slices
        ]
    classes = Classes(groups, Z)
    choice = choose(classes, rows, labels=labels, spread=spread, before=before)
    counts = space.counts
    xp, place = namespace(counts), {"dtype": counts.dtype, "device": counts.device}
    log_priors = xp.asarray(choice.log_priors, **place)
    return {**classes.to_state(), **choice._asdict(), "log_priors": log_priors}


def decision_scores(decision: dict[str, Any], Z: Any) -> Any:
    """Return minus the extra bits of features in every class, with labels, (n, k)."""
    classes = Classes.of_state(decision)
    return classes.scores(Z, decision["epsilon"], decision["log_priors"])
