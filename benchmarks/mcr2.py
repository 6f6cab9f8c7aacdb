"""MCR2Transformer compared with PCA, LDA and NCA by simple classifiers of features.

Run ``python -m benchmarks.mcr2``; it uses the data of scikit-learn and, for the
comparison of settings, a folder of ``*.csv`` tables (``--data FOLDER``).
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from skredu import MCR2Transformer, MICLClassifier
from skredu.rates import rate_reduction

COMPONENTS = (2, 5, 10, 20)
FOLDS, TABLE_FOLDS, TABLE_ROWS = 5, 3, 500
SETS: dict[str, Callable[..., Any]] = {
    "digits": load_digits,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
}
PROTOCOL = (
    "Digits are divided by 16; wine and breast cancer are standardised "
    "within each fold. The tables contain accuracies of 5 nearest "
    "neighbours and logistic regression (C = 1) on the features, over "
    f"{FOLDS} stratified folds, which are the same for all methods. Seconds "
    "are the mean CPU time to fit the features. All parameters have their "
    "default values except the number of components; LDA has at most one "
    "component less than classes. *Raw*: no transformation."
)
DEPTH = (
    "The table contains the rate reduction of the training and the held-out"
    " samples after the layers that are kept, of at most `n_layers`, and "
    "accuracies as above. The rate reduction of held-out samples is "
    "computed with their true classes."
)
SETTINGS = (
    f"The table contains means over data sets of at most {TABLE_ROWS} "
    f"samples and {TABLE_FOLDS} folds. Numbers are standardised, and strings"
    " are one-hot encoded; *2k* components are twice the number of classes."
    " The defaults were chosen by this table and the folds from which it "
    "was made."
)

OBJECTIVES = (
    f"The tables are those of the settings, with at most {TABLE_ROWS} samples and "
    f"{TABLE_FOLDS} folds, and all parameters have their default values. The table "
    "contains means over all data sets: accuracies of 5 nearest neighbours and of "
    "`MICLClassifier` on the features, the mean rank among the rows of this table (1 "
    "is best), and seconds of processor time of all fits."
)


def scaler_of(name: str) -> Any:
    """Return the scaler of a set."""
    if name == "digits":
        return FunctionTransformer(lambda X: X / 16.0)
    return StandardScaler()


def folds(name: str) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Yield the scaled training and test rows of each fold."""
    X, y = SETS[name](return_X_y=True)
    yield from parts(X, y, scaler_of(name), FOLDS)


