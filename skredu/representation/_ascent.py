"""Maximisation of the rate reduction over linear maps by L-BFGS."""

from __future__ import annotations

import math
from typing import Any

from scipy.optimize import minimize

from skredu._progress import Progress
from skredu.representation._objective import Reduction

# Relative to the largest possible rate reduction; smaller values are rounding errors,
# and gains are not compared with them.
LEAST_REDUCTION = 1e-6
# Largest average number of evaluations per iteration.
MAX_EVALUATIONS = 20
# Number of iterations that have to gain little, since single ones can be short by
# chance, in particular the first ones.
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
    """Improve a map (m, r) of samples (n, r).

    Parameters
    ----------
    W : ndarray of shape (m, r)
        Starting point; only its direction matters.
    rows : ndarray of shape (n, r)
    reduction : Reduction
        The objective.
    max_iter : int
        Largest number of iterations.
    tol : float
        Stop if each of the last iterations gains less than this share.
    progress : Progress
        The task that reports iterations, and may be asked to stop.

    Returns
    -------
    W : ndarray of shape (m, r)
        The map, of any norm.
    n_iter : int
    enough : bool
        Whether ``max_iter`` iterations were sufficient.
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
    """Return whether the last iterations have gained too little."""
    if len(losses) <= WINDOW:
        return False
    gain = losses[-1 - WINDOW] - losses[-1]
    return gain < tol * WINDOW * max(1.0, -losses[-1])
