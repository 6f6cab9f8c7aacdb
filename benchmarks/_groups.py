"""Generated rows with known groups, and clustering methods to compare."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_blobs,
    make_moons,
)
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import PowerTransformer, StandardScaler

from skredu import CompressionClustering
from skredu.datasets import make_subspaces

# Numbers of groups that are tried for mixtures and silhouettes.
NUMBERS = range(1, 13)
# Mixtures are left out if rows times squared features exceed this (they take minutes).
MAX_MIXTURE = 2 * 10**7

Problem = tuple[Any, Any]


def blobs(n: int, d: int, k: int, distance: float, seed: int = 0) -> Problem:
    """Generate round blobs of variance one with the given rms ``distance``."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d)) * distance / (2.0 * d) ** 0.5
    y = np.arange(n) % k
    return centres[y] + rng.normal(size=(n, d)), y


def embeddings(n: int, d: int, k: int, seed: int = 0) -> Problem:
    """Generate rows on the sphere around topics of different sizes."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(d, d)))[0]
    spectrum = (1.0 + np.arange(d)) ** -0.7
    centres = 1.5 * rng.normal(size=(k, d)) * spectrum
    y = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 4.0)))
    width = rng.uniform(0.6, 1.4, size=k)[y][:, None]
    noise = rng.normal(size=(n, d)) * (0.5 * spectrum + 0.05)
    X = (centres[y] + width * noise + 0.5 * np.eye(d)[0]) @ basis
    return X / np.linalg.norm(X, axis=1)[:, None], y


def customers(n: int, seed: int = 0) -> Problem:
    """Generate skewed columns of customers in five segments; 1 % of rows have an error.

    These rows are labelled -1.
    """
    rng = np.random.default_rng(seed)
    y = rng.choice(5, size=n, p=[0.3, 0.25, 0.2, 0.15, 0.1])
    X = np.column_stack(
        [
            np.exp(
                np.array([10.2, 10.8, 11.3, 9.7, 11.9])[y] + 0.25 * rng.normal(size=n)
            ),
            np.array([30.0, 45.0, 60.0, 22.0, 50.0])[y] + 5.0 * rng.normal(size=n),
            rng.poisson(np.array([3.0, 10.0, 6.0, 20.0, 2.0])[y]).astype(float),
            rng.gamma(4.0, np.array([20.0, 60.0, 150.0, 8.0, 400.0])[y] / 4.0),
            rng.exponential(np.array([60.0, 15.0, 30.0, 5.0, 120.0])[y]),
            np.array([2.0, 6.0, 12.0, 1.0, 9.0])[y] * np.exp(0.3 * rng.normal(size=n)),
        ]
    )
    for row in rng.choice(n, n // 100, replace=False):
        X[row, rng.integers(6)] *= rng.uniform(5.0, 20.0)
        y[row] = -1
    return X, y


def _standardised(problem: Callable[[], Problem]) -> Problem:
    X, y = problem()
    return StandardScaler().fit_transform(X), y


def _transformed(problem: Callable[[], Problem]) -> Problem:
    X, y = problem()
    return PowerTransformer().fit_transform(X), y


def _outliers(problem: Callable[[], Problem], share: float = 0.01) -> Problem:
    """Return the rows of a problem and a few outliers in a box of eight spreads."""
    X, y = problem()
    rng, n = np.random.default_rng(0), round(share * len(X))
    far = X.mean(axis=0) + 8.0 * X.std(axis=0) * rng.uniform(-1, 1, (n, X.shape[1]))
    return np.concatenate([X, far]), np.concatenate([y, np.full(n, -1)])


def _twice(problem: Callable[[], Problem]) -> Problem:
    X, y = problem()
    return np.repeat(X, 2, axis=0), np.repeat(y, 2)


def _table(load: Any) -> Problem:
    return load(return_X_y=True)


def _subspaces(n_outliers: int) -> Problem:
    return make_subspaces(
        80,
        n_features=8,
        dimensions=(3, 4, 5),
        n_outliers=n_outliers,
        random_state=0,
    )


def problems(largest: int) -> dict[str, Callable[[], Problem]]:
    """Return all problems with at most ``largest`` rows."""
    flowers, wine = partial(_table, load_iris), partial(_table, load_wine)
    found: dict[str, Callable[[], Problem]] = {
        "blobs, d = 2": partial(blobs, 500, 2, 5, 12.0),
        "blobs, d = 10": partial(blobs, 300, 10, 4, 8.0),
        "blobs, d = 40": partial(blobs, 200, 40, 3, 9.0),
        "blobs, d = 500": partial(blobs, 300, 500, 5, 20.0),
        "eight blobs, d = 20": partial(
            make_blobs, 400, 20, centers=8, cluster_std=2.5, random_state=0
        ),
        "one blob, d = 40": partial(blobs, 200, 40, 1, 0.0),
        "blobs, 1 % outliers": partial(_outliers, partial(blobs, 600, 5, 4, 10.0)),
        "subspaces": partial(_subspaces, 0),
        "subspaces, 20 % outliers": partial(_subspaces, 60),
        "iris": flowers,
        "iris, rows twice": partial(_twice, flowers),
        "wine, standardised": partial(_standardised, wine),
        "cancer, standardised": partial(
            _standardised, partial(_table, load_breast_cancer)
        ),
        "digits": partial(_table, load_digits),
        "customers, standardised": partial(_standardised, partial(customers, 1000)),
        "customers, Yeo–Johnson": partial(_transformed, partial(customers, 1000)),
        "moons (not Gaussian)": partial(make_moons, 400, noise=0.05, random_state=0),
    }
    for n, d, k in ((200, 40, 5), (1000, 100, 8), (3000, 40, 6), (20_000, 40, 6)):
        found[f"embeddings, {n} × {d}"] = partial(embeddings, n, d, k, 1)
    found["embeddings, 500 × 384"] = partial(embeddings, 500, 384, 6, 2)
    return {
        name: problem for name, problem in found.items() if _rows_of(name) <= largest
    }


def _rows_of(name: str) -> int:
    words = name.split()
    return int(words[1]) if "×" in words else 0


# -- methods --------------------------------------------------------------------------


def _mixture(X: Any, _: int) -> Any:
    """Fit a Gaussian mixture with covariances and number of groups of least BIC."""
    if X.size * X.shape[1] > MAX_MIXTURE:
        return None
    kinds = ("full", "tied", "diag", "spherical")
    models = [
        GaussianMixture(k, covariance_type=kind, random_state=0).fit(X)
        for k, kind in itertools.product(NUMBERS, kinds)
        if k <= len(X)
    ]
    return min(models, key=lambda model: model.bic(X)).predict(X)


def _silhouette(X: Any, _: int) -> Any:
    """Fit k-means with the number of groups that has the greatest silhouette."""
    found = [KMeans(k, n_init=3, random_state=0).fit_predict(X) for k in NUMBERS[1:]]
    options = {"sample_size": min(len(X), 2000), "random_state": 0}
    return max(found, key=lambda labels: silhouette_score(X, labels, **options))


def _compression(X: Any, k: int | None = None) -> Any:
    return CompressionClustering(n_clusters=k).fit_predict(X)


def _kmeans(X: Any, k: int) -> Any:
    return KMeans(k, n_init=10, random_state=0).fit_predict(X)


METHODS: dict[str, Callable[[Any, int], Any]] = {
    "CompressionClustering()": lambda X, _: _compression(X),
    "the same, k given": _compression,
    "HDBSCAN": lambda X, _: HDBSCAN(copy=True).fit_predict(X),
    "mixture, least BIC": _mixture,
    "k-means, silhouette": _silhouette,
    "k-means, k given": _kmeans,
}


def labels_of(name: str, X: Any, k: int) -> Any:
    """Return the labels that a method finds, or None if it is left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return METHODS[name](X, k)
