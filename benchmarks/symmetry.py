"""Digits in eight orientations: symmetric classes, and copies of all images.

Run ``python -m benchmarks.symmetry``; the digits are those of scikit-learn.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.svm import SVC

from benchmarks._harness import Benchmark, Report, progress
from skredu import MICLClassifier, ReduNetClassifier

PROTOCOL = (
    "The digits of scikit-learn (1797 images of 8 x 8 pixels), divided into two halves "
    "{splits} times (stratified, seed 0). Training images are upright; each test image "
    "has one of the eight orientations (seed 0). *copies* are all eight images of each "
    "training image. The table contains mean accuracies, CPU seconds of fits and of "
    "predictions per division, and the largest difference of a probability between a "
    "test image and its seven images. No parameter was searched, except C of the SVC: "
    "the best of 1, 10 and 100 on the test images. ReduNets have five layers."
)


def models() -> dict[str, tuple[Any, bool]]:
    """Return classifiers, and whether they are trained on copies."""
    options: dict[str, Any] = {"symmetry": "dihedral", "signal_shape": (8, 8)}
    layers: dict[str, Any] = {"n_layers": 5, "n_iter_no_change": None}
    return {
        "MICL": (MICLClassifier(), False),
        "MICL, copies": (MICLClassifier(), True),
        "MICL, symmetric": (MICLClassifier(**options), False),
        "MICL, rbf": (MICLClassifier(kernel="rbf"), False),
        "MICL, rbf, symmetric": (MICLClassifier(kernel="rbf", **options), False),
        "ReduNet": (ReduNetClassifier(**layers), False),
        "ReduNet, copies": (ReduNetClassifier(**layers), True),
        "ReduNet, symmetric": (ReduNetClassifier(**layers, **options), False),
        **{
            f"SVC, C={C}, copies": (SVC(C=C, random_state=0), True)
            for C in (1, 10, 100)
        },
    }


def orientations(size: int) -> Any:
    """Return the pixels of square images in eight orientations, (8, pixels)."""
    pixels = np.arange(size * size).reshape(size, size)
    both = pixels, pixels[:, ::-1]
    return np.stack([np.rot90(p, i).ravel() for p in both for i in range(4)])


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the table."""
    options = Benchmark("symmetry", "Symmetries", {"digits": _measure})
    options.add_argument("--splits", type=int, default=5, help="divisions in halves")
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    report.say(PROTOCOL.format(splits=args.splits))
    X, y = load_digits(return_X_y=True)
    group, found = orientations(8), []
    halves = StratifiedShuffleSplit(args.splits, test_size=0.5, random_state=0)
    for name, (model, on_copies) in models().items():
        rng, rows = np.random.default_rng(0), []
        for train, test in halves.split(X, y):
            turned = group[rng.integers(len(group), size=len(test))]
            new = np.take_along_axis(X[test], turned, axis=1)
            A, labels = X[train], y[train]
            if on_copies:
                A = np.vstack([A[:, g] for g in group])
                labels = np.tile(labels, len(group))
            rows.append(_one(clone(model), A, labels, new, y[test], group))
        found.append([name, *np.mean(rows, axis=0)])
        progress(f"{name}: {found[-1][1]:.4f}")
    report.table(
        ["classifier", "accuracy", "fit", "predict", "change of probabilities"],
        [
            [name, f"{a:.4f}", f"{f:.2f}", f"{p:.2f}", "–" if c != c else f"{c:.1e}"]
            for name, a, f, p, c in found
        ],
    )


def _one(model: Any, A: Any, labels: Any, X: Any, y: Any, group: Any) -> list[float]:
    """Return accuracy, seconds of fit and predict, and change of probabilities."""
    start = time.process_time()
    model.fit(A, labels)
    fitted = time.process_time()
    accuracy = float(np.mean(model.predict(X) == y))
    stop, change = time.process_time(), np.nan
    if hasattr(model, "predict_proba"):
        P = model.predict_proba(X)
        turned = [model.predict_proba(X[:, g]) for g in group]
        change = max(float(np.abs(P - Q).max()) for Q in turned)
    return [accuracy, fitted - start, stop - fitted, change]


if __name__ == "__main__":
    main()
