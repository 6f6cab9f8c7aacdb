"""Depth: what layers add to an invariant network on shifted digits and time series.

Run ``python -m benchmarks.depth --data FOLDER``; the folder contains
ucr_time_series.npz (keys in ``benchmarks/_data.py``). Without it, only the digits are
used.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from skredu import (
    ConvolutionalLifting,
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    ScatteringTransformer,
)

DEPTHS = (0, 1, 3, 10)
SERIES = ("SyntheticControl", "OSULeaf")
NO_LAYER = "no layer"
MOST_ROWS = 300
ALL_LAYERS = "relu, all layers, estimated"
# name: parameters of the layers
SETTINGS: dict[str, dict[str, Any]] = {
    "relative, 0.1": {},
    "relative, 1": {"eta": 1.0},
    "momentum, 0.3": {"step": "momentum", "eta": 0.3},
    "nesterov, 0.3": {"step": "nesterov", "eta": 0.3},
    "relu, 0.3": {"membership": "relu", "eta": 0.3},
    "relative, 1, estimated": {"construction": "estimated", "eta": 1.0},
    ALL_LAYERS: {
        "construction": "estimated",
        "membership": "relu",
        "step": "published",
    },
}
STACKED = "second lifting after {} layers"
PROTOCOL = (
    "Rows are split at random, {runs} times: a third of them, but at most 300, for "
    "training, as many to choose by, and at most 600 for the result. *chosen*: the "
    "setting and number of layers (0, 1, 3 or 10) with the best accuracy on the second "
    "part, the first of equals in the order of the table, without second liftings. "
    "Every number is the mean accuracy on the third part. Every digit is shifted "
    "cyclically by random numbers of pixels. The number after a rule is `eta`; "
    '*estimated* is the construction, which is "left_out" otherwise. All layers are '
    "kept (`n_iter_no_change=None`), but relative steps end when no step increases the "
    "rate reduction. *relu, all layers* takes published steps as long as the first "
    "relative step of 0.1. A second lifting has eight more filters, on the output of "
    "the given number of layers (`eta=1`), followed by a network without layers. The "
    "last column is the difference of the chosen setting from no layer, with its "
    "standard error over samples."
)


class Problem(NamedTuple):
    """Rows with labels, for training, for choosing a setting, and for the result."""

    X: list[Any]
    y: list[Any]
    shape: Any


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmark."""
    options = Benchmark(
        "depth", "Depth", PARTS, data="folder with ucr_time_series.npz", runs=3
    )
    options.add_argument("--rows", type=int, help="most rows for training")
    options.run(arguments)


