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
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.svm import SVC

from benchmarks._harness import Benchmark, Report, progress
from skredu import CompressionOutlierDetector, MICLClassifier, ReduNetClassifier

PROTOCOL = (
    "The digits of scikit-learn (1797 images of 8 x 8 pixels), divided into two halves "
    "{splits} times (stratified, seed 0). Training images are upright; each test image "
    "has one of the eight orientations (seed 0). *copies* are all eight images of each "
    "training image. The table contains mean accuracies, CPU seconds of fits and of "
    "predictions per division, and the largest difference of a probability between a "
    "test image and its seven images. No parameter was searched, except C of the SVC: "
    "the best of 1, 10 and 100 on the test images. ReduNets have five layers."
)

OUTLIERS = (
    "One digit after the other is normal, and about 10 % as many others are outliers "
    "(seed 0). Each image has one of the eight orientations. The table contains means "
    "over the ten digits: areas under the curves of the scores of training samples, "
    "and CPU seconds of fits. *copies* are all eight images of each sample; of these, "
    "only the sample itself is left out, so its images remain."
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
    parts = {"digits": _measure, "outliers": _outliers}
    options = Benchmark("symmetry", "Symmetries", parts)
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


def _outliers(report: Report, args: argparse.Namespace) -> None:
    report.say(OUTLIERS)
    X, y = load_digits(return_X_y=True)
    group, found = orientations(8), []
    options = {"symmetry": "dihedral", "signal_shape": (8, 8)}
    for name, n_neighbors in (("neighbours", 15), ("one Gaussian", None)):
        model = CompressionOutlierDetector(n_neighbors=n_neighbors)
        symmetric = clone(model).set_params(**options)
        cases = (("", model, 1), (", copies", model, 8), (", symmetric", symmetric, 1))
        for what, detector, n_images in cases:
            rng, rows = np.random.default_rng(0), []
            for digit in np.unique(y):
                own, others = np.flatnonzero(y == digit), np.flatnonzero(y != digit)
                others = rng.permutation(others)[: 1 + len(own) // 10]
                A = X[np.concatenate([own, others])]
                A = np.take_along_axis(A, group[rng.integers(8, size=len(A))], axis=1)
                every = np.vstack([A[:, g] for g in group[:n_images]])
                start = time.process_time()
                scores = clone(detector).fit(every).training_scores_[: len(A)]
                seconds = time.process_time() - start
                rows.append([roc_auc_score(np.arange(len(A)) < len(own), scores)])
                rows[-1].append(seconds)
            area, seconds = np.mean(rows, axis=0)
            found.append([name + what, f"{area:.4f}", f"{seconds:.3f}"])
    report.table(["detector", "area under the curve", "fit"], found)


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
