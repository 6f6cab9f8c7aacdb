"""Linear maps of samples: their coordinates, where maps start, and how they improve."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.utils import check_array, check_random_state

from skredu._progress import Progress
from skredu.coding._linalg import largest, power_of_two
from skredu.coding._sphere import normalised, on_sphere, root_mean_square
from skredu.representation._objective import Reduction

# Coordinates along an axis are scaled to this power of its length. With 0 (whitening),
# L-BFGS takes half as many iterations as with 1, but finds the noise of short axes as
# fast as the rest; larger powers are slower and safer (measured).
POWER = 1.5
# Weight of the variance in addition to its share between classes.
TIE = 1e-3
# Default; with more components, features of held-out samples become worse.
COMPONENTS_A_CLASS = 2
# Relative to the largest possible rate reduction; smaller values are rounding errors,
# and gains are not compared with them.
LEAST_REDUCTION = 1e-6
# Largest average number of evaluations per iteration.
MAX_EVALUATIONS = 20
# Number of iterations that have to gain little, since single ones can be short by
# chance, in particular the first ones.
WINDOW = 3

ACTIVATIONS: dict[str | None, Callable[[Any], Any]] = {
    None: lambda Z: Z,
    "relu": lambda Z: np.maximum(Z, 0.0),
    "tanh": np.tanh,
}


@dataclass(frozen=True, eq=False, repr=False)
class Coordinates:
    """Samples, with a constant appended, in coordinates along their principal axes.

    A map of the training samples is a map of their coordinates, because its values
    outside of their span do not matter.

    Parameters
    ----------
    rows : ndarray of shape (n, r)
        The coordinates, with the root mean squares ``gains``.
    shares : ndarray of shape (n,)
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
        unit, given = power_of_two(largest(X)) if np.any(X) else 1.0, np.finfo(X.dtype)
        X = X.astype(np.float64) / unit
        constant = None
        if scaling is not None:
            constant = scaling * root_mean_square(X, weights)
            X = np.concatenate([X, np.full((len(X), 1), constant)], axis=1)
            constant *= unit
        shares = weights / np.sum(weights)
        roots = np.sqrt(shares)[:, None]
        U, sigma, axes = np.linalg.svd(roots * X, full_matrices=False)
        rank = int(np.count_nonzero(sigma > 4 * min(X.shape) * given.eps * sigma[0]))
        rows = U[:, :rank] / roots
        sign, scales = _signs(rows), sigma[:rank]
        _check_size(unit * float(sigma[0]), float(given.max) / 8.0 / X.shape[1])
        gains = (scales / scales[:1]) ** POWER
        axes = axes[:rank] * sign[:, None]
        return cls(rows * sign * gains, shares, unit * scales, gains, axes, constant)

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
            mean = self.shares[part] @ self.rows[part] / self.gains
            B += np.outer(mean, mean) / np.sum(self.shares[part])
        W = np.linalg.eigh(B)[1].T[::-1][:n_components] / self.gains
        return W * _signs(self.rows @ W.T)[:, None]

    def random(self, n_components: int, generator: Any) -> Any:
        """Return a map (m, r) with independent normal entries."""
        m = min(n_components, len(self.scales))
        return generator.normal(size=(m, len(self.scales)))

    def enter(self, components: Any, intercept: Any) -> Any:
        """Return the map (m, r) of coordinates that equals a map of samples."""
        W = np.asarray(components, dtype=np.float64)
        if self.constant is not None:
            last = np.asarray(intercept, dtype=np.float64) / self.constant
            W = np.concatenate([W, last[:, None]], axis=1)
        return (W @ self.axes.T) * (self.scales / self.gains)

    def scaled(self, W: Any) -> Any:
        """Scale a map such that mapped samples have root mean square norm one."""
        size = float(np.linalg.norm(W * self.gains))
        return W / size if size > 0.0 else W

    def leave(self, W: Any, n_components: int) -> tuple[Any, Any]:
        """Return components (m, d) and intercept (m,) of a map of coordinates."""
        M = np.zeros((n_components, self.axes.shape[1]))
        M[: len(W)] = (W * (self.gains / self.scales)) @ self.axes
        if self.constant is None:
            return M, np.zeros(n_components)
        return M[:, :-1], M[:, -1] * self.constant


def _check_size(size: float, most: float) -> None:
    """Raise an error if the inverse of the size of samples is out of range."""
    if size > 0.0 and not 1.0 / most < size < most:
        raise ValueError(
            f"X has a root mean square of {size:.3g} along its longest axis, but must "
            f"have one from {1.0 / most:.3g} to {most:.3g}: scale the samples."
        )


def _signs(Y: Any) -> Any:
    """Return signs with which the largest entry of each column is positive.

    With them, the sign of an axis depends on the samples and not on the basis.
    """
    return np.sign(Y[np.argmax(np.abs(Y), axis=0), np.arange(Y.shape[1])])


# -- where the search for a map starts ------------------------------------------------


def count_components(
    n_components: int | None, init: Any, n_features: int, most: int, n_classes: int
) -> int:
    """Validate the number of components, or determine it."""
    if not isinstance(init, str):
        n_components = len(given(init, n_components, n_features))
    elif n_components is None:
        n_components = min(most, COMPONENTS_A_CLASS * n_classes)
    if n_components > most:
        raise ValueError(
            f"n_components={n_components} must be at most {most}: there are "
            f"n_features={n_features}, and one more with an intercept."
        )
    return int(n_components)


def given(init: Any, n_components: int | None, n_features: int) -> Any:
    """Validate an array that is the starting point."""
    init = check_array(init, dtype=np.float64, input_name="init")
    m = len(init) if n_components is None else n_components
    if init.shape != (m, n_features):
        raise ValueError(
            f"init must have the shape (n_components={m}, n_features={n_features}), "
            f"found {init.shape}."
        )
    if not np.any(init):
        raise ValueError("init must not map every sample to zero.")
    return init


def starting_map(
    place: Coordinates, init: Any, m: int, slices: list[slice], random_state: Any
) -> Any:
    """Return the map (m, r) of coordinates from which the first layer starts."""
    if not isinstance(init, str):
        # any scale has the same map in the end, and a power of two changes no digit
        start = np.asarray(init, dtype=np.float64)
        return place.enter(start / power_of_two(largest(start)), np.zeros(m))
    if init == "random":
        return place.random(m, check_random_state(random_state))
    return place.discriminant(m, slices) if init == "lda" else place.principal(m)


# -- how it is improved, and what it does ---------------------------------------------


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


def through(layers: list[dict[str, Any]], activation: str | None, X: Any) -> Any:
    """Return the features (n, m) of samples (n, d) after the last layer."""
    for i, layer in enumerate(layers):
        constants = layer["intercept"]
        if i == 0:  # the norm does not matter
            rows, constants = _moderate(X, constants)
        else:
            rows = ACTIVATIONS[activation](X)
        X = on_sphere(rows @ layer["components"].T + constants)
    return X


def _moderate(X: Any, constants: Any) -> tuple[Any, Any]:
    """Divide samples (n, d) and constants (m,) by powers of two near their sizes."""
    exponents = np.frexp(np.max(np.abs(X), axis=1, keepdims=True))[1]
    exponents = np.maximum(exponents, np.finfo(X.dtype).minexp // 2)
    return np.ldexp(X, -exponents), np.ldexp(constants, -exponents)


def features(rows: Any, W: Any, n_components: int) -> Any:
    """Map samples and project them to the sphere; missing columns of W are zero."""
    Z = np.zeros((len(rows), n_components))
    Z[:, : len(W)] = normalised(rows @ W.T)
    return Z
