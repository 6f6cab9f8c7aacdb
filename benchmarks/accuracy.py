"""Accuracy and losses of probabilities on twenty tables: skredu and scikit-learn.

Run ``python -m benchmarks.accuracy --data FOLDER``; it contains CSV files with a
header and the target in the last column.
"""

from __future__ import annotations

import argparse
import inspect
import time
import warnings
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as LDA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis as QDA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from skredu import MICLClassifier, NearestSubspaceClassifier, ReduNetClassifier

PROTOCOL = f"""\
The table contains mean accuracies over StratifiedKFold(5, shuffle=True,
random_state=0). Of longer tables, {_data.MAX_ROWS} samples drawn with seed 0 are
kept, and then the classes with at least {_data.MIN_CLASS_ROWS} samples. Within every
fold, missing numbers are replaced by medians, strings are one-hot encoded (missing is
a category), and StandardScaler is applied before the classifier. The identifiers
PassengerId, Name, Ticket and Cabin of titanic are left out. For probabilities, the
tables contain the log-loss, the Brier score (sum over the classes) and the
calibration error (of the probability of the predicted class, 15 bins). Grids are
searched by 3-fold cross-validation within the fold. A dash means that a fit failed;
this table is left out of the means of the classifier, and the classifier ranks last
on it. Classifiers without probabilities are not ranked by the log-loss. Times are
seconds of the processor for all folds of all tables: of fits, including the transforms
and searches within the fold, and of predictions of labels."""


def classifiers() -> dict[str, BaseEstimator]:
    """Return classifiers of skredu with default parameters, and of scikit-learn."""
    svc = {"C": [1, 10, 100], "gamma": ["scale", 0.1, 0.01, 0.001]}
    knn = {"n_neighbors": [1, 3, 5, 9, 15, 25], "weights": ["uniform", "distance"]}
    features = Nystroem(n_components=300, random_state=0)
    return {
        "MICL": MICLClassifier(),
        "MICL, auto": MICLClassifier(kernel="auto"),
        "MICL, rbf": MICLClassifier(kernel="rbf"),
        "MICL, laplacian": MICLClassifier(kernel="laplacian"),
        "MICL, 20 neighbours": MICLClassifier(n_neighbors=20),
        "MICL, Nyström": make_pipeline(features, MICLClassifier()),
        "ReduNet": ReduNetClassifier(),
        "ReduNet, Nyström": make_pipeline(features, ReduNetClassifier()),
        "nearest subspace": NearestSubspaceClassifier(),
        "nearest affine subspace": NearestSubspaceClassifier(assume_centered=False),
        "SVC, rbf, grid": GridSearchCV(SVC(), svc, cv=3),
        "random forest": RandomForestClassifier(random_state=0),
        "extra trees": ExtraTreesClassifier(random_state=0),
        "gradient boosting": HistGradientBoostingClassifier(random_state=0),
        "k-NN, grid": GridSearchCV(KNeighborsClassifier(), knn, cv=3),
        "logistic regression": LogisticRegression(max_iter=5000),
        "naive Bayes": GaussianNB(),
        "class frequencies": DummyClassifier(),
        "LDA, shrinkage": LDA(solver="lsqr", shrinkage="auto"),
        "QDA, shrinkage": _qda(),
    }


def _qda() -> BaseEstimator:
    """Return regularised QDA, if possible also for classes with few rows."""
    if "solver" in inspect.signature(QDA).parameters:
        return QDA(solver="eigen", shrinkage=0.1)
    return QDA(reg_param=0.1)


def pipeline(frame: Any, model: BaseEstimator) -> Pipeline:
    """Return a pipeline with all steps that are fitted within a fold."""
    strings = _data.string_columns(frame)
    numbers = [name for name in frame.columns if name not in strings]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer(
        (SimpleImputer(strategy="median"), numbers), (one_hot, strings)
    )
    return make_pipeline(columns, StandardScaler(), model)


MEASURES = ("accuracy", "log-loss", "Brier", "calibration")


def measures(model: Any, X: Any, y: Any) -> dict[str, float]:
    """Return accuracy and losses of a fitted model; NaN without probabilities."""
    found = dict.fromkeys(MEASURES, np.nan)
    predicted = model.predict(X)
    found["accuracy"] = float(np.mean(predicted == y))
    if not hasattr(model, "predict_proba"):
        return found
    P, own = model.predict_proba(X), y[:, None] == model.classes_
    right, sure = predicted == y, P.max(axis=1)
    found["log-loss"] = -float(np.log(np.maximum(P[own], 1e-15)).mean())
    found["Brier"] = float(((P - own) ** 2).sum(axis=1).mean())
    bins = np.minimum((15 * sure).astype(int), 14)
    gaps = np.bincount(bins, right - sure, minlength=15)
    found["calibration"] = float(np.abs(gaps).sum() / len(y))
    return found


