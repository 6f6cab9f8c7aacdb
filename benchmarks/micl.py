"""MICLClassifier: time compared with QDA, test errors, cost of "auto", and n << d.

Run ``python -m benchmarks.micl --data FOLDER``; the folder contains mnist.npz,
microarray.npz and tabular/letter.csv. Without it, generated rows replace MNIST, and the
gene expressions and letters are left out.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as LDA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis as QDA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks import _data
from benchmarks._harness import (
    MEMORY_NOTE,
    MIB,
    Benchmark,
    Report,
    median_times,
    peak_memory,
    progress,
    seconds_of,
)
from skredu import MICLClassifier, NearestSubspaceClassifier

EPSILON = 10.0  # for pixels in [0, 1]
MICL_GIVEN = f"MICL, epsilon={EPSILON:g}"
QDA_GIVEN = "QDA, reg_param=0.1"
DTYPES = ("float64", "float32")


def main(arguments: list[str] | None = None) -> None:
    """Run the requested parts."""
    options = Benchmark(
        "micl", "MICLClassifier", PARTS, data="folder with mnist.npz and others", runs=5
    )
    options.add_argument("--train", type=int, default=60_000, help="MNIST rows to fit")
    options.add_argument("--test", type=int, default=10_000, help="MNIST rows to test")
    options.add_argument("--rbf-train", type=int, default=5_000, help="rows for rbf")
    options.add_argument("--local-train", type=int, default=60_000, help="for local")
    options.add_argument("--neighbors", type=int, nargs="+", default=[10, 20, 40])
    options.run(arguments)


def _mnist(args: argparse.Namespace, dtype: str = "float64") -> _data.Split:
    """Return the first rows of MNIST, as many as the options request."""
    return _data.mnist(args.data, dtype, args.train, args.test)


def _name_of_mnist(args: argparse.Namespace) -> str:
    name = "MNIST" if args.data else "Generated rows of the shape of MNIST (not MNIST)"
    return (
        f"{name}, pixels in [0, 1], with {args.train} x 784 numbers"
        f" to fit and {args.test} samples to test"
    )


# -- time and memory against QDA ------------------------------------------------------


def _gaussian_models() -> dict[str, BaseEstimator]:
    """Return MICL and QDA of scikit-learn, with its faster solver if there is one."""
    models = {
        MICL_GIVEN: MICLClassifier(epsilon=EPSILON, calibrate=False),
        QDA_GIVEN: QDA(reg_param=0.1),
    }
    if "solver" in inspect.signature(QDA).parameters:
        models["QDA, eigen, shrinkage=0.1"] = QDA(solver="eigen", shrinkage=0.1)
    return models


def _predicted(model: BaseEstimator, rows: _data.Split) -> Any:
    return clone(model).fit(rows.X_train, rows.y_train).predict(rows.X_test)


def _prepare_mnist(
    args: argparse.Namespace, dtype: str, name: str
) -> Callable[[], Any]:
    return partial(_predicted, _gaussian_models()[name], _mnist(args, dtype))


def against_qda(report: Report, args: argparse.Namespace) -> None:
    """Measure fit and predict on MNIST in both precisions; models alternate."""
    report.say("### Fit and predict against quadratic discriminant analysis")
    report.say(
        f"{_name_of_mnist(args)}. MICL does not calibrate. Seconds are medians "
        f"of {args.runs} runs that alternate between the models. *time / MICL* "
        "is the time of a model divided by that of MICL in the same precision; "
        f"the next column is how many times faster it is than {QDA_GIVEN}, in "
        "float64. " + MEMORY_NOTE
    )
    models, data = _gaussian_models(), {dtype: _mnist(args, dtype) for dtype in DTYPES}
    tasks = {
        f"{name}, {dtype}": partial(_predicted, model, data[dtype])
        for dtype in DTYPES
        for name, model in models.items()
    }
    times = median_times(tasks, args.runs)
    rows = []
    for dtype in DTYPES:
        for name, model in models.items():
            progress(f"error and memory of {name}, {dtype}")
            seconds = times[f"{name}, {dtype}"]
            ratio = seconds / times[f"{MICL_GIVEN}, {dtype}"]
            gain = times[f"{QDA_GIVEN}, float64"] / seconds
            error = np.mean(_predicted(model, data[dtype]) != data[dtype].y_test)
            peak = peak_memory(_prepare_mnist, args, dtype, name).cells()
            speed = [f"{seconds:.3g}", f"{ratio:.2f}", f"{gain:.2f}"]
            rows.append([name, dtype, *speed, f"{error:.4f}", *peak])
    header = ["model", "rows", "seconds", "time / MICL", "faster than QDA float64"]
    report.table([*header, "test error", "arrays, MiB", "process, MiB"], rows)
    size = data["float64"].X_train.nbytes / MIB
    report.say(f"The training data take {size:.0f} MiB in float64.")


# -- test errors ----------------------------------------------------------------------


def test_errors(report: Report, args: argparse.Namespace) -> None:
    """Measure the errors of linear, kernel and local MICL on MNIST."""
    report.say("### Test errors")
    report.say(
        f"{_name_of_mnist(args)}, float32. If the table says so, only the first "
        "of the training samples are used. Times are those of a single run. The"
        " published value for the local variant, quoted from memory, is about "
        "0.016."
    )
    auto = MICLClassifier()
    models = [
        (MICL_GIVEN, MICLClassifier(epsilon=EPSILON, calibrate=False), args.train),
        ("MICL, auto", auto, args.train),
        ("MICL, auto", auto, args.rbf_train),
        ("MICL, auto, rbf", MICLClassifier(kernel="rbf"), args.rbf_train),
    ]
    for m in args.neighbors:
        local = MICLClassifier(n_neighbors=m)
        models.append((f"MICL, auto, {m} neighbours", local, args.local_train))
    data = _mnist(args, "float32")
    rows = []
    for name, model, size in models:
        X, y = data.X_train[:size], data.y_train[:size]
        fitted = clone(model)
        fit = seconds_of(partial(fitted.fit, X, y))
        wrong: list[float] = []

        def predict(fitted: Any = fitted, wrong: list[float] = wrong) -> None:
            wrong.append(np.mean(fitted.predict(data.X_test) != data.y_test))

        seconds = [f"{fit:.3g}", f"{seconds_of(predict):.3g}"]
        progress(f"{name}, {len(X)} rows: error {wrong[0]:.4f}")
        epsilon = f"{fitted.epsilon_:.3g}"
        rows.append([name, str(len(X)), epsilon, f"{wrong[0]:.4f}", *seconds])
    header = ["model", "rows to fit", "epsilon", "test error", "fit, s", "predict, s"]
    report.table(header, rows)


# -- the price of epsilon="auto" ------------------------------------------------------


def _auto_cases(args: argparse.Namespace) -> dict[str, tuple[Any, Any, dict[str, Any]]]:
    digits, labels = load_digits(return_X_y=True)
    mnist = _mnist(args)
    cases = {
        "MNIST" if args.data else "like MNIST": (mnist.X_train, mnist.y_train, {}),
        "digits / 16": (digits / 16, labels, {}),
        "digits / 16, rbf": (digits / 16, labels, {"kernel": "rbf"}),
        "digits / 16, local": (digits / 16, labels, {"n_neighbors": 20}),
    }
    if args.data:
        frame, y = _data.table(args.data / "tabular", "letter", None)
        X = StandardScaler().fit_transform(frame)
        cases["letter, standardised"] = (X, y, {})
    return cases


def price_of_auto(report: Report, args: argparse.Namespace) -> None:
    """Compare a fit with 20 distortions to one fit and predict of the same rows."""
    report.say('### The cost of epsilon="auto"')
    report.say(
        "The table compares a fit that chooses the best of 20 distortions with "
        "a fit and prediction of the same training samples with this distortion"
        f" given (calibrate=False). Seconds are medians of {args.runs} runs that"
        " alternate between both."
    )
    rows = []
    for name, (X, y, options) in _auto_cases(args).items():
        epsilon = MICLClassifier(**options).fit(X, y).epsilon_
        auto = MICLClassifier(**options)
        given = MICLClassifier(epsilon, calibrate=False, **options)
        tasks = {
            f"{name}: auto": partial(clone(auto).fit, X, y),
            f"{name}: given": lambda m=given, X=X, y=y: clone(m).fit(X, y).predict(X),
        }
        chosen, single = median_times(tasks, args.runs).values()
        shape = " x ".join(map(str, X.shape))
        ratio = f"{chosen / single:.2f}"
        rows.append([name, shape, f"{epsilon:.3g}", f"{chosen:.3g}", f"{single:.3g}"])
        rows[-1].append(ratio)
    header = ["rows", "shape", "epsilon", "fit, auto", "fit + predict, given", "ratio"]
    report.table(header, rows)


# -- gene expression: many more features than rows ------------------------------------


def _gene_models() -> dict[str, Pipeline]:
    models = {
        "MICL": [MICLClassifier()],
        "MICL, rbf": [MICLClassifier(kernel="rbf")],
        "nearest subspace": [NearestSubspaceClassifier(assume_centered=False)],
        "LDA, shrinkage, after PCA": [PCA(), LDA(solver="lsqr", shrinkage="auto")],
        "SVC, linear": [SVC(kernel="linear")],
        "logistic regression": [LogisticRegression(max_iter=5000)],
    }
    return {name: make_pipeline(StandardScaler(), *m) for name, m in models.items()}


def _folds(y: Any) -> StratifiedKFold:
    """Return ten folds, or as many as the smallest class has rows."""
    n = min(10, int(np.unique(y, return_counts=True)[1].min()))
    return StratifiedKFold(n, shuffle=True, random_state=0)


def _prepare_genes(data: Path, name: str, model: str) -> Callable[[], Any]:
    X, y = _data.microarray(data, name)
    return partial(cross_val_score, _gene_models()[model], X, y, cv=_folds(y))


def gene_expression(report: Report, args: argparse.Namespace) -> None:
    """Measure ten-fold runs on rows with thousands of features."""
    report.say("### Gene expression, n << d")
    if args.data is None:
        report.say("Left out: needs --data.")
        return
    report.say(
        f"The table contains ten-fold runs (medians of {args.runs}) of a "
        "pipeline with StandardScaler in float32. Classes with fewer than five "
        "samples are dropped; if the smallest class of a set has fewer than ten"
        " samples, their number is the number of folds. LDA with shrinkage "
        "solves d x d systems, so it gets the principal components. " + MEMORY_NOTE
    )
    rows = []
    for name in _data.microarrays(args.data):
        rows += _gene_rows(name, args)
        progress(f"{name} done")
    header = ["set", "shape", "folds", "model", "accuracy", "seconds"]
    memory = ["arrays, MiB", "process, MiB", "arrays / data"]
    report.table([*header, *memory], rows)


def _gene_rows(name: str, args: argparse.Namespace) -> list[list[str]]:
    X, y = _data.microarray(args.data, name)
    folds, scores = _folds(y), {}

    def run(model: str) -> None:
        scores[model] = cross_val_score(_gene_models()[model], X, y, cv=folds).mean()

    models = list(_gene_models())
    times = median_times({model: partial(run, model) for model in models}, args.runs)
    set_ = [name, f"{X.shape[0]} x {X.shape[1]}", str(folds.get_n_splits())]
    rows = []
    for model in models:
        peak = peak_memory(_prepare_genes, args.data, name, model)
        cells = [model, f"{scores[model]:.3f}", f"{times[model]:.2f}", *peak.cells()]
        rows.append([*set_, *cells, f"{peak.arrays / X.nbytes:.1f}"])
    return rows


PARTS: dict[str, Callable[[Report, argparse.Namespace], None]] = {
    "qda": against_qda,
    "errors": test_errors,
    "auto": price_of_auto,
    "genes": gene_expression,
}


if __name__ == "__main__":
    main()
