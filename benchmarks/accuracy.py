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
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as LDA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis as QDA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
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
on it."""


def classifiers() -> dict[str, BaseEstimator]:
    """Return classifiers of skredu with default parameters, and of scikit-learn."""
    svc = {"C": [1, 10, 100], "gamma": ["scale", 0.1, 0.01, 0.001]}
    knn = {"n_neighbors": [1, 3, 5, 9, 15, 25], "weights": ["uniform", "distance"]}
    features = Nystroem(n_components=300, random_state=0)
    return {
        "MICL": MICLClassifier(),
        "MICL, rbf": MICLClassifier(kernel="rbf"),
        "MICL, 20 neighbours": MICLClassifier(n_neighbors=20),
        "MICL, Nyström": make_pipeline(features, MICLClassifier()),
        "ReduNet": ReduNetClassifier(),
        "ReduNet, Nyström": make_pipeline(features, ReduNetClassifier()),
        "nearest subspace": NearestSubspaceClassifier(),
        "nearest affine subspace": NearestSubspaceClassifier(assume_centered=False),
        "SVC, rbf, grid": GridSearchCV(SVC(), svc, cv=3),
        "random forest": RandomForestClassifier(random_state=0),
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


def scores_of(X: Any, y: Any, model: BaseEstimator) -> list[float]:
    """Return the means of all measures over the folds, NaN if a fit fails."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitFailedWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            scores = cross_validate(
                pipeline(X, model), X, y, cv=folds, scoring=measures
            )
        except ValueError as error:  # all fits failed
            progress(str(error).strip().splitlines()[-1])
            return [np.nan] * len(MEASURES)
    return [float(scores[f"test_{name}"].mean()) for name in MEASURES]


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
    scores = np.full((len(names), len(models), len(MEASURES)), np.nan)
    seconds = np.zeros(len(models))
    shapes = []
    for i, name in enumerate(names):
        X, y = _data.table(args.data, name)
        shapes.append(f"{X.shape[0]} x {X.shape[1]}, {len(np.unique(y))}")
        for j, (label, model) in enumerate(models.items()):
            start = time.process_time()
            scores[i, j] = scores_of(X, y, model)
            seconds[j] += time.process_time() - start
            progress(f"{name} ({i + 1}/{len(names)}): {label}: {scores[i, j, 0]:.4f}")
    _report(report, list(models), names, shapes, scores, seconds)


def _report(
    report: Report,
    models: list[str],
    names: list[str],
    shapes: list[str],
    scores: Any,
    seconds: Any,
) -> None:
    """Print the means first, then all tables; models are numbered to save width."""
    accuracies, losses = scores[:, :, 0], scores[:, :, 1:]
    means, ranks = np.nanmean(accuracies, axis=0), mean_ranks(accuracies)
    report.table(
        ["classifier", "mean", "mean rank", "CPU seconds"],
        [
            [f"{j + 1}. {model}", *cells]
            for j, (model, *cells) in enumerate(
                zip(
                    models,
                    (f"{mean:.4f}" for mean in means),
                    (f"{rank:.2f}" for rank in ranks),
                    (f"{time:.1f}" for time in seconds),
                    strict=True,
                )
            )
        ],
    )
    report.table(
        ["table", "rows x columns, classes", *(str(j + 1) for j in range(len(models)))],
        [
            [name, shape, *("–" if np.isnan(s) else f"{s:.3f}" for s in row)]
            for name, shape, row in zip(names, shapes, accuracies, strict=True)
        ],
    )
    known = [
        j for j in range(len(models)) if np.isfinite(losses[:, j]).all(axis=1).any()
    ]
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
            [name, *("–" if np.isnan(m) else f"{m:.3f}" for m in row[known, 0])]
            for name, row in zip(names, losses, strict=True)
        ],
    )


if __name__ == "__main__":
    main()
