"""Layers of linear maps: how they are built, and how they transform features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skredu._progress import Progress
from skredu.coding._sphere import normalised, on_sphere
from skredu.representation._ascent import ascend
from skredu.representation._coordinates import Coordinates
from skredu.representation._objective import Reduction

ACTIVATIONS: dict[str | None, Callable[[Any], Any]] = {
    None: lambda Z: Z,
    "relu": lambda Z: np.maximum(Z, 0.0),
    "tanh": np.tanh,
}


@dataclass(frozen=True, eq=False, repr=False)
class Search:
    """Options of the search for the map of a layer; see `MCR2Transformer`."""

    reduction: Reduction
    scaling: float | None
    max_iter: int
    tol: float


@dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """A layer, and how it was found.

    Parameters
    ----------
    components : ndarray of shape (m, d)
    intercept : ndarray of shape (m,)
    start, Z : ndarrays of shape (n, m)
        Features of the training samples at the starting point, and of the layer.
    n_iter : int
        Number of iterations.
    enough : bool
        Whether the iterations were sufficient.
    """

    components: Any
    intercept: Any
    start: Any
    Z: Any
    n_iter: int
    enough: bool


def build(
    X: Any,
    search: Search,
    start: Callable[[Coordinates], Any],
    progress: Progress,
) -> Layer:
    """Build a layer for samples X (n, d), starting from ``start(coordinates)``."""
    reduction = search.reduction
    m = reduction.n_features
    place = Coordinates.of(X, reduction.weights, search.scaling)
    W = start(place)
    first = _features(place.rows, W, m)
    W, n_iter, enough = ascend(
        W,
        place.rows,
        reduction,
        max_iter=search.max_iter,
        tol=search.tol,
        progress=progress,
    )
    maps = place.leave(place.scaled(W), m)
    return Layer(*maps, first, _features(place.rows, W, m), n_iter, enough)


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


def _features(rows: Any, W: Any, n_components: int) -> Any:
    """Map samples and project them to the sphere; missing columns of W are zero."""
    Z = np.zeros((len(rows), n_components))
    Z[:, : len(W)] = normalised(rows @ W.T)
    return Z
