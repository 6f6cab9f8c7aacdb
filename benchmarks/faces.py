"""CompressionClustering on images: faces in different light, and rotating objects.

Run ``python -m benchmarks.faces --data FOLDER``; it contains extended_yale_b.npz
and coil20.npz. All images of a face under distant light lie near a linear subspace of
about nine dimensions; the views of an object lie on a curve.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import ClusterMixin
from sklearn.cluster import AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.mixture import GaussianMixture

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from skredu import CompressionClustering
from skredu.metrics import clustering_accuracy

# First and last subject, the usual parts in subspace clustering.
SUBJECTS = ((0, 9), (10, 19), (20, 29), (30, 37))
EPSILON = 0.2
NEIGHBORS = 5
KINDS = ("projected", "whitened")
PROTOCOL = (
    "Every image is scaled to unit norm, and represented by its coordinates"
    " along the first *d* = 4 k right singular vectors of the uncentred "
    "images, for k groups. *Projected*: these coordinates. *Whitened*: each"
    " coordinate is divided by its singular value, and every sample is "
    "scaled to unit norm again, so that what all images have in common (the"
    " light) weighs no more than what distinguishes them. All methods get "
    "the same samples. skredu has one setting for all data: "
    f"epsilon={EPSILON:g} (samples have unit norm), assume_centered=True, "
    f"connectivity={NEIGHBORS}; it was chosen on subjects 0-9 and COIL-20, "
    "and the other subjects were not used. *No k* means that the number of "
    "groups is not given. The other methods are from scikit-learn, with the"
    " number of groups given, 10 initialisations of k-means, diagonal "
    "covariances in the mixture, and 10 nearest neighbours in spectral "
    "clustering. Times are those of a single fit."
)
CONTEXT = (
    "Published accuracies of shallow subspace clustering on raw pixels of "
    "unit norm are LSR 0.963, EnSC 0.882, SSC-OMP 0.808. The protocol "
    "differs: all 38 subjects of Extended Yale B at once, 2432 images."
)


def models(k: int) -> dict[str, ClusterMixin]:
    """Return two settings of skredu, and methods of scikit-learn, for k groups."""
    ours = partial(
        CompressionClustering, EPSILON, assume_centered=True, connectivity=NEIGHBORS
    )
    return {
        "skredu": ours(n_clusters=k),
        "skredu, no k": ours(),
        "k-means": KMeans(k, n_init=10, random_state=0),
        "Ward": AgglomerativeClustering(k),
        "Gaussian mixture": GaussianMixture(k, covariance_type="diag", random_state=0),
        "spectral": SpectralClustering(k, affinity="nearest_neighbors", random_state=0),
    }


def rows_of(X: Any, d: int, *, whitened: bool) -> Any:
    """Return coordinates along the leading singular directions, whitened or not."""
    U, s, _ = np.linalg.svd(unit(X), full_matrices=False)
    return unit(U[:, :d]) if whitened else U[:, :d] * s[:d]


def unit(X: Any) -> Any:
    """Scale rows to norm one."""
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def sets(args: argparse.Namespace) -> Iterator[tuple[str, Any, Any]]:
    """Yield names, rows of pixels and labels; each part of the faces is one set."""
    X, y = _data.yale_faces(args.data)
    for first, last in SUBJECTS:
        kept = (y >= first) & (y <= last)
        if kept.any():
            yield f"Yale B, subjects {first}-{last}", X[kept], y[kept]
    yield "COIL-20", *_data.coil20(args.data)


def scored(model: ClusterMixin, X: Any, y: Any) -> list[str]:
    """Return groups, accuracy, mutual information, Rand index and seconds as text."""
    start = time.perf_counter()
    labels = model.fit_predict(X)
    seconds = time.perf_counter() - start
    scores: list[Callable[..., float]] = [
        clustering_accuracy,
        normalized_mutual_info_score,
        adjusted_rand_score,
    ]
    cells = [f"{score(y, labels):.3f}" for score in scores]
    return [str(len(np.unique(labels))), *cells, f"{seconds:.2f}"]


def main(arguments: list[str] | None = None) -> None:
    """Cluster every set with all methods, and print a table for each."""
    options = Benchmark(
        "faces",
        "Faces and objects",
        {"all": _measure},
        data="folder with the two npz files",
        required=True,
    )
    options.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    report.say(PROTOCOL)
    for name, X, y in sets(args):
        k = len(np.unique(y))
        report.say(f"### {name}\n\n{len(X)} images of {X.shape[1]} pixels, k = {k}.")
        rows = []
        for kind in args.kinds:
            Z = rows_of(X, 4 * k, whitened=kind == "whitened")
            for label, model in models(k).items():
                rows.append([label, kind, *scored(model, Z, y)])
                progress(f"{name}, {kind}: {label}: {rows[-1][3]}")
        header = ["method", "rows", "groups", "accuracy", "NMI", "ARI", "seconds"]
        report.table(header, rows)
    report.say(CONTEXT)


if __name__ == "__main__":
    main()
