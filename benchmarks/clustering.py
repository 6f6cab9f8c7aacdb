"""CompressionClustering: default groups, time and memory, bits, and many rows.

Run ``python -m benchmarks.clustering``; rows are generated or from scikit-learn.
``--figure FILE`` draws the growth with the number of rows.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
from scipy.stats import rankdata
from sklearn.cluster import AgglomerativeClustering, MiniBatchKMeans
from sklearn.metrics import adjusted_rand_score

from benchmarks._groups import METHODS, labels_of, problems
from benchmarks._harness import (
    MEMORY_NOTE,
    MIB,
    Benchmark,
    Report,
    in_process,
    median_times,
    peak_memory,
    peak_size,
    progress,
    seconds_of,
)
from skredu import CompressionClustering
from skredu.datasets import make_subspaces
from skredu.rates import partition_coding_length

NOISE = 0.02
# Dimensions of the five subspaces in each space.
DIMENSIONS = {3: (1, 1, 1, 2, 2), 10: (1, 2, 3, 4, 5), 20: (2, 4, 6, 8, 10)}
EPSILONS = (0.03, 0.1, 0.3)


def main(arguments: list[str] | None = None) -> None:
    """Run the requested parts."""
    options = Benchmark("clustering", "CompressionClustering", PARTS, runs=5)
    options.add_argument("--sizes", type=int, nargs="+", help="rows against Ward")
    options.add_argument(
        "--rows", type=int, nargs="+", help="rows of the table of bits"
    )
    options.add_argument("--many", type=int, default=100_000, help="many rows")
    options.add_argument("--growth", type=int, nargs="+", help="rows of 'growth'")
    options.add_argument("--compared", type=int, default=3000, help="rows of 'near'")
    options.add_argument(
        "--largest", type=int, default=20_000, help="most rows of 'defaults'"
    )
    options.add_argument("--figure", type=Path, help="PNG of the growth with rows")
    options.set_defaults(sizes=[500, 1000, 2000, 5000, 10_000])
    options.set_defaults(rows=[500, 2000, 5000], growth=[10**4, 10**5, 10**6])
    options.run(arguments)


def subspaces(n: int, d: int = 10, offset: float = 1.0) -> tuple[Any, Any]:
    """Generate rows on five affine subspaces, and their labels."""
    counts = [len(part) for part in np.array_split(np.arange(n), 5)]
    return make_subspaces(
        counts,
        n_features=d,
        dimensions=DIMENSIONS[d],
        noise=NOISE,
        offset=offset,
        random_state=0,
    )


def gaussians(n: int, d: int = 10) -> tuple[Any, Any]:
    """Generate rows from five Gaussians whose covariances are far from spherical."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 5
    X = np.empty((n, d))
    for j in range(5):
        root = rng.normal(size=(d, d)) / d**0.5 * rng.uniform(0.05, 1.0, size=d)
        rows = np.count_nonzero(y == j)
        X[y == j] = rng.normal(size=(rows, d)) @ root + 2.0 * rng.normal(size=d)
    return X, y


KINDS = {"subspaces": subspaces, "Gaussians": gaussians}


# -- greedy merging against Ward ------------------------------------------------------


def _greedy(X: Any) -> CompressionClustering:
    return CompressionClustering(0.1, refine=False).fit(X)


def _ward(X: Any) -> AgglomerativeClustering:
    return AgglomerativeClustering(5, linkage="ward").fit(X)


MERGING = {"greedy merging": _greedy, "Ward": _ward}


def _prepare(kind: str, n: int, name: str) -> Callable[[], object]:
    return partial(MERGING[name], KINDS[kind](n)[0])


def against_ward(report: Report, args: argparse.Namespace) -> None:
    """Measure time and memory of greedy merging for several numbers of rows."""
    report.say("### Greedy merging against Ward")
    report.say(
        "`CompressionClustering(0.1, refine=False)` and "
        '`AgglomerativeClustering(5, linkage="ward")`, both exact, are fitted '
        "to five subspaces or Gaussians in ten dimensions. Seconds are medians "
        f"of {args.runs} runs that alternate between both. The exponent is that "
        "of the growth since the row above. " + MEMORY_NOTE
    )
    curves, lines = {}, []
    for kind in KINDS:
        times = {n: _times(kind, n, args.runs) for n in args.sizes}
        curves[kind] = times
        lines += [_growth_line(kind, n, times) for n in args.sizes]
    report.table(
        [
            "rows",
            "n",
            "greedy s",
            "Ward s",
            "ratio",
            "exponent",
            "Ward's",
            "arrays MiB",
            "Ward's arrays",
            "process MiB",
            "Ward's process",
        ],
        lines,
    )
    if args.figure is not None:
        _draw(curves, args.figure)


