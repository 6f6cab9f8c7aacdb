"""Many digits, and all of their shifts, by a net without layers: rows come in parts.

Run ``python -m benchmarks.stream --data FOLDER``; the folder holds mnist.npz. Without
it generated rows of the same shape take the place of MNIST. A part is lifted to many
channels, added to the model, and gone before the next one comes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from benchmarks import _data
from benchmarks._harness import (
    GIB,
    Report,
    parser,
    peak_memory,
    peak_size,
    progress,
    run_parts,
)
from benchmarks._shifting import moved_once
from benchmarks.shifts import ONCE, SIDE, SMOOTHED, TRANSLATIONS

GRID = (SIDE, SIDE)
PREDICTED = 500  # rows that are lifted at a time to be predicted


def main(arguments: list[str] | None = None) -> None:
    """Run the parts that are asked for."""
    run_parts("stream", "Many signals", PARTS, _arguments(arguments))


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    options = parser("Accuracy, time and memory with many signals.")
    options.add_argument("--data", type=Path, help="folder with mnist.npz")
    options.add_argument("--train", type=int, default=60_000, help="rows to fit")
    options.add_argument("--test", type=int, default=10_000, help="rows to test")
    options.add_argument("--size", type=int, default=10_000, help="rows of a part")
    options.add_argument("--filters", type=int, default=48, help="k-means filters")
    options.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    return options.parse_args(arguments)


def _digits(args: argparse.Namespace) -> _data.Split:
    return _data.mnist(args.data, "float32", args.train, args.test)


def net(n_filters: int) -> Pipeline:
    """Clustered filters, smoothed roots of what they answer, and a net."""
    return TRANSLATIONS(n_filters, **SMOOTHED)


# -- parts of the rows ----------------------------------------------------------------


def stream(report: Report, args: argparse.Namespace) -> None:
    """Accuracy, time and memory as parts of the rows come."""
    rows = _digits(args)
    report.say(
        f"### Parts of {args.size} rows\n\nMNIST{'' if args.data else ' (generated)'}, "
        f"{args.filters} clustered filters of 11 x 11 points on the first part, roots "
        "smoothed by a cyclic Gaussian of 0.9 pixels, `InvariantReduNetClassifier("
        "n_layers=0).partial_fit`. *Shifted once*: each of the first "
        f"{ONCE} test rows by a random shift; in brackets, as they are; *all*: all "
        f"{len(rows.X_test)} test rows after the last part. *Seconds*: to lift the "
        "part, and to add it. *Process*: most GiB so far, data and all."
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
    """Lift a part and add it to the net; seconds of both."""
    start = time.perf_counter()
    lifted = model[:-1].transform(X)
    between = time.perf_counter()
    model[-1].partial_fit(lifted, y, classes=np.arange(10))
    return between - start, time.perf_counter() - between


def predictions(model: Pipeline, X: Any) -> Any:
    """Predictions for rows, of which some at a time are lifted."""
    starts = range(0, len(X), PREDICTED)
    return np.concatenate([model.predict(X[s : s + PREDICTED]) for s in starts])


# -- all rows at once -----------------------------------------------------------------


def memory(report: Report, args: argparse.Namespace) -> None:
    """Peak memory of fit, beside what the rows and their spectra take."""
    report.say(
        "### All rows at once\n\nGiB in a child process: the lifted rows and their "
        "spectra, and the most that `fit` allocates beside them, operators and "
        "blocks included: without layers, and while it builds one."
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


PARTS = {"stream": stream, "memory": memory}


if __name__ == "__main__":
    main()
