"""Gene expression, many more features than samples: MICL with and without weights.

Run ``python -m benchmarks.genes --data FOLDER``; the folder contains microarray.npz
(keys in ``benchmarks/_data.py``).
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from benchmarks.accuracy import mean_ranks
from skredu import CodingGainSelector, MICLClassifier

PROTOCOL = (
    "The table contains accuracies over {repeats} repetitions of five stratified folds "
    "(four or fewer if a class has fewer samples), in double precision, with a "
    "StandardScaler first. Classes with fewer than five samples are dropped. *weights* "
    "is CodingGainSelector, *selected* the same with ``weighted=False``. Scaling, "
    "weights and the choice of features are fitted to the training samples of each "
    "fold. Shrunken centroids have the threshold 1. No parameter was searched. The "
    "second table contains means over the sets, the difference to the linear SVC with "
    "its standard error over repetitions of the folds (which have the same samples, so "
    "other samples differ more), log-loss, and CPU seconds of all fits and predictions."
)


def models() -> dict[str, BaseEstimator]:
    """Return the classifiers, each of which gets standardised features."""
    kinds: dict[str, list[Any]] = {
        "SVC, linear": [SVC(kernel="linear", random_state=0)],
        "logistic regression": [LogisticRegression(max_iter=5000)],
        "shrunken centroids": [NearestCentroid(shrink_threshold=1.0)],
        "random forest": [RandomForestClassifier(random_state=0)],
        "MICL": [MICLClassifier()],
        "200 best by F + MICL": [SelectKBest(k=200), MICLClassifier()],
        "selected + MICL": [CodingGainSelector(weighted=False), MICLClassifier()],
        "weights + MICL": [CodingGainSelector(), MICLClassifier()],
        "weights + MICL, cosine": [
            CodingGainSelector(),
            MICLClassifier(kernel="cosine"),
        ],
        "weights + SVC, linear": [
            CodingGainSelector(),
            SVC(kernel="linear", random_state=0),
        ],
        "weights + logistic regression": [
            CodingGainSelector(),
            LogisticRegression(max_iter=5000),
        ],
    }
    return {name: make_pipeline(StandardScaler(), *m) for name, m in kinds.items()}


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the tables."""
    options = Benchmark(
        "genes",
        "Gene expression",
        {"sets": _measure},
        data="folder of microarray.npz",
        required=True,
    )
    options.add_argument("--sets", nargs="+", help="names of sets; default: all")
    options.add_argument(
        "--models", nargs="+", choices=list(models()), help="default: all"
    )
    options.add_argument("--repeats", type=int, default=3, help="of the folds")
    options.run(arguments)


def results(model: BaseEstimator, X: Any, y: Any, repeats: int) -> Any:
    """Return accuracy, log-loss and CPU seconds of each repetition, (repeats, 3)."""
    n_folds = min(5, int(np.unique(y, return_counts=True)[1].min()))
    folds = RepeatedStratifiedKFold(n_splits=n_folds, n_repeats=repeats, random_state=0)
    found = []
    for train, test in folds.split(X, y):
        start, fitted, loss = time.process_time(), clone(model), np.nan
        fitted.fit(X[train], y[train])
        accuracy = fitted.score(X[test], y[test])
        seconds = time.process_time() - start
        if hasattr(fitted, "predict_proba"):
            probabilities = fitted.predict_proba(X[test])
            loss = log_loss(y[test], probabilities, labels=fitted.classes_)
        found.append((accuracy, loss, seconds))
    means = np.reshape(found, (repeats, n_folds, 3)).mean(axis=1)
    return means * [1.0, 1.0, n_folds]


def _measure(report: Report, args: argparse.Namespace) -> None:
    chosen = {name: models()[name] for name in args.models or models()}
    names = args.sets or _data.microarrays(args.data)
    report.say(PROTOCOL.format(repeats=args.repeats))
    found, shapes = np.empty((len(names), len(chosen), args.repeats, 3)), []
    for i, name in enumerate(names):
        X, y = _data.microarray(args.data, name)
        X = X.astype(np.float64)
        shapes.append(f"{X.shape[0]} x {X.shape[1]}, {len(np.unique(y))}")
        for j, (label, model) in enumerate(chosen.items()):
            found[i, j] = results(model, X, y, args.repeats)
            progress(f"{name}: {label}: {found[i, j].mean(axis=0)}")
    accuracies = found[..., 0].mean(axis=2)
    report.table(
        ["set", "samples x features, classes", *map(str, range(1, len(chosen) + 1))],
        [
            [name, shape, *(f"{a:.3f}" for a in row)]
            for name, shape, row in zip(names, shapes, accuracies, strict=True)
        ],
    )
    # Sets are equally important, and repetitions share their samples.
    means = found[..., 0].mean(axis=0)
    errors = np.std(means - means[:1], axis=1) / np.sqrt(max(1, args.repeats - 1))
    ranks, losses = mean_ranks(accuracies), found[..., 1].mean(axis=(0, 2))
    seconds = found[..., 2].sum(axis=(0, 2))
    report.table(
        ["classifier", "mean", "difference", "± folds", "rank", "log-loss", "seconds"],
        [
            [
                f"{j + 1}. {label}",
                f"{means[j].mean():.4f}",
                f"{means[j].mean() - means[0].mean():+.4f}",
                f"{errors[j]:.4f}",
                f"{ranks[j]:.2f}",
                "–" if np.isnan(losses[j]) else f"{losses[j]:.3f}",
                f"{seconds[j]:.1f}",
            ]
            for j, label in enumerate(chosen)
        ],
    )


if __name__ == "__main__":
    main()
