"""Linear maps of samples: their coordinates, where maps start, and how they improve."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.utils import check_array

from skredu._compat import at_least, move_to, namespace, to_numpy
from skredu._progress import Progress
from skredu.coding._linalg import (
    largest,
    normalised,
    on_sphere,
    power_of_two,
    root_mean_square,
    widen,
)
from skredu.representation._objective import Objective

# Coordinates along an axis are scaled to this power of its length. With 0 (whitening),
# L-BFGS takes half as many iterations as with 1, but finds the noise of short axes as
# fast as the rest; larger powers are slower and safer (measured).
POWER = 1.5
# Weight of the variance in addition to its share between classes.
TIE = 1e-3
# Relative to the size of the objective; smaller values are rounding errors, and gains
# are not compared with them.
LEAST_REDUCTION = 1e-6
# Largest average number of evaluations per iteration.
MAX_EVALUATIONS = 20
# Number of iterations that have to gain little, since single ones can be short by
# chance, in particular the first ones.
WINDOW = 3

# Default; with more components, features of held-out samples become worse.
COMPONENTS_PER_CLASS = 2
# Iterations by the loss of left-out samples. More of them lower the loss of the
# training samples, by which the map is learned, and raise that of others (measured).
LEFT_OUT_ITERATIONS = 2

ACTIVATIONS: dict[str | None, Callable[[Any], Any]] = {
    None: lambda Z: Z,
    "relu": lambda Z: at_least(Z, 0.0),
    "tanh": lambda Z: namespace(Z).tanh(Z),
}


@dataclass(frozen=True, eq=False, repr=False)
class Coordinates:
    """Samples, with a constant appended, in coordinates along their principal axes.

    A map of the training samples is a map of their coordinates, because its values
    outside of their span do not matter. Maps and axes are NumPy arrays, because an
    optimiser of SciPy improves maps. Samples stay on their device.

    Parameters
    ----------
    rows : array of shape (n, r)
        The coordinates, with the root mean squares ``gains``.
    shares : array of shape (n,)
        Weights of the samples, which sum to one.
    scales : ndarray of shape (r,)
        Root mean square of the samples along each axis, in decreasing order.
    gains : ndarray of shape (r,)
        Root mean square of the coordinates: a power of the scales, relative to the
        largest.
    axes : ndarray of shape (r, d) or (r, d + 1)
        Orthonormal axes of the span.
    constant : float or None
        Constant that is appended to samples.
    """

    rows: Any
    shares: Any
    scales: Any
    gains: Any
    axes: Any
    constant: float | None

    @classmethod
    def of(cls, X: Any, weights: Any, scaling: float | None) -> Coordinates:
        """Compute the coordinates of samples (n, d) with weights (n,)."""
        xp, size = namespace(X), largest(X)
        unit, given = power_of_two(size) if size > 0.0 else 1.0, xp.finfo(X.dtype)
        X, constant = widen(X) / unit, None
        if scaling is not None:
            constant = scaling * root_mean_square(X, weights)
            ones = xp.ones((X.shape[0], 1), dtype=X.dtype, device=X.device)
            X = xp.concat([X, constant * ones], axis=1)
            constant *= unit
        shares = weights / xp.sum(weights)
        roots = xp.sqrt(shares)[:, None]
        U, sigma, axes = xp.linalg.svd(roots * X, full_matrices=False)
        sigma, axes = to_numpy(sigma), to_numpy(axes)
        least = 4 * min(X.shape) * float(given.eps) * sigma[0]
        rank = int(np.count_nonzero(sigma > least))
        rows = U[:, :rank] / roots
        sign, scales = _signs(rows), sigma[:rank]
        size, most = unit * float(sigma[0]), float(given.max) / 8.0 / X.shape[1]
        if size > 0.0 and not 1.0 / most < size < most:  # its inverse is out of range
            raise ValueError(
                f"X has a root mean square of {size:.3g} along its longest axis, but "
                f"must have one from {1.0 / most:.3g} to {most:.3g}: scale the samples."
            )
        gains = (scales / scales[:1]) ** POWER
        axes = axes[:rank] * sign[:, None]
        rows = rows * move_to(X, sign)[0] * move_to(X, gains)[0]
        return cls(rows, shares, unit * scales, gains, axes, constant)

    def principal(self, n_components: int) -> Any:
        """Return the map (m, r) to the samples along their longest axes."""
        m = min(n_components, len(self.scales))
        W = np.zeros((m, len(self.scales)))
        W[np.arange(m), np.arange(m)] = self.scales[:m] / self.scales[:1]
        return W / self.gains

    def discriminant(self, n_components: int, slices: list[slice]) -> Any:
        """Return the map (m, r) to the class means, then to the longest other axes."""
        # if means are equally far in several directions, the longer one comes first
        B = np.diag(TIE * (self.scales / self.scales[:1]) ** 2)
        for part in slices:
            shares = self.shares[part]
            mean = to_numpy(shares @ self.rows[part, :]) / self.gains
            B += np.outer(mean, mean) / float(namespace(shares).sum(shares))
        W = np.linalg.eigh(B)[1].T[::-1][:n_components] / self.gains
        return W * _signs(self.rows @ move_to(self.rows, W)[0].T)[:, None]

    def enter(self, components: Any, intercept: Any) -> Any:
        """Return the map (m, r) of coordinates that equals a map of samples."""
        W = to_numpy(components).astype(np.float64)
        if self.constant is not None:
            last = to_numpy(intercept).astype(np.float64) / self.constant
            W = np.concatenate([W, last[:, None]], axis=1)
        return (W @ self.axes.T) * (self.scales / self.gains)

    def leave(self, W: Any, n_components: int) -> tuple[Any, Any]:
        """Return components (m, d) and intercept (m,) of a map of coordinates.

        They are scaled such that mapped samples have root mean square norm one.
        """
        size = float(np.linalg.norm(W * self.gains))
        W = W / size if size > 0.0 else W
        M = np.zeros((n_components, self.axes.shape[1]))
        M[: len(W)] = (W * (self.gains / self.scales)) @ self.axes
        if self.constant is None:
            return M, np.zeros(n_components)
        return M[:, :-1], M[:, -1] * self.constant


def _signs(Y: Any) -> Any:
    """Return signs with which the largest entry of each column is positive, in NumPy.

    With them, the sign of an axis depends on the samples and not on the basis.
    """
    xp, m = namespace(Y), Y.shape[1]
    index = xp.argmax(xp.abs(Y), axis=0) * m + xp.arange(m, device=Y.device)
    return np.sign(to_numpy(xp.take(xp.reshape(Y, (-1,)), index)))


# -- how it is improved, and what it does ---------------------------------------------


def ascend(
    W: Any,
    rows: Any,
    objective: Objective,
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
    rows : array of shape (n, r)
    objective : Objective
        What is maximised.
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
    unit = LEAST_REDUCTION * objective.size

    def loss(w: Any) -> tuple[float, Any]:
        value, gradient = objective.of_map(w.reshape(W.shape), rows)
        return -value / unit, -gradient.ravel() / unit

    losses: list[float] = []

    def callback(intermediate_result: Any) -> None:
        losses.append(float(intermediate_result.fun))
        little = tol * WINDOW * max(1.0, abs(losses[-1]))
        enough = len(losses) > WINDOW and losses[-1 - WINDOW] - losses[-1] < little
        if progress.done("iteration") or enough:
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


def search(
    W: Any,
    rows: Any,
    objectives: list[Objective],
    limits: dict[str, Any],
    progress: Progress,
) -> tuple[Any, int, bool]:
    """Improve a map by the rate reduction and then, briefly, by left-out samples.

    Returns the map, the number of iterations, and whether they were sufficient.
    """
    W, n_iter, enough = ascend(W, rows, objectives[0], **limits, progress=progress)
    limits = {"max_iter": LEFT_OUT_ITERATIONS, "tol": 0.0}
    for left_out in objectives[1:]:
        W, more, _ = ascend(W, rows, left_out, **limits, progress=progress)
        n_iter += more
    return W, n_iter, enough


def components_of(model: Any, n_classes: int) -> int:
    """Validate the number of components and the starting point, or choose it."""
    m, d = model.n_components, model.n_features_in_
    most = d + bool(model.fit_intercept)
    if not isinstance(model.init, str):
        init = check_array(model.init, dtype=np.float64, input_name="init")
        m = len(init) if m is None else m
        if init.shape != (m, d):
            raise ValueError(
                f"init must have the shape (n_components={m}, n_features={d}), "
                f"found {init.shape}."
            )
        if not np.any(init):
            raise ValueError("init must not map every sample to zero.")
    elif m is None:
        m = min(most, COMPONENTS_PER_CLASS * n_classes)
    if m > most:
        raise ValueError(
            f"n_components={m} must be at most {most}: there are "
            f"n_features={d}, and one more with an intercept."
        )
    return int(m)


def through(layers: list[dict[str, Any]], activation: str | None, X: Any) -> Any:
    """Return the features (n, m) of samples (n, d) after the last layer."""
    # The norm of a sample does not matter, so powers of two near it are divided out.
    xp = namespace(X)
    least = 2.0 ** (math.log2(float(xp.finfo(X.dtype).smallest_normal)) // 2)
    sizes = at_least(xp.max(xp.abs(X), axis=1, keepdims=True), least)
    factors = xp.pow(xp.full_like(sizes, 2.0), -xp.floor(xp.log2(sizes)))
    for i, layer in enumerate(layers):
        constants = layer["intercept"]
        if i == 0:
            X, constants = factors * X, factors * constants
        else:
            X = ACTIVATIONS[activation](X)
        X = on_sphere(X @ layer["components"].T + constants)
    return X


def features(rows: Any, W: Any, n_components: int) -> Any:
    """Map samples and project them to the sphere; missing columns of W are zero."""
    xp, (W,) = namespace(rows), move_to(rows, W)
    shape = (rows.shape[0], n_components - W.shape[0])
    zeros = xp.zeros(shape, dtype=rows.dtype, device=rows.device)
    return xp.concat([normalised(rows @ W.T), zeros], axis=1)