def problem(name: str, data: Path | None, seed: int, most: int | None) -> Problem:
    """Return a split of the digits, each shifted at random, or of a set of series."""
    rng = np.random.default_rng(seed)
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        shifts = rng.integers(8, size=(len(X), 2))
        rolled = [
            np.roll(x.reshape(8, 8), s, axis=(0, 1))
            for x, s in zip(X, shifts, strict=True)
        ]
        X, shape = np.stack(rolled).reshape(-1, 64), (8, 8)
    else:
        assert data is not None
        split = _data.ucr(data, name)
        X = np.concatenate([split.X_train, split.X_test])
        y = np.concatenate([split.y_train, split.y_test])
        shape = (X.shape[1],)
    n = min(len(X) // 3, MOST_ROWS if most is None else most)
    train, rest = next(
        StratifiedShuffleSplit(1, train_size=n, random_state=seed).split(X, y)
    )
    rest = rng.permutation(rest)
    parts = (train, rest[:n], rest[n : 3 * n])
    return Problem([X[p] for p in parts], [y[p] for p in parts], shape)


def liftings(shape: Any, seed: int) -> dict[str, Any]:
    """Return the transformers before the network."""
    cell = next(size for size in (2, 4, 5, 7, 1) if shape[-1] % size == 0)
    apart = "auto" if cell < 7 else cell  # 427 points have no other divisors
    return {
        "scattering": ScatteringTransformer(
            n_angles=4, signal_shape=shape, subsampling=apart
        ),
        "k-means filters": ConvolutionalLifting(
            signal_shape=shape,
            pool_size=cell,
            random_state=seed,
        ),
    }


def predictions(X: list[Any], y: Any) -> Iterator[tuple[str, int, list[Any]]]:
    """Yield a setting, a number of layers, and predictions for the last two parts."""
    first_eta = None
    for name, setting in SETTINGS.items():
        given = {"eta": first_eta, **setting} if name == ALL_LAYERS else setting
        net = InvariantReduNetClassifier(max(DEPTHS), n_iter_no_change=None, **given)
        stages = [list(net.fit(X[0], y).staged_predict(part)) for part in X[1:]]
        if first_eta is None:
            first_eta = net.layers_[0].eta if net.n_iter_ else 0.1
            yield NO_LAYER, 0, [s[0] for s in stages]
        for depth in DEPTHS[1:]:
            yield name, depth, [s[min(depth, net.n_iter_)] for s in stages]


def stacked(X: list[Any], y: Any, seed: int) -> Iterator[tuple[str, int, list[Any]]]:
    """Yield the same for a second lifting behind a few layers."""
    for depth in (0, 1, 3):
        net = InvariantReduNetTransformer(depth, eta=1.0).fit(X[0], y)
        moved = [net.transform(part) for part in X]
        lifting = ConvolutionalLifting(8, 3, pooling=None, random_state=seed)
        lifted = [lifting.fit_transform(moved[0]), *map(lifting.transform, moved[1:])]
        last = InvariantReduNetClassifier(0).fit(lifted[0], y)
        found = [last.predict(part) for part in lifted[1:]]
        yield STACKED.format(depth), depth, found


def settings(report: Report, options: argparse.Namespace) -> None:
    """Report the accuracy of every setting, and of the one chosen by other rows."""
    report.say("### What layers add\n\n" + PROTOCOL.format(runs=options.runs))
    names = ["digits", *(SERIES if options.data else ())]
    columns: dict[str, dict[tuple[str, int], list[float]]] = {}
    rows, start = [], time.process_time()
    for name in names:
        for lifting in liftings((8,), 0):
            title = f"{name}, {lifting}"
            progress(title)
            found: dict[tuple[str, int], list[float]] = {}
            plain, chosen, better = [], [], []
            for seed in range(options.runs):
                right = results(name, lifting, options, seed)
                for key, (_, test) in right.items():
                    found.setdefault(key, []).append(test.mean())
                keys = [key for key in right if not key[0].startswith(STACKED[:14])]
                best = max(keys, key=lambda key: right[key][0].mean())
                plain.append(right[NO_LAYER, 0][1].mean())
                chosen.append(right[best][1].mean())
                better.append(right[best][1] * 1.0 - right[NO_LAYER, 0][1])
            columns[title] = found
            gain = np.concatenate(better)
            error = gain.std() / len(gain) ** 0.5
            means = [f"{n} {d}: {np.mean(v):.4f}" for (n, d), v in found.items()]
            progress("; ".join([f"chosen: {np.mean(chosen):.4f}", *means]))
            rows.append(
                [
                    title,
                    f"{np.mean(plain):.4f}",
                    f"{np.mean(chosen):.4f}",
                    f"{100 * gain.mean():+.2f} ± {100 * error:.2f}",
                ]
            )
    report.table(["set, lifting", NO_LAYER, "chosen", "points"], rows)
    keys = list(next(iter(columns.values())))
    table = [
        [
            setting,
            depth,
            *(f"{np.mean(c[setting, depth]):.4f}" for c in columns.values()),
        ]
        for setting, depth in keys
    ]
    report.table(["setting", "layers", *columns], table)
    report.say(f"CPU time of all runs: {time.process_time() - start:.0f} s.")


def results(
    name: str, lifting: str, options: argparse.Namespace, seed: int
) -> dict[tuple[str, int], list[Any]]:
    """Return which rows of the last two parts every setting predicts correctly."""
    split = problem(name, options.data, seed, options.rows)
    lift = liftings(split.shape, seed)[lifting].fit(split.X[0])
    X, y = [lift.transform(part) for part in split.X], split.y
    right = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* has no layer")
        for found in (predictions(X, y[0]), stacked(X, y[0], seed)):
            for setting, depth, labels in found:
                pairs = zip(labels, y[1:], strict=True)
                right[setting, depth] = [a == b for a, b in pairs]
    return right


PARTS = {"settings": settings}


if __name__ == "__main__":
    main()
