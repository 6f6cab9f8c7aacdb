"""Settings of the lifting before an invariant network, for time series and images.

Run ``python -m benchmarks.liftings --data FOLDER``; the folder contains usps.npz,
mnist.npz, fashion_mnist.npz and ucr_time_series.npz. Without it, only the digits of
scikit-learn and generated series are used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from skredu import ConvolutionalLifting, InvariantReduNetClassifier
from skredu.datasets import make_shifted_signals

PROTOCOL = (
    "The table contains the accuracy of `InvariantReduNetClassifier(0)` "
    "after a `ConvolutionalLifting`, with 16 filters unless stated "
    "otherwise, on test samples that were not used to choose the defaults "
    "(these were chosen on training sets, including those of five sets of "
    "the UCR archive). *Digits*: 300 training and 897 test samples of "
    "scikit-learn's digits; *USPS*, *MNIST*, *Fashion*: {rows} random "
    "training samples and the first 2000 test samples; *series 5*, *10*, "
    "*20*: generated, four classes with noise, with that number of samples "
    "of each, and 800 test samples; *UCR*: mean over the 15 sets, training "
    "and test samples as published. Means of three seeds are shown if there"
    " are fewer than 500 training samples."
)
# The setting of the ReduNet paper: responses that are greater than zero.
PLAIN: dict[str, Any] = {"threshold": 0.0, "pooling": None}
LIFTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "random filters of 9 points, relu": {
        "kernel_size": 9,
        "filters": "gaussian",
        **PLAIN,
    },
    "random filters, relu": {"filters": "gaussian", **PLAIN},
    "random filters": {"filters": "gaussian"},
    "8 principal filters, both signs": {
        "n_filters": 8,
        "filters": "pca",
        "activation": "split",
        **PLAIN,
    },
    "clustered filters, relu": PLAIN,
    "defaults, no threshold": {"threshold": 0.0},
    "defaults, no roots": {"pooling": None},
    "defaults, 8 filters, both signs": {"n_filters": 8, "activation": "split"},
    "defaults, 32 filters": {"n_filters": 32},
    "defaults, sparse codes": {"activation": "fista"},
}
Set = tuple[str, tuple[int, ...], _data.Split]


def sets(data: Path | None, rows: int) -> Iterator[Set]:
    """Yield the column of the table, the grid and the rows of every set."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    a, b, X = order[:300], order[900:], (X / 16).astype(np.float32)
    yield "digits", (8, 8), _data.Split(X[a], y[a], X[b], y[b])
    for n in (5, 10, 20):
        make = partial(make_shifted_signals, n_timesteps=64, n_classes=4, noise=0.8)
        found = *make(n, random_state=50 + n), *make(200, random_state=90 + n)
        yield f"series {n}", (64,), _data.Split(*found)
    if data is not None:
        yield from _published(data, rows)


def _published(data: Path, rows: int) -> Iterator[Set]:
    for name in ("USPS", "MNIST", "Fashion"):
        path = data / f"{name.lower().replace('fashion', 'fashion_mnist')}.npz"
        with np.load(path, allow_pickle=False) as file:
            images, y = file["X_train"], file["y_train"]
            kept = np.random.default_rng(7).permutation(len(y))[:rows]
            test, y_test = file["X_test"][:2000], file["y_test"][:2000]
        low, high = int(images.min()), int(images.max())
        X, X_test = (
            (part.reshape(len(part), -1).astype(np.float32) - low) / (high - low)
            for part in (images[kept], test)
        )
        yield name, images.shape[1:], _data.Split(X, y[kept], X_test, y_test)
    for name in _data.ucr_sets(data):
        split = _data.ucr(data, name)
        yield "UCR", split.X_train.shape[1:], split


def accuracy(
    grid: tuple[int, ...], rows: _data.Split, options: dict[str, Any]
) -> float:
    """Return the mean accuracy over the seeds."""
    scores = []
    for seed in range(3 if len(rows.X_train) < 500 else 1):
        lifting = ConvolutionalLifting(signal_shape=grid, random_state=seed, **options)
        model = make_pipeline(lifting, InvariantReduNetClassifier(0))
        model.fit(rows.X_train, rows.y_train)
        scores.append(model.score(rows.X_test, rows.y_test))
    return float(np.mean(scores))


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the table."""
    options = Benchmark(
        "liftings",
        "Settings of the lifting",
        {"liftings": _measure},
        data="folder of the files",
    )
    options.add_argument("--rows", type=int, default=500, help="images to fit")
    options.add_argument("--liftings", nargs="+", choices=LIFTINGS, default=[*LIFTINGS])
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    report.say(PROTOCOL.format(rows=args.rows))
    found: dict[str, dict[str, list[float]]] = {name: {} for name in args.liftings}
    for column, grid, rows in sets(args.data, args.rows):
        for name, columns in found.items():
            score = accuracy(grid, rows, LIFTINGS[name])
            columns.setdefault(column, []).append(score)
            progress(f"{column}: {name}: {score:.4f}")
    header = ["lifting", *found[args.liftings[0]]]
    cells = [
        [name, *(f"{np.mean(scores):.4f}" for scores in columns.values())]
        for name, columns in found.items()
    ]
    report.table(header, cells)


if __name__ == "__main__":
    main()
