"""Many digits and all of their shifts, learned in parts by a network without layers.

Run ``python -m benchmarks.stream --data FOLDER``; the folder contains mnist.npz.
Without it, generated rows of the same shape replace MNIST. A part is lifted to many
channels, added to the model, and deleted before the next one arrives.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline

from benchmarks import _data
from benchmarks._harness import (
    GIB,
    Benchmark,
    Report,
    peak_memory,
    peak_size,
    progress,
)
from benchmarks.shifts import ONCE, SIDE, SMOOTHED, TRANSLATIONS, moved_once
from skredu import (
    CompressionOutlierDetector,
    InvariantReduNetClassifier,
    MICLClassifier,
)

GRID = (SIDE, SIDE)
PREDICTED = 500  # rows that are lifted at a time to be predicted


def main(arguments: list[str] | None = None) -> None:
    """Run the requested parts."""
    options = Benchmark("stream", "Many signals", PARTS, data="folder with mnist.npz")
    options.add_argument("--train", type=int, default=60_000, help="rows to fit")
    options.add_argument("--test", type=int, default=10_000, help="rows to test")
    options.add_argument("--size", type=int, default=10_000, help="rows of a part")
    options.add_argument("--filters", type=int, default=48, help="k-means filters")
    options.add_argument("--batches", type=int, default=10_000, help="tiny batches")
    options.add_argument("--parts-of-100", type=int, default=200, help="small parts")
    options.run(arguments)


def _digits(args: argparse.Namespace) -> _data.Split:
    return _data.mnist(args.data, "float32", args.train, args.test)


def net(n_filters: int) -> Pipeline:
    """Return k-means filters with smoothed square roots of responses, and a network."""
    return TRANSLATIONS(n_filters, **SMOOTHED)


# -- parts of the rows ----------------------------------------------------------------


def stream(report: Report, args: argparse.Namespace) -> None:
    """Measure accuracy, time and memory while parts of the rows arrive."""
    rows = _digits(args)
    report.say(
        f"### Parts of {args.size} "
        f"samples\n\nMNIST{'' if args.data else ' (generated)'}, {args.filters} "
        "k-means filters of 11 x 11 points learned from the first part, square "
        "roots smoothed by a cyclic Gaussian of 0.9 pixels, and "
        "`InvariantReduNetClassifier(n_layers=0).partial_fit`. *Shifted once*: "
        f"each of the first {ONCE} test samples with a random shift, and in "
        f"parentheses without the shift; *all*: all {len(rows.X_test)} test "
        "samples after the last part. *Seconds*: to lift the part, and to add "
        "it and choose the parameters again. *Process*: peak memory of the "
        "process so far in GiB, including the data."
    )
    model, table = net(args.filters), []
    model[:-1].fit(rows.X_train[: args.size])
    few = rows.X_test[:ONCE], rows.y_test[:ONCE]
    moved = moved_once(few[0], GRID, np.random.default_rng(1))
    for start in range(0, args.train, args.size):
        part = slice(start, start + args.size)
        seconds = learn(model, rows.X_train[part], rows.y_train[part])
        still, shifted = (predictions(model, X) for X in (few[0], moved))
        scores = f"{np.mean(shifted == few[1]):.4f} ({np.mean(still == few[1]):.4f})"
        changed = f"{1000 * np.mean(still != shifted):.2f}"
        size = peak_size()
        memory = "unknown" if size is None else f"{size / GIB:.2f}"
        done = min(part.stop, args.train)
        times = f"{seconds[0]:.0f} + {seconds[1]:.0f}"
        table.append([str(done), scores, "–", changed, times, memory])
        progress(" | ".join(table[-1]))
    every = predictions(model, rows.X_test)
    table[-1][2] = f"{np.mean(every == rows.y_test):.4f}"
    header = ["rows so far", "shifted once", "all", "changed, per mille", "seconds"]
    report.table([*header, "process"], table)


def learn(model: Pipeline, X: Any, y: Any) -> tuple[float, float]:
    """Lift a part, and add it to the network; return the seconds of both steps."""
    start = time.perf_counter()
    lifted = model[:-1].transform(X)
    between = time.perf_counter()
    _ = model[-1].partial_fit(lifted, y, classes=np.arange(10)).epsilon_
    return between - start, time.perf_counter() - between


def predictions(model: Pipeline, X: Any) -> Any:
    """Predict rows, of which some at a time are lifted."""
    starts = range(0, len(X), PREDICTED)
    return np.concatenate([model.predict(X[s : s + PREDICTED]) for s in starts])


# -- all rows at once -----------------------------------------------------------------


def memory(report: Report, args: argparse.Namespace) -> None:
    """Compare the peak memory of fit with the size of the rows and their spectra."""
    report.say(
        "### All samples at once\n\nThe table contains GiB in a child process: "
        "the lifted samples and their spectra, and the maximum that `fit` "
        "allocates in addition to them, including operators and blocks, without"
        " layers and while it builds one."
    )
    table = []
    for n in (args.train // 12, args.train // 6):
        for n_layers in (0, 1):
            found = peak_memory(_fit, args, n, n_layers)
            F = SIDE * (SIDE // 2 + 1)
            sizes = 4 * n * args.filters * SIDE**2, 8 * n * args.filters * F
            cells = [f"{b / GIB:.2f}" for b in (*sizes, found.arrays)]
            table.append([str(n), str(n_layers), *cells])
            progress(" | ".join(table[-1]))
    report.table(["rows", "layers", "lifted", "spectra", "peak of fit"], table)


def _fit(args: argparse.Namespace, n: int, n_layers: int) -> Callable[[], object]:
    X, y, *_ = _digits(args)
    model = net(args.filters)
    lifted = model[:-1].fit_transform(X[:n])
    return partial(model[-1].set_params(n_layers=n_layers).fit, lifted, y[:n])


# -- many small parts -----------------------------------------------------------------


def small(report: Report, args: argparse.Namespace) -> None:
    """Compare the cost of many small parts with that of one fit."""
    report.say(
        "### Many small parts\n\nThe table contains CPU seconds of one `fit` to "
        f"Gaussian samples, of {args.parts_of_100} calls of `partial_fit` with "
        "100 of these samples each, and of the choice of parameters that the "
        "first prediction after them makes. *Checks*: of the same number of "
        "calls of `GaussianNB.partial_fit`, which are almost entirely "
        "validation by scikit-learn. The best of three runs is shown."
    )
    table = []
    for n_features, n_classes, model in SMALL:
        X, y = _gaussians(100 * args.parts_of_100, n_features, n_classes)
        best = np.min([_seconds(model, X, y) for _ in range(3)], axis=0)
        spent = best[1] + best[2]
        ratios = [f"{spent / best[0]:.2f}", f"{spent / (best[0] + best[3]):.2f}"]
        cells = [str(n_features), str(n_classes), f"`{model}`"]
        table.append([*cells, *(f"{s:.3f}" for s in best), *ratios])
        progress(" | ".join(table[-1]))
    header = ["features", "classes", "model", "fit", "parts", "choice", "checks"]
    header += ["(parts + choice) / fit", "/ (fit + checks)"]
    report.table(header, table)


def _gaussians(n: int, n_features: int, n_classes: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(n) % n_classes)
    means = rng.normal(size=(n_classes, n_features))
    X = rng.normal(size=(n, n_features)) + means[y]
    return X @ rng.normal(size=(n_features, n_features)), y


def _seconds(model: Any, X: Any, y: Any) -> list[float]:
    """Return CPU seconds of a fit, of parts, of the choice, and of another method."""

    def add(model: Any) -> None:
        for start in range(0, len(y), 100):
            part = slice(start, start + 100)
            model.partial_fit(X[part], y[part], classes=np.unique(y))

    parts, seconds = clone(model), []
    tasks = (
        partial(clone(model).fit, X, y),
        partial(add, parts),
        lambda: parts.predict(X[:1]),
        partial(add, GaussianNB()),
    )
    for task in tasks:
        start = time.process_time()
        task()
        seconds.append(time.process_time() - start)
    return seconds


def batches(report: Report, args: argparse.Namespace) -> None:
    """Compare the cost of very many small batches with that of one fit."""
    report.say(
        f"### {args.batches} batches\n\nThe table contains CPU seconds of one `fit` to "
        f"Gaussian samples with 20 features, and of {args.batches} calls of "
        "`partial_fit` with these samples, including the choice of parameters by the "
        "first prediction after them."
    )
    table = []
    models = MICLClassifier(), CompressionOutlierDetector(n_neighbors=None)
    for size in (1, 10, 100):
        X, y = _gaussians(size * args.batches, 20, 3)
        for model in models:
            given = {"y": y} if isinstance(model, MICLClassifier) else {}
            once = min(_timed(model, "fit", X, given, len(X)) for _ in range(3))
            parts = _timed(model, "partial_fit", X, given, size)
            cells = [str(size), f"`{model}`", f"{once:.2f}", f"{parts:.2f}"]
            per_batch = f"{1e6 * parts / args.batches:.0f}"
            table.append([*cells, f"{parts / once:.2f}", per_batch])
            progress(" | ".join(table[-1]))
    header = ["samples per batch", "model", "fit", "batches", "ratio"]
    report.table([*header, "microseconds per batch"], table)


def _timed(model: Any, method: str, X: Any, given: dict[str, Any], size: int) -> float:
    """Return the CPU seconds in which a model learns samples, and predicts one."""
    model, start = clone(model), time.process_time()
    classes = {}
    if given and method == "partial_fit":
        classes = {"classes": np.unique(given["y"])}
    for first in range(0, len(X), size):
        part = slice(first, first + size)
        own = {name: value[part] for name, value in given.items()}
        getattr(model, method)(X[part], **own, **classes)
    model.predict(X[:1])
    return time.process_time() - start


SMALL = [
    (20, 3, MICLClassifier()),
    (20, 10, MICLClassifier()),
    (200, 10, MICLClassifier()),
    (20, 10, MICLClassifier(1.0, calibrate=False)),
    (32, 3, InvariantReduNetClassifier(0, signal_shape=16)),
]
PARTS = {"stream": stream, "memory": memory, "small": small, "batches": batches}


if __name__ == "__main__":
    main()