TIMES = ("fit", "predict")


def scores_of(X: Any, y: Any, model: BaseEstimator) -> list[float]:
    """Return means of all measures over the folds, NaN if a fit fails, and seconds."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    found, seconds = [], np.zeros(len(TIMES))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitFailedWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        for train, test in folds.split(X, y):
            one = pipeline(X, clone(model))
            start = time.process_time()
            try:
                one.fit(X.iloc[train], y[train])
            except ValueError as error:
                progress(str(error).strip().splitlines()[-1])
                return [np.nan] * len(MEASURES) + [0.0] * len(TIMES)
            fitted = time.process_time()
            one.predict(X.iloc[test])
            seconds += fitted - start, time.process_time() - fitted
            found.append([*measures(one, X.iloc[test], y[test]).values()])
    return [*np.mean(found, axis=0).tolist(), *seconds.tolist()]


def mean_ranks(scores: Any) -> Any:
    """Return mean ranks of columns, 1 for the largest; missing values rank last."""
    filled = np.where(np.isnan(scores), -np.inf, np.round(scores, 10))
    return rankdata(-filled, axis=1).mean(axis=0)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the tables."""
    options = Benchmark(
        "accuracy",
        "Accuracy on tables",
        {"tables": _measure},
        data="folder of CSV files",
        required=True,
    )
    options.add_argument("--tables", nargs="+", help="names of files; default: all")
    options.add_argument(
        "--models", nargs="+", choices=list(classifiers()), help="default: all"
    )
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    models = classifiers()
    models = {name: models[name] for name in args.models or models}
    report.say(PROTOCOL)
    names = args.tables or _data.tables(args.data)
    scores = np.full((len(names), len(models), len(MEASURES) + len(TIMES)), np.nan)
    shapes = []
    for i, name in enumerate(names):
        X, y = _data.table(args.data, name)
        shapes.append(f"{X.shape[0]} x {X.shape[1]}, {len(np.unique(y))}")
        for j, (label, model) in enumerate(models.items()):
            scores[i, j] = scores_of(X, y, model)
            progress(f"{name} ({i + 1}/{len(names)}): {label}: {scores[i, j, 0]:.4f}")
    seconds = scores[:, :, len(MEASURES) :].sum(axis=0)
    report_scores(
        report, list(models), names, shapes, scores[:, :, : len(MEASURES)], seconds
    )


def report_scores(
    report: Report,
    models: list[str],
    names: list[str],
    shapes: list[str],
    scores: Any,
    seconds: Any,
) -> None:
    """Print the means first, then all tables; models are numbered to save width."""
    accuracies, losses = scores[:, :, 0], scores[:, :, 1:]
    known = [
        j for j in range(len(models)) if np.isfinite(losses[:, j]).all(axis=1).any()
    ]
    means, ranks = np.nanmean(accuracies, axis=0), mean_ranks(accuracies)
    of_losses = np.full((len(models), 2), np.nan)
    of_losses[known, 0] = np.nanmean(losses[:, known, 0], axis=0)
    of_losses[known, 1] = mean_ranks(-losses[:, known, 0])
    columns = np.column_stack([means, ranks, of_losses, seconds])
    digits = (4, 2, 4, 2, 1, 1)
    report.table(
        ["classifier", "accuracy", "mean rank", "log-loss", "mean rank", *TIMES],
        [
            [
                f"{j + 1}. {model}",
                *(_cell(v, n) for v, n in zip(row, digits, strict=True)),
            ]
            for j, (model, row) in enumerate(zip(models, columns, strict=True))
        ],
    )
    report.table(
        ["table", "rows x columns, classes", *(str(j + 1) for j in range(len(models)))],
        [
            [name, shape, *(_cell(accuracy, 3) for accuracy in row)]
            for name, shape, row in zip(names, shapes, accuracies, strict=True)
        ],
    )
    report.table(
        ["classifier", *MEASURES[1:]],
        [
            [
                f"{j + 1}. {models[j]}",
                *(f"{m:.4f}" for m in np.nanmean(losses[:, j], 0)),
            ]
            for j in known
        ],
    )
    report.table(
        ["log-loss", *(str(j + 1) for j in known)],
        [
            [name, *(_cell(loss, 3) for loss in row[known, 0])]
            for name, row in zip(names, losses, strict=True)
        ],
    )


def _cell(value: float, digits: int) -> str:
    return "–" if np.isnan(value) else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
