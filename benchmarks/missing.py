"""Missing values: models that code what is observed, and imputation in front of them.

Run ``python -m benchmarks.missing --data FOLDER``; it contains CSV files with a header
and the target in the last column.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_breast_cancer, load_iris, load_wine, make_blobs
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from skredu import CompressionClustering, CompressionOutlierDetector, MICLClassifier
from skredu.datasets import make_subspaces

SHARES = (0.1, 0.3)  # of entries, for outliers and groups
MAX_VALUES = 30  # of a column of strings
PROTOCOL = (
    "Of every table, at most {rows} random samples are kept (seed 0), and classes with "
    "at least five of them. Strings are one-hot encoded; columns with more than 30 "
    "values are left out. Then {share} of the entries of the table are removed at "
    "random (seed 0), in training and test samples. The table contains mean accuracies "
    "over {folds} stratified folds (seed 0). All classifiers are MICLClassifier() "
    "after a StandardScaler that ignores gaps; *none* has no imputer. IterativeImputer "
    "makes at most five rounds. The last column is the difference between *none* and "
    "the best of the others, which was chosen by the same test samples, and its "
    "standard error over these samples."
)
OUTLIERS = (
    "In every table, the largest class is normal (at most 300 samples), and 5 % of the "
    "samples are from others (seed 0). Samples are standardised; then entries are "
    "removed at random. The table contains mean areas under the ROC curve of the "
    "training scores of CompressionOutlierDetector, and on how many tables each is "
    "best."
)
GROUPS = (
    "Generated groups and tables of scikit-learn, standardised, of which entries are "
    "removed at random (seed 0). The table contains adjusted Rand indices of "
    "CompressionClustering() with the classes."
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
        {"tables": _measure, "outliers": _outliers, "groups": _groups},
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
    right, seconds = [], np.zeros(len(imputers()))
    for name in names:
        frame, y = _data.table(args.data, name, args.rows)
        X, owner = numbers_of(frame)
        rng = np.random.default_rng(0)
        gaps = rng.random((len(X), owner.max() + 1)) < args.share
        X, found = np.where(gaps[:, owner], np.nan, X), []
        for j, (label, steps) in enumerate(imputers().items()):
            model = make_pipeline(StandardScaler(), *steps, MICLClassifier())
            start = time.process_time()
            found.append(_right(model, X, y, args.folds))
            seconds[j] += time.process_time() - start
            progress(f"{name}: {label}: {found[-1].mean():.4f}")
        right.append(np.array(found))
    means = np.array([part.mean(axis=1) for part in right])
    best = means[:, 1:].argmax(axis=1) + 1
    apart = [part[0] - part[j] for part, j in zip(right, best, strict=True)]
    gains = np.array([part.mean() for part in apart])
    errors = np.array([part.std(ddof=1) / len(part) ** 0.5 for part in apart])
    rows = [
        [name, *(f"{a:.3f}" for a in row), f"{gain:+.3f} ± {error:.3f}"]
        for name, row, gain, error in zip(names, means, gains, errors, strict=True)
    ]
    average = [f"{a:.4f}" for a in means.mean(axis=0)]
    rows.append(["mean", *average, f"{gains.mean():+.4f}"])
    rows.append(["CPU seconds", *(f"{s:.1f}" for s in seconds), "–"])
    report.table(["table", *imputers(), "difference"], rows)
    wins = [int((means[:, 0] >= other).sum()) for other in means[:, 1:].T]
    report.say(
        f"*none* is at least as accurate as {', '.join(list(imputers())[1:])} on "
        f"{', '.join(map(str, wins))} of {len(names)} tables, and as the best of them "
        f"on {int((gains >= 0).sum())}; it is worse than the best by more than a "
        f"standard error on {int((gains < -errors).sum())}."
    )


def _right(model: Any, X: Any, y: Any, n_folds: int) -> Any:
    """Return which samples are predicted correctly by models of the other folds."""
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    found = np.ones(len(y))
    for train, test in folds.split(X, y):
        found[test] = clone(model).fit(X[train], y[train]).predict(X[test]) == y[test]
    return found


def with_gaps(X: Any, share: float) -> Any:
    """Return standardised samples without a share of their entries."""
    X = StandardScaler().fit_transform(X)
    return np.where(np.random.default_rng(0).random(X.shape) < share, np.nan, X)


def _variants() -> dict[str, list[BaseEstimator]]:
    return {name: imputers()[name] for name in ("none", "mean", "kNN")}


def _outliers(report: Report, args: argparse.Namespace) -> None:
    report.say(OUTLIERS)
    names, rows = args.tables or _data.tables(args.data), []
    for share in SHARES:
        for kind, m in (("15 neighbours", 15), ("one Gaussian", None)):
            found = []
            for name in names:
                X, outlier = _one_normal_class(args.data, name)
                X = with_gaps(X, share)
                model = CompressionOutlierDetector(n_neighbors=m)
                scores = (
                    make_pipeline(*steps, clone(model)).fit(X)[-1].training_scores_
                    for steps in _variants().values()
                )
                found.append([roc_auc_score(outlier, -score) for score in scores])
            areas = np.round(found, 6)
            wins = (areas == areas.max(axis=1, keepdims=True)).sum(axis=0)
            cells = [f"{a:.4f}, {w}" for a, w in zip(areas.mean(0), wins, strict=True)]
            rows.append([f"{100 * share:.0f} %", kind, *cells])
            progress(str(rows[-1]))
    report.table(["missing", "description", *_variants()], rows)


def _one_normal_class(data: Any, name: str) -> tuple[Any, Any]:
    """Return samples of the largest class, and a few others, which are outliers."""
    frame, y = _data.table(data, name, None)
    X, rng = numbers_of(frame)[0], np.random.default_rng(0)
    labels, counts = np.unique(y, return_counts=True)
    normal = y == labels[counts.argmax()]
    inside = rng.permutation(np.flatnonzero(normal))[:300]
    outside = rng.permutation(np.flatnonzero(~normal))[: max(3, len(inside) // 19)]
    index = np.concatenate([inside, outside])
    X = X[index]
    return X[:, X.std(axis=0) > 0.0], ~normal[index]


def _groups(report: Report, args: argparse.Namespace) -> None:
    report.say(GROUPS)
    rows, found = [], []
    for name, (X, y) in _groups_of_samples().items():
        for share in SHARES:
            A, scores = with_gaps(X, share), []
            for steps in _variants().values():
                labels = make_pipeline(*steps, CompressionClustering()).fit_predict(A)
                scores.append(adjusted_rand_score(y, labels))
            found.append(scores)
            rows.append([name, f"{100 * share:.0f} %", *(f"{s:.3f}" for s in scores)])
            progress(str(rows[-1]))
    rows.append(["mean", "–", *(f"{s:.3f}" for s in np.mean(found, axis=0))])
    report.table(["samples", "missing", *_variants()], rows)


def _groups_of_samples() -> dict[str, tuple[Any, Any]]:
    """Return samples and their classes by name."""
    tables = {"iris": load_iris, "wine": load_wine, "breast cancer": load_breast_cancer}
    found = {name: load(return_X_y=True) for name, load in tables.items()}
    for seed in range(4):
        blobs = make_blobs(300, 4, centers=4, cluster_std=1.5, random_state=seed)
        options = {"dimensions": (2, 2, 3), "n_features": 8, "noise": 0.05}
        planes = make_subspaces(100, random_state=seed, **options)
        found |= {f"four balls, {seed}": blobs, f"three subspaces, {seed}": planes}
    return found


if __name__ == "__main__":
    main()