def parts(
    X: Any, y: Any, scaler: Any, n_folds: int
) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Yield the training and test part of each fold, scaled by the training part."""
    take = X.iloc.__getitem__ if hasattr(X, "iloc") else X.__getitem__
    split = StratifiedKFold(n_folds, shuffle=True, random_state=0).split(X, y)
    for train, test in split:
        X_train = scaler.fit_transform(take(train))
        yield X_train, y[train], scaler.transform(take(test)), y[test]


def features(m: int, k: int) -> dict[str, Any]:
    """Return transformers to m components of rows in k classes."""
    found: dict[str, Any] = {
        "PCA": PCA(m),
        "NCA": NeighborhoodComponentsAnalysis(m, random_state=0),
        "MCR2": MCR2Transformer(m),
        "MCR2, init lda": MCR2Transformer(m, init="lda"),
    }
    if m < k:
        found["LDA"] = LinearDiscriminantAnalysis(n_components=m)
    return found


def accuracies(Z_train: Any, y_train: Any, Z_test: Any, y_test: Any) -> list[float]:
    """Return the accuracies of 5 nearest neighbours and of logistic regression."""
    models = KNeighborsClassifier(5), LogisticRegression(max_iter=5000)
    return [m.fit(Z_train, y_train).score(Z_test, y_test) for m in models]


def measured(model: Any, rows: list[tuple[Any, Any, Any, Any]]) -> Any:
    """Return the mean accuracies on the features of a model, and seconds of its fit."""
    results = []
    for X_train, y_train, X_test, y_test in rows:
        start = time.process_time()
        model.fit(X_train, y_train)
        seconds = time.process_time() - start
        Z = model.transform(X_train), model.transform(X_test)
        results.append([*accuracies(Z[0], y_train, Z[1], y_test), seconds])
    return np.mean(results, axis=0)


def compare(report: Report, args: argparse.Namespace) -> None:
    """Measure accuracies by the number of components."""
    report.say(f"### Comparison with other features\n\n{PROTOCOL}")
    header = ["set", "features", "components", "5-NN", "logistic", "seconds"]
    table = []
    for name in SETS:
        rows = list(folds(name))
        k, d = len(np.unique(rows[0][1])), rows[0][0].shape[1]
        raw = measured(FunctionTransformer(), rows)
        table.append([name, "raw", d, *map("{:.3f}".format, raw[:2]), "–"])
        for m in sorted(m for m in {k - 1, *args.components} if m <= d):
            for label, model in features(m, k).items():
                found = measured(model, rows)
                cells = [f"{a:.3f}" for a in found]
                table.append([name, label, m, *cells])
                progress(f"{name}, {m}: {label}: {cells}")
    report.table(header, table)


def depth(report: Report, _: argparse.Namespace) -> None:
    """Measure the effect of more layers."""
    report.say(f"### Layers\n\n{DEPTH}")
    header = ["set", "activation", "n_layers", "kept", "train", "held out"]
    table = []
    for name in SETS:
        rows = list(folds(name))
        for activation, n_layers in [(None, 1), *_deep()]:
            model = MCR2Transformer(n_layers=n_layers, activation=activation)
            found = np.mean([_depth(model, *fold) for fold in rows], axis=0)
            cells = [f"{found[0]:.1f}", *(f"{a:.3f}" for a in found[1:])]
            table.append([name, activation or "none", n_layers, *cells])
            progress(f"{name}: {table[-1]}")
    report.table([*header, "5-NN", "logistic"], table)


def _deep() -> Iterator[tuple[str | None, int]]:
    for activation in (None, "relu", "tanh"):
        for n_layers in (2, 5):
            yield activation, n_layers


def _depth(
    model: Any, X_train: Any, y_train: Any, X_test: Any, y_test: Any
) -> list[float]:
    model.fit(X_train, y_train)
    Z = model.transform(X_train), model.transform(X_test)
    held_out = rate_reduction(Z[1], y_test, epsilon=model.epsilon)
    rates = [len(model.layers_), model.rate_reduction_, held_out]
    return [*rates, *accuracies(Z[0], y_train, Z[1], y_test)]


# -- settings, on many tables ---------------------------------------------------------


def candidates() -> dict[str, Callable[[int, int], Any]]:
    """Return transformers for k classes and d features, by name."""

    def ours(share: int, k: int, d: int, **options: Any) -> Any:
        m = min(share * k, d + 1) if share else d + 1
        return MCR2Transformer(m, **options)

    def principal(share: int, k: int, d: int) -> Any:
        return PCA(min(share * k, d))

    found: dict[str, Callable[[int, int], Any]] = {
        "raw": lambda k, d: FunctionTransformer(),
        "LDA": lambda k, d: LinearDiscriminantAnalysis(solver="eigen", shrinkage=1e-6),
        "PCA, 2k": partial(principal, 2),
    }
    for epsilon in (0.5, 1.0, 2.0):
        for share, label in ((1, "k"), (2, "2k"), (3, "3k"), (0, "d + 1")):
            name = f"MCR2, {label}, epsilon {epsilon:g}"
            found[name] = partial(ours, share, epsilon=epsilon)
    changes: dict[str, dict[str, Any]] = {
        "tol 1e-4": {"tol": 1e-4},
        "tol 1e-2": {"tol": 1e-2},
        "init lda": {"init": "lda"},
        "init random": {"init": "random", "random_state": 0},
        "intercept_scaling 0.3": {"intercept_scaling": 0.3},
        "intercept_scaling 3": {"intercept_scaling": 3.0},
        "3 layers": {"n_layers": 3},
        "3 layers, relu": {"n_layers": 3, "activation": "relu"},
        "3 layers, tanh": {"n_layers": 3, "activation": "tanh"},
    }
    for label, options in changes.items():
        found[f"MCR2, 2k, {label}"] = partial(ours, 2, **options)

    def origin(k: int, d: int) -> Any:
        return MCR2Transformer(min(2 * k, d), fit_intercept=False)

    return {**found, "MCR2, 2k, no intercept": origin}


def settings(report: Report, args: argparse.Namespace) -> None:
    """Measure many settings, and average over tables."""
    if args.data is None:
        return
    names = _data.tables(args.data)
    report.say(f"### Settings\n\n{SETTINGS} {len(names)} tables.")
    scores: dict[str, list[Any]] = {name: [] for name in candidates()}
    for name in names:
        X, y = _data.table(args.data, name, TABLE_ROWS)
        y = np.unique(y, return_inverse=True)[1]
        rows = list(parts(X, y, _columns(X), TABLE_FOLDS))
        k, d = len(np.unique(y)), rows[0][0].shape[1]
        for label, model in candidates().items():
            scores[label].append(measured(model(k, d), rows))
        progress(f"{name}: done")
    header = ["features", "5-NN", "logistic", "seconds of processor, all fits"]
    table = []
    for label, found in scores.items():
        means, total = np.mean(found, axis=0), np.sum(found, axis=0)[2] * TABLE_FOLDS
        table.append([label, *(f"{a:.4f}" for a in means[:2]), f"{total:.1f}"])
    report.table(header, table)


def objectives(report: Report, args: argparse.Namespace) -> None:
    """Compare both objectives with LDA and NCA in front of two classifiers."""
    if args.data is None:
        return
    names = _data.tables(args.data)
    report.say(f"### Objectives\n\n{OBJECTIVES} {len(names)} tables.")
    scores: dict[str, list[Any]] = {}
    for name in names:
        X, y = _data.table(args.data, name, TABLE_ROWS)
        y = np.unique(y, return_inverse=True)[1]
        rows = list(parts(X, y, _columns(X), TABLE_FOLDS))
        k, d = len(np.unique(y)), rows[0][0].shape[1]
        for label, model in supervised(k, d).items():
            scores.setdefault(label, []).append(in_front(model, rows))
        progress(f"{name}: done")
    values = np.array([*scores.values()])  # (features, tables, 3)
    ranks = rankdata(-values[:, :, :2], axis=0).mean(axis=1)
    means, seconds = values.mean(axis=1), values[:, :, 2].sum(axis=1)
    table = [
        [
            label,
            *(f"{a:.4f}" for a in means[i, :2]),
            *(f"{a:.2f}" for a in ranks[i]),
            f"{seconds[i] * TABLE_FOLDS:.1f}",
        ]
        for i, label in enumerate(scores)
    ]
    header = ["features", "5-NN", "MICL", "rank, 5-NN", "rank, MICL", "seconds"]
    report.table(header, table)


def supervised(k: int, d: int) -> dict[str, Any]:
    """Return transformers for k classes of rows with d features."""
    m = min(2 * k, d)
    return {
        "raw": FunctionTransformer(),
        "LDA": LinearDiscriminantAnalysis(solver="eigen", shrinkage=1e-6),
        "NCA": NeighborhoodComponentsAnalysis(random_state=0),
        "NCA, 2k": NeighborhoodComponentsAnalysis(m, random_state=0),
        "MCR2": MCR2Transformer(),
        "MCR2, left out": MCR2Transformer(objective="left_out"),
    }


def in_front(model: Any, rows: list[tuple[Any, Any, Any, Any]]) -> Any:
    """Return accuracies of 5 nearest neighbours and MICL, and seconds of a fit."""
    results = []
    for X_train, y_train, X_test, y_test in rows:
        start = time.process_time()
        model.fit(X_train, y_train)
        seconds = time.process_time() - start
        Z = model.transform(X_train), model.transform(X_test)
        found = [
            after.fit(Z[0], y_train).score(Z[1], y_test)
            for after in (KNeighborsClassifier(5), MICLClassifier())
        ]
        results.append([*found, seconds])
    return np.mean(results, axis=0)


def _columns(X: Any) -> Any:
    """Return a transformer that standardises numbers and encodes strings."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    strings = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (strings, make_column_selector(dtype_exclude="number")),
    )


def main(arguments: list[str] | None = None) -> None:
    """Print a table for each part."""
    options = Benchmark(
        "mcr2", "MCR2Transformer", PARTS, data="folder with *.csv tables"
    )
    options.add_argument(
        "--components", type=int, nargs="+", default=list(COMPONENTS), metavar="M"
    )
    # with other settings, searches may end early; the tables show this
    warnings.simplefilter("ignore", ConvergenceWarning)
    options.run(arguments)


PARTS = {
    "features": compare,
    "layers": depth,
    "objectives": objectives,
    "settings": settings,
}


if __name__ == "__main__":
    main()
