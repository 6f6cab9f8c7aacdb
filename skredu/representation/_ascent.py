"""Raise the rate reduction of the normalised rows of a linear map by L-BFGS."""

from __future__ import annotations

import math
from typing import Any

from scipy.optimize import minimize

from skredu._progress import Progress
from skredu.representation._objective import Reduction

# Relative to the most that a rate reduction can be: smaller ones have no digits, and
# gains are not measured against them.
LEAST_REDUCTION = 1e-6
# Evaluations that an iteration may take, on average.
MAX_EVALUATIONS = 20
# Iterations over which a gain is taken: single ones can be short by chance, the first
# ones most of all.
WINDOW = 3


def ascend(
    W: Any,
    rows: Any,
    reduction: Reduction,
    *,
    max_iter: int,
    tol: float,
    progress: Progress,
) -> tuple[Any, int, bool]:
    """Improve a map (m, r) of rows (n, r).

    Parameters
    ----------
    W : ndarray of shape (m, r)
        Where to start; only its direction matters.
    rows : ndarray of shape (n, r)
    reduction : Reduction
        The objective.
    max_iter : int
        Most iterations.
    tol : float
        Stop where iterations gain less than this share each.
    progress : Progress
        The task that reports iterations, and may be asked to stop.

    Returns
    -------
    W : ndarray of shape (m, r)
        Of any length.
    n_iter : int
    enough : bool
        Whether ``max_iter`` was enough.
    """
    size = math.sqrt(float((W * W).sum()))
    if size == 0.0:
        return W, 0, True
    unit = LEAST_REDUCTION * reduction.ceiling

    def loss(w: Any) -> tuple[float, Any]:
        value, gradient = reduction.of_map(w.reshape(W.shape), rows)
        return -value / unit, -gradient.ravel() / unit

    losses: list[float] = []

    def callback(intermediate_result: Any) -> None:
        losses.append(float(intermediate_result.fun))
        if progress.done("iteration") or _little(losses, tol):
            raise StopIteration

    found = minimize(
        loss,
        (W / size).ravel() * len(W) ** 0.5,
        jac=True,
        method="L-BFGS-B",
        callback=callback,
        options={
            "maxiter": max_iter,
            "maxfun": MAX_EVALUATIONS * max_iter,
            "ftol": 0.0,
            "gtol": 0.0,
        },
    )
    return found.x.reshape(W.shape), int(found.nit), found.status != 1


def _little(losses: list[float], tol: float) -> bool:
    """Whether the last iterations have gained too little."""
    if len(losses) <= WINDOW:
        return False
    gain = losses[-1 - WINDOW] - losses[-1]
    return gain < tol * WINDOW * max(1.0, -losses[-1])
