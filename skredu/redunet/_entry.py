"""How rows enter a network: the intercept, the span, the distortion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skredu.classification._training import Training
from skredu.redunet._decision import choose
from skredu.redunet._sphere import Frame, constant_of, on_sphere


@dataclass(frozen=True, eq=False, repr=False)
class Entry:
    """Training rows on the sphere, in coordinates.

    Parameters
    ----------
    constant : float or None
        What is appended to rows.
    n_features : int
        Dimension of the sphere's space.
    frame : Frame
        Coordinates.
    Z : array of shape (n, r)
        The training rows in them, sorted by class.
    epsilon : float
        Distortion of the layers.
    loss : float
        Of training rows that are left out, where something is to be chosen.
    """

    constant: float | None
    n_features: int
    frame: Frame
    Z: Any
    epsilon: float
    loss: float


def enter(
    rows: Training,
    *,
    fit_intercept: bool | str,
    intercept_scaling: float,
    epsilon: float | str,
) -> Entry:
    """Put training rows on the sphere; choose what is ``"auto"`` by leave-one-out.

    Classes are coded as linear subspaces, as the layers will do.
    """
    constant = constant_of(rows.X, rows.weights, intercept_scaling)
    if fit_intercept == "auto":
        entries = [_enter(rows, c, epsilon, True) for c in (constant, None)]
        return min(entries, key=lambda entry: entry.loss)
    return _enter(rows, constant if fit_intercept else None, epsilon, False)


def _enter(
    rows: Training, constant: float | None, epsilon: float | str, judge: bool
) -> Entry:
    Z = on_sphere(rows.X, constant)
    d = int(Z.shape[1])
    frame = Frame.of(Z)
    Z = frame.enter_training(Z)
    loss = np.inf
    if judge or isinstance(epsilon, str):
        _, codes = choose(sorted_rows(rows, Z), d, assume_centered=True)
        loss = codes.loss
        epsilon = codes.epsilon if isinstance(epsilon, str) else epsilon
    return Entry(constant, d, frame, Z, float(epsilon), loss)


def sorted_rows(rows: Training, Z: Any) -> Training:
    """Training rows whose features, sorted by class, are now ``Z``."""
    return replace(rows, source=Z, index=np.arange(Z.shape[0]))
