"""Outlier detection: CompressionOutlierDetector compared with nine others.

Run ``python -m benchmarks.outliers --data FOLDER``; the folder contains tabular/ and
usps.npz. Without it, only the tables of scikit-learn are used.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata
from sklearn.covariance import EllipticEnvelope, LedoitWolf
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from skredu import CompressionOutlierDetector

SHARES = (0.02, 0.05, 0.1)
OURS = "skredu, 15 neighbours"
# Tables, and the number of their largest classes that are normal in turn.
TABLES = {
    "banknote": 1,
    "balance_scale": 1,
    "ecoli": 1,
    "glass": 1,
    "heart_cleveland": 1,
    "heart_statlog": 1,
    "ionosphere": 1,
    "letter": 4,
    "mammography": 1,
    "optdigits": 3,
    "page_blocks": 1,
    "pima_diabetes": 1,
    "satellite": 3,
    "spambase": 1,
    "vowel": 2,
    "waveform": 2,
    "wine_quality_red": 1,
}
BUNDLED = {
    "breast cancer": (load_breast_cancer, [1]),
    "wine": (load_wine, [1]),
    "digits": (load_digits, [1, 3, 8]),
}


class Task(NamedTuple):
    """Samples of one normal class and a share of others."""

    name: str
    X: Any
    outlier: Any


def _principal(X: Any) -> Any:
    """Return squared residuals outside of the directions of 90 % of the variance."""
    pca = PCA(0.9).fit(X)
    return np.sum((X - pca.inverse_transform(pca.transform(X))) ** 2, axis=1)


def _machine(X: Any) -> Any:
    """Return scores of a one-class SVM that does not draw from the global generator."""
    model = OneClassSVM()
    model.random_state = 0
    return -model.fit(X).score_samples(X)


# Scores of training samples; higher for outliers.
DETECTORS = {
    OURS: lambda X: -CompressionOutlierDetector().fit(X).training_scores_,
    "k nearest neighbours, k = 5": lambda X: (
        NearestNeighbors(n_neighbors=5).fit(X).kneighbors()[0].mean(axis=1)
    ),
    "kernel density, Scott": lambda X: (
        -KernelDensity(bandwidth="scott").fit(X).score_samples(X)
    ),
    "isolation forest": lambda X: (
        -IsolationForest(random_state=0).fit(X).score_samples(X)
    ),
    "one-class SVM": _machine,
    "Gaussian, Ledoit-Wolf": lambda X: LedoitWolf().fit(X).mahalanobis(X),
    "elliptic envelope": lambda X: (
        -EllipticEnvelope(random_state=0).fit(X).score_samples(X)
    ),
    "local outlier factor": lambda X: (
        -LocalOutlierFactor().fit(X).negative_outlier_factor_
    ),
    "Gaussian mixture, 3": lambda X: (
        -GaussianMixture(3, reg_covar=1e-2, random_state=0).fit(X).score_samples(X)
    ),
    "PCA residual": _principal,
}
FURTHER = {
    "skredu, one Gaussian": lambda X: (
        -CompressionOutlierDetector(n_neighbors=None).fit(X).training_scores_
    ),
}


def sources(data: Path | None) -> Iterator[tuple[str, Any, Any]]:
    """Yield names, samples and whether each is normal."""
    for name, n_classes in TABLES.items() if data else ():
        frame, y = _data.table(data / "tabular", name, None)
        X = frame.select_dtypes("number").to_numpy(float)
        known = np.isfinite(X).all(axis=1)
        labels, counts = np.unique(y[known], return_counts=True)
        for label in labels[np.argsort(-counts, kind="stable")[:n_classes]]:
            yield f"{name}: {label}", X[known], y[known] == label
    for name, (load, classes) in BUNDLED.items():
        X, y = load(return_X_y=True)
        for label in classes:
            yield f"{name}: {label}", X, y == label
    if data:
        with np.load(data / "usps.npz") as file:
            X, y = file["X_train"].reshape(len(file["y_train"]), -1), file["y_train"]
        for label in (2, 5):
            yield f"usps: {label}", X / 1000.0, y == label


def tasks(data: Path | None, most: int) -> Iterator[Task]:
    """Yield tasks with standardised features and at most so many normal samples."""
    for name, X, normal in sources(data):
        for share in SHARES:
            rng = np.random.default_rng([int(share * 100), len(X)])
            inside = rng.permutation(np.flatnonzero(normal))[:most]
            n_out = max(1, round(share / (1.0 - share) * len(inside)))
            outside = rng.permutation(np.flatnonzero(~normal))[:n_out]
            index = rng.permutation(np.concatenate([inside, outside]))
            Z = X[index] - X[index].mean(axis=0)
            scale = Z.std(axis=0)
            yield Task(name, Z / np.where(scale > 0, scale, 1.0), ~normal[index])


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    options = Benchmark(
        "outliers", "Outliers", {"tables": _compare}, data="folder of tabular/ and usps"
    )
    options.add_argument("--normal", type=int, default=600, help="largest normal class")
    options.run(arguments)


def _compare(report: Report, args: argparse.Namespace) -> None:
    names, results, seconds, flagged = measure(args.data, args.normal)
    report.say(
        f"One class is normal, with at most {args.normal} samples, and 2, 5 and 10 % "
        "of all samples are from other classes. Detectors are fitted to all "
        "samples, with standardised features, and score them. Areas under the ROC "
        "curve and average precisions are means over the three shares. *Rank* is "
        "the mean rank among ten detectors: skredu with its defaults and all but "
        "the last row. The number of neighbours and the distortion were chosen on "
        "every other task, beginning with the first; *others* are the tasks that "
        "were not used. All other settings are the defaults of scikit-learn, unless "
        "named."
    )
    lines = []
    for name in results:
        cells = [name]
        for part in (0, 1):
            values = np.mean(results[name], axis=1)[:, part]
            rank = ranks(results, name, part)
            cells += [f"{values.mean():.3f}", f"{rank.mean():.2f}"]
            cells += [f"{rank[1::2].mean():.2f}"] if len(rank) > 1 else ["–"]
        lines.append([*cells, f"{seconds[name]:.1f}"])
    header = ["detector", "ROC AUC", "rank", "rank, others"]
    header += ["precision", "rank", "rank, others", "CPU, s"]
    report.table(header, lines)
    wrong, right = np.mean(flagged, axis=0)
    report.say(
        'With contamination="auto", skredu takes '
        f"{wrong:.1%} of the normal samples for outliers, and finds {right:.0%} of the "
        "others. ROC AUC by task:"
    )
    areas = {name: np.mean(results[name], axis=1)[:, 0] for name in results}
    report.table(
        ["normal", *results],
        [
            [task, *(f"{a[i]:.3f}" for a in areas.values())]
            for i, task in enumerate(names)
        ],
    )


def ranks(results: dict[str, Any], name: str, part: int) -> Any:
    """Return the rank of a detector among the others of DETECTORS, by task."""
    others = [other for other in DETECTORS if other not in (name, OURS)]
    rivals = [name, *others] if name in (OURS, *FURTHER) else [name, OURS, *others]
    values = np.stack([np.mean(results[n], axis=1)[:, part] for n in rivals])
    return rankdata(-values.round(6), axis=0)[0]


def measure(data: Path | None, most: int) -> tuple[list[str], Any, Any, Any]:
    """Return names of tasks, results (t, s, 2) and seconds by detector, and shares.

    The shares are those of normal samples and of others that are taken for outliers.
    """
    detectors = DETECTORS | FURTHER
    names: list[str] = []
    results: dict[str, list[list[Any]]] = {name: [] for name in detectors}
    seconds, flagged = dict.fromkeys(detectors, 0.0), []
    for task in tasks(data, most):
        if not names or names[-1] != task.name:
            names.append(task.name)
            for found in results.values():
                found.append([])
        for name, score in detectors.items():
            start = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scores = score(task.X)
            seconds[name] += time.process_time() - start
            area = roc_auc_score(task.outlier, scores)
            precision = average_precision_score(task.outlier, scores)
            results[name][-1].append((area, precision))
        out = CompressionOutlierDetector().fit_predict(task.X) < 0
        flagged.append((out[~task.outlier].mean(), out[task.outlier].mean()))
        progress(f"{task.name}: {results[OURS][-1][-1][0]:.3f}")
    return names, {n: np.asarray(r) for n, r in results.items()}, seconds, flagged


if __name__ == "__main__":
    main()
