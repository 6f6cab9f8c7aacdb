"""What a network decides by: MICL on the features behind a layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from skredu._compat import namespace
from skredu.classification._linear_micl import LinearCoder
from skredu.classification._selection import Codes, choose_codes
from skredu.classification._training import Training


def choose(
    rows: Training, n_features: int, *, assume_centered: bool
) -> tuple[LinearCoder, Codes]:
    """Classes coded as by `skredu.MICLClassifier` at its defaults.

    Parameters
    ----------
    rows : Training
        Rows in the coordinates of a frame.
    n_features : int
        Dimension that coding lengths count.
    assume_centered : bool
        Linear subspaces instead of affine ones.

    Returns
    -------
    coder : LinearCoder
    codes : Codes
        Distortion, label code and temperature, chosen by leave-one-out.
    """
    scatters = rows.scatters([None] * len(rows.sizes), assume_centered, None)
    coder = LinearCoder.from_scatters(scatters)
    for j, group in enumerate(coder.groups):
        code = replace(group.code, n_features=float(n_features))
        coder.groups[j] = replace(group, code=code)
    coder.n_features = float(n_features)
    return coder, choose_codes(coder, rows, None, "auto", rows.classes)


def fit_decision(rows: Training, n_features: int) -> dict[str, Any]:
    """Fit a decision to features; its state as arrays, numbers and containers."""
    return state_of(*choose(rows, n_features, assume_centered=False), rows.source)


def decision_scores(decision: dict[str, Any], Z: Any) -> Any:
    """Minus the extra bits of features in every class, label included, (n, k)."""
    coder = LinearCoder.of_plain(decision["coder"])
    return coder.scores(Z, decision["epsilon"], decision["log_priors"])


def state_of(coder: Any, codes: Codes, like: Any) -> dict[str, Any]:
    """State of a decision as arrays, where another array lives, and numbers."""
    xp = namespace(like)
    place = {"dtype": xp.float64, "device": like.device}
    return {
        "coder": coder.plain(),
        "epsilon": codes.epsilon,
        "log_priors": xp.asarray(codes.log_priors, **place),
        "temperature": codes.temperature,
        "loss": codes.loss,
    }