def _times(kind: str, n: int, runs: int) -> dict[str, float]:
    X, _ = KINDS[kind](n)
    tasks = {name: partial(work, X) for name, work in MERGING.items()}
    return median_times(tasks, runs)


def _growth_line(kind: str, n: int, times: dict[int, dict[str, float]]) -> list[str]:
    own, ward = times[n].values()
    before = max((size for size in times if size < n), default=None)
    exponents = ["-", "-"]
    if before is not None:
        steps = zip(times[n].values(), times[before].values(), strict=True)
        exponents = [f"{np.log(b / a) / np.log(n / before):.2f}" for b, a in steps]
    peaks = [peak_memory(_prepare, kind, n, name) for name in MERGING]
    arrays = [f"{peak.arrays / MIB:.1f}" for peak in peaks]
    ratio = f"{own / ward:.2f}"
    process = [peak.cells()[1] for peak in peaks]
    return [kind, n, f"{own:.3f}", f"{ward:.3f}", ratio, *exponents, *arrays, *process]


def _draw(curves: dict[str, dict[int, dict[str, float]]], path: Path) -> None:
    """Draw the seconds as a function of the rows, with logarithmic axes."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(8, 3.4), layout="constrained")
    for axis, (kind, times) in zip(axes, curves.items(), strict=True):
        n = np.array(sorted(times))
        for name, style in zip(MERGING, ("o-", "s--"), strict=True):
            axis.loglog(n, [times[size][name] for size in n], style, label=name)
        first = times[int(n[0])]["greedy merging"]
        axis.loglog(n, first * (n / n[0]) ** 2, ":", color="0.5", label="slope 2")
        axis.set(title=f"{kind}, d = 10", xlabel="rows", ylabel="seconds")
        axis.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


# -- bits -----------------------------------------------------------------------------


def bits(report: Report, args: argparse.Namespace) -> None:
    """Compare the bits per row of greedy merging, of the search, and of the truth."""
    report.say(
        "### Bits per sample: greedy merging, the search after it, and the true"
        " partition"
    )
    report.say(
        "*Above* is the percentage by which the result takes more bits than the"
        " true partition. It may be negative, because the true partition need "
        "not be the shortest at a given distortion. *Cost* is the time of the "
        "whole fit divided by that of greedy merging alone, from one run each."
    )
    lines = []
    for n, d in product(args.rows, DIMENSIONS):
        rows = {"linear": subspaces(n, d, 0.0), "affine": subspaces(n, d)}
        rows["Gaussians"] = gaussians(n, d)
        for (kind, (X, y)), epsilon in product(rows.items(), EPSILONS):
            lines.append(_bits_line(kind, X, y, epsilon))
            progress(" ".join(map(str, lines[-1])))
    report.table(
        [
            "rows",
            "n",
            "d",
            "epsilon",
            "truth",
            "greedy",
            "groups",
            "found",
            "groups",
            "above %",
            "ARI",
            "cost",
        ],
        lines,
    )


def _bits_line(kind: str, X: Any, y: Any, epsilon: float) -> list[str]:
    n, d = X.shape
    centred = kind == "linear"
    options = {"assume_centered": centred, "min_cluster_size": 1}
    model = CompressionClustering(epsilon, **options)
    greedy = CompressionClustering(epsilon, refine=False, **options)
    seconds = [seconds_of(partial(m.fit, X)) for m in (model, greedy)]
    truth = partition_coding_length(X, y, epsilon=epsilon, assume_centered=centred)
    return [
        kind,
        n,
        d,
        epsilon,
        f"{truth / n:.3f}",
        f"{greedy.coding_length_ / n:.3f}",
        greedy.n_clusters_,
        f"{model.coding_length_ / n:.3f}",
        model.n_clusters_,
        f"{100 * (model.coding_length_ / truth - 1):+.2f}",
        f"{adjusted_rand_score(y, model.labels_):.3f}",
        f"{seconds[0] / seconds[1]:.2f}",
    ]


# -- many rows ------------------------------------------------------------------------


def many(report: Report, args: argparse.Namespace) -> None:
    """Fit many rows with default settings, and compare with k-means before Ward."""
    report.say(f"### {args.many} samples, ten dimensions, default settings")
    report.say(
        "More samples than the limit of exact merging are first gathered in "
        "cells. The reference is MiniBatchKMeans(100) followed by Ward on its "
        "centres. The bits of the true partition and of the result are computed"
        " at the chosen epsilon."
    )
    lines = []
    for kind, generate in KINDS.items():
        X, y = generate(args.many)
        model = CompressionClustering()
        seconds = seconds_of(partial(model.fit, X))
        yardstick = seconds_of(partial(_kmeans_then_ward, X))
        truth = partition_coding_length(X, y, epsilon=model.epsilon_)
        lines.append(
            [
                kind,
                f"{seconds:.1f}",
                f"{yardstick:.1f}",
                f"{model.epsilon_:.3f}",
                model.n_clusters_,
                f"{adjusted_rand_score(y, model.labels_):.3f}",
                f"{100 * (model.coding_length_ / truth - 1):+.2f}",
            ]
        )
        progress(" ".join(lines[-1][:3]))
    report.table(
        ["rows", "s", "yardstick s", "epsilon", "groups", "ARI", "above truth %"], lines
    )


def _kmeans_then_ward(X: Any) -> Any:
    centres = MiniBatchKMeans(100, random_state=0, n_init=3).fit(X).cluster_centers_
    return AgglomerativeClustering(5, linkage="ward").fit(centres)


def growth(report: Report, args: argparse.Namespace) -> None:
    """Measure default fits of up to a million rows in processes of their own."""
    report.say(
        "### Growth with the number of samples, ten dimensions, default settings"
    )
    report.say(
        "A process loads the samples from a file, fits and predicts. Seconds are those "
        "of its processors, and MiB is its greatest size, samples and packages "
        "included. *Bits* are those per sample. *Above* compares the labels with those "
        "of a fit of fewer samples (as many as in the line above) by the bits of these "
        "samples at the distortion of that fit. Asked for a million samples: at most "
        "60 s, 1024 MiB and 1 % above."
    )
    lines = []
    for kind, generate in KINDS.items():
        for before, n in pairwise([0, *args.growth]):
            with TemporaryDirectory() as folder:
                X, y = generate(n)
                path = Path(folder) / "X.npy"
                np.save(path, X)
                labels, bits, *cost = in_process(_grown, path)
            above = f"{_above(X, labels, before):+.2f}" if before else "-"
            score = f"{adjusted_rand_score(y, labels):.3f}"
            groups = int(labels.max()) + 1
            lines.append([kind, n, *cost, groups, score, f"{bits:.3f}", above])
            progress(" ".join(map(str, lines[-1])))
    header = ["rows", "n", "fit s", "predict s", "MiB", "groups", "ARI", "bits"]
    report.table([*header, "above %"], lines)


def _grown(path: Path) -> list[Any]:
    """Return labels, bits per sample, seconds and MiB of a fit."""
    X = np.load(path)
    start = time.process_time()
    model = CompressionClustering().fit(X)
    fitted = time.process_time()
    model.predict(X)
    predicted = time.process_time()
    size = peak_size()
    mib = "unknown" if size is None else f"{size / MIB:.0f}"
    bits = model.coding_length_ / len(X)
    seconds = [f"{fitted - start:.1f}", f"{predicted - fitted:.2f}"]
    return [model.labels_, bits, *seconds, mib]


def _above(X: Any, labels: Any, n: int) -> float:
    """Return by how many percent labels take more bits than a fit of ``n`` samples."""
    chosen = np.random.default_rng(0).choice(len(X), n, replace=False)
    few = CompressionClustering().fit(X[chosen])
    options = {"epsilon": few.epsilon_}
    bits = partition_coding_length(X[chosen], labels[chosen], **options)
    least = partition_coding_length(X[chosen], few.labels_, **options)
    return 100.0 * (bits / least - 1.0)


def near(report: Report, args: argparse.Namespace) -> None:
    """Compare the bits with cells to exact merging if both are possible."""
    report.say(f"### Cells compared with exact merging, {args.compared} samples")
    lines = []
    for (kind, generate), d, epsilon in product(KINDS.items(), DIMENSIONS, EPSILONS):
        X, _ = generate(args.compared, d)
        exact = CompressionClustering(epsilon, min_cluster_size=1).fit(X)
        with _exact_up_to(args.compared - 1):
            cells = CompressionClustering(epsilon, min_cluster_size=1).fit(X)
        above = 100 * (cells.coding_length_ / exact.coding_length_ - 1)
        found = [f"{m.coding_length_ / len(X):.3f}" for m in (exact, cells)]
        groups = [exact.n_clusters_, cells.n_clusters_]
        lines.append([kind, d, epsilon, *found, *groups, f"{above:+.2f}"])
        progress(" ".join(map(str, lines[-1])))
    header = ["rows", "d", "epsilon", "exact", "cells", "groups", "groups", "above %"]
    report.table(header, lines)


@contextlib.contextmanager
def _exact_up_to(n: int) -> Iterator[None]:
    """Gather more rows than ``n`` in cells; there is no parameter for this."""
    modules = [m for m in list(sys.modules.values()) if "MAX_EXACT" in vars(m)]
    if not modules:
        raise AttributeError("no module has the constant MAX_EXACT that 'near' sets")
    with contextlib.ExitStack() as stack:
        for module in modules:
            stack.enter_context(mock.patch.object(module, "MAX_EXACT", n))
        yield


# -- defaults -------------------------------------------------------------------------


def defaults(report: Report, args: argparse.Namespace) -> None:
    """Compare the groups of the default settings with those of other methods."""
    report.say("### How many groups, and which")
    report.say(
        "All parameters have their default values. ARI is computed for the "
        "samples that are not outliers by construction; *outliers* is the "
        "number of samples that a method labels -1. Gaussian mixtures try 1 to "
        "12 groups and all four covariance types, and k-means with silhouettes "
        "tries 2 to 12 groups. Each fit is run once; a dash means that a method"
        " was omitted because it takes too long."
    )
    lines = []
    for name, problem in problems(args.largest).items():
        X, y = problem()
        k = len(np.unique(y[y >= 0]))
        size = f"{len(X)} × {X.shape[1]}"
        for method in METHODS:
            lines.append([name, size, k, method, *_found(method, X, y, k)])
            progress(" ".join(map(str, lines[-1])))
    header = ["rows", "size", "k", "method", "ARI", "groups", "outliers", "CPU s"]
    report.table(header, lines)
    report.say(
        "The following table contains the means over all of these data sets, for the "
        "methods that were never omitted, and mean ranks by ARI over the data sets on "
        "which no method was omitted. Methods with an open number of groups are ranked "
        "among themselves, and so are those with a given number."
    )
    header = ["method", "ARI", "right number of groups", "mean rank"]
    report.table(header, _means(lines))


def _found(method: str, X: Any, y: Any, k: int) -> list[Any]:
    """Return ARI, groups, outliers and processor seconds."""
    start = time.process_time()
    labels = labels_of(method, X, k)
    seconds = time.process_time() - start
    if labels is None:
        return ["-"] * 4
    inlier = y >= 0
    score = adjusted_rand_score(y[inlier], labels[inlier])
    outliers = np.count_nonzero(labels < 0)
    return [f"{score:.3f}", int(labels.max()) + 1, outliers, f"{seconds:.1f}"]


def _means(lines: list[list[Any]]) -> list[list[str]]:
    columns = {m: [line for line in lines if line[3] == m] for m in METHODS}
    ranks = {}
    for given in (True, False):
        names = [method for method in METHODS if ("k given" in method) == given]
        scores = [[line[4] for line in columns[name]] for name in names]
        complete = [row for row in zip(*scores, strict=True) if "-" not in row]
        mean = rankdata(-np.array(complete, float), axis=1).mean(axis=0)
        ranks.update(zip(names, mean, strict=True))
    means = []
    for method, own in columns.items():
        ari = "-"
        if all(line[4] != "-" for line in own):
            ari = f"{np.mean([float(line[4]) for line in own]):.3f}"
        right = sum(line[2] == line[5] for line in own)
        cells = f"{right} of {len(own)}", f"{ranks[method]:.2f}"
        means.append([method, ari, *cells])
    return means


PARTS = {
    "defaults": defaults,
    "ward": against_ward,
    "bits": bits,
    "many": many,
    "growth": growth,
    "near": near,
}


if __name__ == "__main__":
    main()
