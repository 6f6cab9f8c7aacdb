"""Decisions between the classes of features, after any number of layers."""

from __future__ import annotations

from typing import Any

from skredu._compat import namespace
from skredu.coding._choose import choose
from skredu.coding._classes import Classes
from skredu.coding._factoring import group_of
from skredu.coding._rows import Rows


def fit_decision(Z: Any, rows: Rows, space: Any, *, centred: bool) -> dict[str, Any]:
    """Code the classes of training features, and choose the parameters of decisions."""
    groups = [
        group_of(Z[:, :, part], rows.weights_at(part), space.blocks, centred=centred)
        for part in rows.slices
    ]
    spread = space.spread(Z, rows, centred)
    return choose_decision(groups, rows, Z, space, rows.classes, spread=spread)


def choose_decision(
    groups: list[Any],
    rows: Rows | None,
    Z: Any,
    space: Any,
    labels: Any,
    before: Any = None,
    *,
    spread: float = 1.0,
) -> dict[str, Any]:
    """Choose distortion, label code and temperature by leave-one-out.

    If there is a choice ``before``, it is kept.
    """
    classes, counts = Classes(groups, Z), space.counts
    xp, place = namespace(counts), {"device": counts.device}
    choice = choose(classes, rows, labels=labels, spread=spread, before=before)
    log_priors = xp.asarray(choice.log_priors, dtype=counts.dtype, **place)
    return {**classes.to_state(), **choice._asdict(), "log_priors": log_priors}


def decision_scores(decision: dict[str, Any], Z: Any) -> Any:
    """Return minus the extra bits of features in every class, with labels, (n, k)."""
    classes = Classes.of_state(decision)
    return classes.scores(Z, decision["epsilon"], decision["log_priors"])
