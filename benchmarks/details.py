"""Details of MICL that the guide states: large tables, its mix, and its importances.

Run ``python -m benchmarks.details --data DATA``, with ``DATA/tabular/*.csv`` as for
``benchmarks.accuracy`` and ``DATA/mnist.npz``.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.stats import spearmanr
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.model_selection import (
    RepeatedStratifiedKFold,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from benchmarks.accuracy import measures, pipeline
from skredu import CodingGainSelector, MICLClassifier

LOADERS = {
    "iris": load_iris,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
    "digits": load_digits,
}
SMALL = ("iris", "wine", "breast cancer")


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the tables."""
    Benchmark(
        "details",
        "Details of MICL",
        {
            "large": _large,
            "weights": _weights,
            "importances": _importances,
            "selector": _selector,
        },
        data="folder with mnist.npz and tabular/*.csv",
        required=True,
    ).run(arguments)


def _letters(args: argparse.Namespace) -> _data.Split:
    X, y = _data.table(args.data / "tabular", "letter", max_rows=None)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=2000, stratify=y, random_state=0
    )
    return _data.Split(
        X_train.to_numpy(dtype=float), y_train, X_test.to_numpy(dtype=float), y_test
    )


def _images(args: argparse.Namespace) -> _data.Split:
    return _data.mnist(args.data, train=20_000)


def _large(report: Report, args: argparse.Namespace) -> None:
    report.say(
        "### Many samples\n\nAll letters but 2000, and 20 000 images of MNIST, which "
        "are tested on 10 000. Letters are standardised. Seconds are CPU time of a "
        "fit; milliseconds are CPU time per prediction."
    )
    rows = []
    for name, data, scaler in [
        ("letters", _letters(args), [StandardScaler()]),
        ("MNIST", _images(args), []),
    ]:
        for label, model in {
            "MICL": MICLClassifier(),
            "MICL, auto": MICLClassifier(kernel="auto"),
            "random forest": RandomForestClassifier(random_state=0),
        }.items():
            pipe = make_pipeline(*scaler, model)
            start = time.process_time()
            pipe.fit(data.X_train, data.y_train)
            fitted = time.process_time()
            pipe.predict(data.X_test)
            ms = 1000 * (time.process_time() - fitted) / len(data.y_test)
            found = measures(pipe, data.X_test, data.y_test)
            scores = [f"{found[key]:.4f}" for key in ("accuracy", "log-loss")]
            shape = "{} x {}".format(*data.X_train.shape)
            rows.append([name, label, shape, *scores, f"{fitted - start:.1f}"])
            rows[-1].append(f"{ms:.2f}")
            progress(str(rows[-1]))
    report.table(
        ["samples", "classifier", "shape", "accuracy", "log-loss", "fit, s", "ms"], rows
    )


def _weights(report: Report, args: argparse.Namespace) -> None:
    report.say(
        "### Weights of the mix\n\nThe weights of the candidates of "
        '`kernel="auto"`, in the mean over the fits of `benchmarks.accuracy` (five '
        "folds of each table), and the share of fits in which a candidate has a "
        "positive weight."
    )
    weights: dict[str, list[float]] = {}
    for table in _data.tables(args.data / "tabular"):
        X, y = _data.table(args.data / "tabular", table)
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        for train, _ in folds.split(X, y):
            model = pipeline(X, MICLClassifier(kernel="auto"))
            fitted = model.fit(X.iloc[train], y[train])[-1]
            for name, candidate in fitted.candidates_.items():
                weights.setdefault(name, []).append(candidate["weight"])
        progress(table)
    report.table(
        ["candidate", "mean weight", "used, %"],
        [
            [name, f"{np.mean(w):.2f}", f"{100 * np.mean(np.array(w) > 0):.0f}"]
            for name, w in weights.items()
        ],
    )


def _importances(report: Report, args: argparse.Namespace) -> None:
    report.say(
        "### Importances\n\nRank correlation of the importances of `explain` with "
        "those by permutation (of the log-loss, ten repetitions), both on the half of "
        "the standardised samples that was not used to fit; tables without strings "
        "and gaps."
    )
    tables = {name: LOADERS[name](return_X_y=True) for name in SMALL}
    for name in _data.tables(args.data / "tabular"):
        X, y = _data.table(args.data / "tabular", name)
        if not _data.string_columns(X) and not X.isna().to_numpy().any():
            tables[name] = X.to_numpy(dtype=float), y
    rows = []
    for name, (X, y) in tables.items():
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=0.5, stratify=y, random_state=0
        )
        scaler = StandardScaler().fit(X_train)
        model, scaled = MICLClassifier(), scaler.transform(X_test)
        model.fit(scaler.transform(X_train), y_train)
        permuted = permutation_importance(
            model, scaled, y_test, scoring="neg_log_loss", n_repeats=10, random_state=0
        ).importances_mean
        found = float(spearmanr(model.explain(scaled).importances, permuted)[0])
        rows.append([name, X.shape[1], f"{found:.2f}"])
        progress(str(rows[-1]))
    mean = np.mean([float(row[-1]) for row in rows if row[0] != "breast cancer"])
    rows.append(["mean without breast cancer", "–", f"{mean:.2f}"])
    report.table(["table", "features", "correlation"], rows)


def _selector(report: Report, _: argparse.Namespace) -> None:
    report.say(
        "### CodingGainSelector where samples are many\n\nAccuracy of MICLClassifier "
        "on standardised samples, without and with CodingGainSelector in front, in "
        "three times five stratified folds. Of the digits, 900 are used."
    )
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=3, random_state=0)
    rows = []
    for name, load in LOADERS.items():
        X, y = (array[:900] for array in load(return_X_y=True))
        scores = [
            cross_val_score(
                make_pipeline(StandardScaler(), *steps, MICLClassifier()),
                X,
                y,
                cv=folds,
            ).mean()
            for steps in ([], [CodingGainSelector()])
        ]
        rows.append([name, *(f"{score:.4f}" for score in scores)])
    report.table(["table", "without", "with"], rows)


if __name__ == "__main__":
    main()
