"""Coding lengths and spectra of samples as nodes in ONNX."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skredu.onnx._graph import Graph
from skredu.redunet import Grid


def real(matrix: Any) -> Any:
    """Return the matrix by which rows are multiplied, instead of columns by this one.

    Complex matrices (F, a, b) become real ones, (F, 2b, 2a), for the real and the
    imaginary parts of rows side by side.
    """
    matrix = np.asarray(matrix)
    if not np.iscomplexobj(matrix):
        return matrix[0].T
    P = np.swapaxes(matrix, 1, 2)
    upper = np.concatenate([P.real, P.imag], axis=2)
    return np.concatenate([upper, np.concatenate([-P.imag, P.real], axis=2)], axis=1)


def _unpacked(coefficients: Any, C: int) -> Any:
    """Return the matrices (F, C, C) that `skredu.coding._dense.packed` has packed."""
    a, b = np.triu_indices(C)
    coefficients = np.asarray(coefficients, dtype=np.complex128)
    upper = coefficients[:, : len(a)] / np.where(a < b, 2.0, 1.0)
    upper[:, a < b] -= 0.5j * coefficients[:, len(a) :]
    Q = np.zeros((len(coefficients), C, C), np.complex128)
    Q[:, a, b] = upper
    Q[:, b, a] = np.conj(upper)
    return Q


def _forms(graph: Graph, group: Any, epsilon: float, Z: Any, size: int) -> Any:
    """Return the forms of ``(I + c S)^-1`` of features, in every block."""
    if not hasattr(group, "basis") and group.packs:
        Q = real(_unpacked(group.form_matrix(1), int(group.blocks.dim)))
        along = graph.times(graph.product(Z, Q), Z)
        return graph.product(along, np.ones((size, 1)))
    if not graph.n_blocks:
        W = _whitening(group, epsilon, size)
    elif hasattr(group, "basis"):
        V = np.asarray(group.basis, dtype=np.complex128)
        c = group.blocks.scale(group.n + 1.0, epsilon)[:, None]
        shrink = 1.0 / np.sqrt(1.0 + c * group.eigenvalues)
        shrunk = V * (shrink[:, None, :] - 1.0)
        W = real(np.eye(V.shape[1]) + shrunk @ np.conj(np.swapaxes(V, 1, 2)))
    else:
        W = real(np.conj(np.swapaxes(group.form_matrix(1), 1, 2)))
    return graph.squares(graph.product(Z, W), size)


def _whitening(group: Any, epsilon: float, size: int) -> Any:
    """Return a matrix ``W`` such that the forms of ``z`` are the squares of ``z W``."""
    if hasattr(group, "basis"):
        V = np.asarray(group.basis[0], dtype=np.float64)
        c = group.blocks.scale(group.n + 1.0, epsilon)[0]
        shrink = 1.0 / np.sqrt(1.0 + c * group.eigenvalues[0])
        W = V * shrink
        if V.shape[1] < len(V):  # there is a component outside of the eigenvectors
            W = np.eye(len(V)) + (V * (shrink - 1.0)) @ V.T
    else:
        W = np.asarray(group.form_matrix(1)[0], dtype=np.float64)
    full = np.eye(size)
    index = np.arange(size) if group.varying is None else group.varying
    full[np.ix_(index, index)] = W
    return full


def _nats(graph: Graph, group: Any, epsilon: float, Z: Any, size: int) -> Any:
    """Return the extra nats of features of some size in a group, in one column."""
    n, d, mean = group.n, group.blocks.dim, group.mean
    c, half = group.blocks.scale(n + 1.0, epsilon), (n + 1.0 + d) / 2.0
    middle = np.zeros((1, size)) if mean is None else mean[None, :]
    if graph.n_blocks:
        middle = np.zeros((graph.n_blocks, size // 2), np.complex128)
    constant = float(group.extra(middle[:, :, None], np.asarray([epsilon]))[0, 0])
    centred = Z
    if mean is not None:
        centred, c = graph.plus(Z, -mean[None, :]), c * n / (n + 1.0)
    forms = _forms(graph, group, epsilon, centred, size)
    per_block = (-1, 1, 1) if graph.n_blocks else (1, 1)
    log_factor = graph.log1p(graph.times(forms, np.reshape(c, per_block)))
    if graph.n_blocks:
        counts = np.reshape(group.blocks.counts, per_block)
        log_factor = graph.total(graph.times(log_factor, counts))
    nats = graph.plus(graph.times(log_factor, [[half]]), [[constant]])
    if mean is None:
        return nats
    moved = graph.times(graph.plus(Z, n * mean[None, :]), [[1.0 / (n + 1.0)]])
    square = graph.times(graph.squares(moved, size), [[1.0 / epsilon**2]])
    change = graph.log1p(square)
    before = math.log1p(float(np.sum(mean.astype(float) ** 2)) / epsilon**2)
    return graph.plus(nats, graph.times(graph.plus(change, [[-before]]), [[d / 2.0]]))


def logits(
    graph: Graph, groups: list[Any], epsilon: float, logs: Any, Z: Any, size: int
) -> Any:
    """Return logarithms of memberships by extra nats, not normalised."""
    nats = [_nats(graph, group, epsilon, Z, size) for group in groups]
    return graph.minus(np.reshape(logs, (1, -1)), joined(graph, nats))


def joined(graph: Graph, columns: list[Any]) -> Any:
    return columns[0] if len(columns) == 1 else graph.concatenated(*columns)


def softmax(graph: Graph, scores: Any, temperature: float = 1.0) -> Any:
    scaled = graph.times(scores, [[1.0 / temperature]])
    return graph.apply("Softmax", scaled, axis=-1)


def spectra(graph: Graph, grid: Grid, X: Any) -> Any:
    """Return spectra (F, n, 2C) of signals (n, C * T), as products with a matrix."""
    points = Grid(grid.shape, 1, np.asarray(grid.counts))
    waves = points.split(np.eye(grid.n_points))[0][:, 0, :].T
    signals = graph.shaped(X, -1, grid.n_channels, grid.n_points)
    parts = [graph.product(signals, part) for part in (waves.real, waves.imag)]
    return graph.concatenated(*(graph.turned(part, 2, 0, 1) for part in parts))


def signals(graph: Graph, grid: Grid, Z: Any) -> Any:
    """Return signals (n, C * T) from spectra (F, n, 2C)."""
    points, C = Grid(grid.shape, 1, np.asarray(grid.counts)), grid.n_channels
    units, found = np.eye(graph.n_blocks)[:, None, :], []
    for factor, own in ((1.0, np.eye(2 * C)[:, :C]), (1j, np.eye(2 * C)[:, C:])):
        part = graph.turned(graph.product(Z, own), 1, 2, 0)
        found.append(graph.product(part, points.from_features(factor * units)))
    return graph.shaped(graph.plus(*found), -1, grid.n_features_out)


def positive(graph: Graph, space: Any, Z: Any) -> Any:
    """Return the positive parts of features, for signals those of all points."""
    if not isinstance(space, Grid):
        return graph.apply("Relu", Z)
    return spectra(graph, space, graph.apply("Relu", signals(graph, space, Z)))
