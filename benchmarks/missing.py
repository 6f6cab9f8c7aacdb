"""Missing values: MICL that codes what is observed, and imputation in front of it.

Run ``python -m benchmarks.missing --data FOLDER``; it contains CSV files with a header
and the target in the last column.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from skredu import MICLClassifier

MAX_VALUES = 30  # of a column of strings
PROTOCOL = (
    "Of every table, at most {rows} random samples are kept (seed 0), and classes with "
    "at least five of them. Strings are one-hot encoded; columns with more than 30 "
    "values are left out. Then {share} of the entries of the table are removed at "
    "random (seed 0), in training and test samples. The table contains mean accuracies "
    "over {folds} stratified folds (seed 0). All classifiers are MICLClassifier() "
    "after a StandardScaler that ignores gaps; *none* has no imputer. IterativeImputer "
    "makes at most five rounds. The last column is the difference between *none* and "
    "the best of the others, which was chosen by the same test samples."
)


def imputers() -> dict[str, list[BaseEstimator]]:
    """Return what comes before the classifier."""
    keep = {"keep_empty_features": True}
    return {
        "none": [],
        "mean": [SimpleImputer(**keep)],
        "median": [SimpleImputer(strategy="median", **keep)],
        "kNN": [KNNImputer(**keep)],
        "iterative": [IterativeImputer(random_state=0, max_iter=5, **keep)],
    }


def numbers_of(frame: Any) -> tuple[Any, Any]:
    """Return a table as numbers, and the column from which each of them comes."""
    strings, parts, owner = _data.string_columns(frame), [], []
    for i, name in enumerate(frame.columns):
        values = frame[name].to_numpy()
        if name in strings:
            values = values.astype(str)
            kinds = np.unique(values)
            if len(kinds) > MAX_VALUES:
                continue
            parts.append((values[:, None] == kinds).astype(float))
        else:
            parts.append(values.astype(float)[:, None])
        owner += [i] * parts[-1].shape[1]
    X = np.hstack(parts)
    varies = np.nanstd(X, axis=0) > 0.0
    return X[:, varies], np.asarray(owner)[varies]


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the tables."""
    options = Benchmark(
        "missing",
        "Missing values",
        {"tables": _measure},
        data="folder of CSV files",
        required=True,
    )
    options.add_argument("--tables", nargs="+", help="names of files; default: all")
    options.add_argument("--rows", type=int, default=600, help="of a table")
    options.add_argument("--folds", type=int, default=3)
    options.add_argument("--share", type=float, default=0.3, help="of missing entries")
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    share = f"{100 * args.share:.0f} %"
    report.say(PROTOCOL.format(rows=args.rows, share=share, folds=args.folds))
    names = args.tables or _data.tables(args.data)
    found = np.empty((len(names), len(imputers()), 2))
    for i, name in enumerate(names):
        frame, y = _data.table(args.data, name, args.rows)
        X, owner = numbers_of(frame)
        rng = np.random.default_rng(0)
        gaps = rng.random((len(X), owner.max() + 1)) < args.share
        X = np.where(gaps[:, owner], np.nan, X)
        for j, (label, steps) in enumerate(imputers().items()):
            model = make_pipeline(StandardScaler(), *steps, MICLClassifier())
            found[i, j] = _accuracy(model, X, y, args.folds)
            progress(f"{name}: {label}: {found[i, j]}")
    accuracies, seconds = found[..., 0], found[..., 1].sum(axis=0)
    gains = accuracies[:, 0] - accuracies[:, 1:].max(axis=1)
    rows = [
        [name, *(f"{a:.3f}" for a in row), f"{gain:+.3f}"]
        for name, row, gain in zip(names, accuracies, gains, strict=True)
    ]
    means = [f"{a:.4f}" for a in accuracies.mean(axis=0)]
    rows.append(["mean", *means, f"{gains.mean():+.4f}"])
    rows.append(["CPU seconds", *(f"{s:.1f}" for s in seconds), "–"])
    report.table(["table", *imputers(), "difference"], rows)
    wins = [int((accuracies[:, 0] >= other).sum()) for other in accuracies[:, 1:].T]
    report.say(
        f"*none* is at least as accurate as {', '.join(list(imputers())[1:])} on "
        f"{', '.join(map(str, wins))} of {len(names)} tables, and as the best of them "
        f"on {int((gains >= 0).sum())}; it is worse by more than 0.01 on "
        f"{int((gains < -0.01).sum())}."
    )


def _accuracy(model: Any, X: Any, y: Any, n_folds: int) -> tuple[float, float]:
    """Return the mean accuracy over the folds, and seconds of the processor."""
    folds, found = StratifiedKFold(n_folds, shuffle=True, random_state=0), []
    start = time.process_time()
    for train, test in folds.split(X, y):
        fitted = clone(model).fit(X[train], y[train])
        found.append(np.mean(fitted.predict(X[test]) == y[test]))
    return float(np.mean(found)), time.process_time() - start


if __name__ == "__main__":
    main()
