"""Invariant ReduNet: time of a layer compared with its plain form, growth, memory.

Run ``python -m benchmarks.invariant``; the signals are generated. The plain form is the
layer as it is written in the paper: a full complex Fourier transform, one inverse per
frequency and operator, and one product of each class with all rows. There are two
versions: products of stacked matrices, and sums over named indices (einsum).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from benchmarks._harness import (
    MEMORY_NOTE,
    Benchmark,
    Report,
    median_times,
    peak_memory,
)
from skredu import InvariantReduNetTransformer

EPSILON, ETA, TEMPERATURE = 0.1**0.5, 0.5, 500.0  # of the published experiments
GRID, CLASSES = (28, 28), 10
POINTS = GRID[0] * GRID[1]
DTYPES = ("float32", "float64")
# channels, rows
SIZES = ((4, 50), (16, 500), (75, 100))
GROWTH = {
    "channels": [((28, 28), c, 200, 10) for c in (4, 8, 16, 32)],
    "points": [((s, s), 8, 200, 10) for s in (14, 28, 56)],
    "rows": [((28, 28), 8, n, 10) for n in (100, 200, 400, 800)],
    "classes": [((28, 28), 8, 400, k) for k in (5, 10, 20, 40)],
}


def main(arguments: list[str] | None = None) -> None:
    """Run the requested parts."""
    options = Benchmark("invariant", "Invariant ReduNet", PARTS, runs=5)
    options.add_argument(
        "--layers", type=int, default=3, help="most layers that are timed"
    )
    options.add_argument(
        "--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES), help="of the rows"
    )
    options.run(arguments)


def signals(
    grid: tuple[int, ...], n_channels: int, n: int, n_classes: int, dtype: str
) -> tuple[Any, Any]:
    """Generate noisy patterns, one per class: rows and labels."""
    rng = np.random.default_rng(0)
    y = np.sort(np.arange(n) % n_classes)
    patterns = rng.standard_normal((n_classes, n_channels * int(np.prod(grid))))
    X = patterns[y] + rng.standard_normal((n, patterns.shape[1]))
    return X.astype(dtype), y


# -- a layer against its plain form ---------------------------------------------------


class Stacked:
    """Spectra with frequencies first and rows last, for stacked products."""

    rows = 2

    @staticmethod
    def enter(X: Any) -> Any:
        """Return complex spectra of shape (T, C, n)."""
        n = len(X)
        return np.ascontiguousarray(
            spectra(X).reshape(n, -1, POINTS).transpose(2, 1, 0)
        )

    @staticmethod
    def operator(V: Any) -> Any:
        """Return ``alpha (I + alpha V V^H)^{-1}``, with one call for all inverses."""
        _, C, n = V.shape
        alpha = C / (n * EPSILON**2)
        M = np.eye(C, dtype=V.dtype) + alpha * (V @ V.conj().swapaxes(1, 2))
        return alpha * np.linalg.inv(M)

    apply = staticmethod(np.matmul)


class Named:
    """Spectra in the shape of signals, for sums over named indices, as published."""

    rows = 0

    @staticmethod
    def enter(X: Any) -> Any:
        """Return complex spectra of shape (n, C, H, W)."""
        return spectra(X)

    @staticmethod
    def operator(V: Any) -> Any:
        """Return ``alpha (I + alpha V V^H)^{-1}``, one frequency after the other."""
        n, C, H, W = V.shape
        alpha = C / (n * EPSILON**2)
        M = alpha * np.einsum("bihw,bjhw->ijhw", V, V.conj(), optimize=True)
        M += np.eye(C, dtype=V.dtype)[:, :, None, None]
        operator = np.empty_like(M)
        for h, w in product(range(H), range(W)):
            operator[:, :, h, w] = alpha * np.linalg.inv(M[:, :, h, w])
        return operator

    @staticmethod
    def apply(operator: Any, V: Any) -> Any:
        """Return products with all rows."""
        return np.einsum("ijhw,bjhw->bihw", operator, V, optimize=True)


Plain = type[Stacked] | type[Named]


def plain_network(X: Any, y: Any, n_layers: int) -> Any:
    """Return the signals after published layers."""
    V = Named.enter(X)
    for _ in range(n_layers):
        V = plain_layer(V, y, Named)
    return np.fft.ifft2(V, norm="ortho").real.reshape(len(X), -1)


def spectra(X: Any) -> Any:
    """Return complex spectra of rows on the sphere."""
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    return np.fft.fft2(np.reshape(X, (len(X), -1, *GRID)), norm="ortho")


def plain_layer(V: Any, y: Any, form: Plain) -> Any:
    """Return the spectra after a published layer."""
    change = form.apply(form.operator(V), V)
    labels, counts = np.unique(y, return_counts=True)
    products = [
        form.apply(form.operator(np.compress(y == j, V, axis=form.rows)), V)
        for j in labels
    ]
    norms = np.array([row_norms(P, form) for P in products])
    Pi = np.exp(TEMPERATURE * (norms.min(axis=0) - norms))
    Pi /= Pi.sum(axis=0)
    shape = [-1 if axis == form.rows else 1 for axis in range(V.ndim)]
    for share, pi, P in zip(counts / len(y), Pi, products, strict=True):
        change -= (share * pi).astype(norms.dtype).reshape(shape) * P
    V = V + ETA * change
    return V / row_norms(V, form).reshape(shape)


def row_norms(V: Any, form: Plain) -> Any:
    """Return the norms of rows."""
    others = tuple(axis for axis in range(V.ndim) if axis != form.rows)
    return np.sqrt(np.sum(V.real**2 + V.imag**2, axis=others))


def published(n_layers: int) -> InvariantReduNetTransformer:
    """Return a model with layers of the published network."""
    return InvariantReduNetTransformer(
        n_layers,
        EPSILON * POINTS**0.5,
        ETA * POINTS,
        signal_shape=GRID,
        step="published",
        membership="residual",
        inverse_temperature=TEMPERATURE * POINTS,
        construction="estimated",
    )


def default(n_layers: int, **settings: Any) -> InvariantReduNetTransformer:
    """Return a model with the default memberships and construction."""
    return InvariantReduNetTransformer(n_layers, EPSILON, **settings)


def layers(report: Report, args: argparse.Namespace) -> None:
    """Measure the time of a layer, ours and the plain one."""
    report.say(
        "### A layer compared with its direct form\n\nThe signals are on a grid "
        f"of {GRID[0]} x {GRID[1]} points, in {CLASSES} classes. Seconds per "
        f"layer are medians of {args.runs} runs that alternate between the "
        "forms. The plain forms implement the published formulas directly, on "
        "full complex spectra in the precision of the samples: one inverse per "
        "frequency, one product with all samples per class, no rates. "
        "*stacked*: samples last, products of stacked matrices, one call of "
        "`inv` for all frequencies; *named*: samples first, as published, one "
        "`einsum` per class and one call of `inv` per frequency. *skredu*: "
        "`fit` with the same rule, including rates; it is the time of one more "
        f"layer (of {args.layers} minus one, so transforms are not counted in "
        "any form). *ratio*: stacked, and named, divided by skredu. *default*: "
        "one more layer with coding memberships, left-out samples and safe "
        "steps, which is a different rule; a dash if no step increases the rate"
        " reduction. *difference*: the largest difference between the features "
        "of training samples after one layer, skredu and named."
    )
    rows = [_compare(*size, dtype, args) for dtype in args.dtypes for size in SIZES]
    header = ["channels x rows", "dtype", "stacked", "named", "skredu", "ratio"]
    report.table([*header, "ratio, named", "default", "difference"], rows)


def _compare(n_channels: int, n: int, dtype: str, args: argparse.Namespace) -> Any:
    X, y = signals(GRID, n_channels, n, CLASSES, dtype)
    more, net = args.layers, partial(default, signal_shape=GRID)
    tasks = {
        "stacked": partial(plain_layer, Stacked.enter(X), y, Stacked),
        "named": partial(plain_layer, Named.enter(X), y, Named),
        "skredu, one": lambda: published(1).fit(X, y),
        "skredu, more": lambda: published(more).fit(X, y),
        "default, one": lambda: net(1).fit(X, y),
        "default, more": lambda: net(more).fit(X, y),
    }
    stacked, named, one, several, *usual = median_times(tasks, args.runs).values()
    fast = (several - one) / (more - 1)
    added = (
        net(more).fit(X, y).n_iter_ - 1
    )  # fewer if no step increases the rate reduction
    default_cell = f"{(usual[1] - usual[0]) / added:.3g}" if added > 0 else "–"
    Z = published(1).fit(X, y).transform(X)
    error = float(np.max(np.abs(Z - plain_network(X, y, 1))))
    cells = [f"{stacked:.3g}", f"{named:.3g}", f"{fast:.3g}", f"{stacked / fast:.1f}"]
    cells += [f"{named / fast:.1f}", default_cell, f"{error:.0e}"]
    return [f"{n_channels} x {n}", dtype, *cells]


# -- growth ---------------------------------------------------------------------------


def growth(report: Report, args: argparse.Namespace) -> None:
    """Measure how the time of a layer grows with sizes, and the exponent."""
    report.say(
        "### Growth\n\nSeconds to `fit` one layer with the default memberships, "
        "float32, one size at a time. *exponent*: slope of the logarithms between the "
        "last two."
    )
    rows = []
    for name, sizes in GROWTH.items():
        tasks = {str(size): partial(_one_layer, *size) for size in sizes}
        times = list(median_times(tasks, args.runs).values())
        values = [_varying(name, size) for size in sizes]
        slope = np.log(times[-1] / times[-2]) / np.log(values[-1] / values[-2])
        cells = [f"{v}: {t:.3g}" for v, t in zip(values, times, strict=True)]
        rows.append([name, ", ".join(cells), f"{slope:.2f}"])
    report.table(["what grows", "seconds", "exponent"], rows)


def _varying(name: str, size: tuple[Any, ...]) -> int:
    grid, n_channels, n, k = size
    points = int(np.prod(grid))
    return {"channels": n_channels, "points": points, "rows": n, "classes": k}[name]


def _one_layer(grid: tuple[int, ...], n_channels: int, n: int, k: int) -> object:
    X, y = signals(grid, n_channels, n, k, "float32")
    return default(1, signal_shape=grid).fit(X, y)


# -- memory ---------------------------------------------------------------------------


def memory(report: Report, args: argparse.Namespace) -> None:
    """Measure the peak memory of a layer, ours and the plain one."""
    report.say(f"### Memory\n\n{MEMORY_NOTE} MiB, one layer, float32.")
    rows = []
    for n_channels, n in SIZES:
        for name, prepare in (("plain", _plain_work), ("skredu", _our_work)):
            cells = peak_memory(prepare, n_channels, n).cells()
            rows.append([f"{n_channels} x {n}", name, *cells])
    report.table(["channels x rows", "form", "arrays", "process"], rows)


def _plain_work(n_channels: int, n: int) -> Callable[[], object]:
    X, y = signals(GRID, n_channels, n, CLASSES, "float32")
    return partial(plain_network, X, y, 1)


def _our_work(n_channels: int, n: int) -> Callable[[], object]:
    return partial(published(1).fit, *signals(GRID, n_channels, n, CLASSES, "float32"))


PARTS = {"layers": layers, "growth": growth, "memory": memory}


if __name__ == "__main__":
    main()
