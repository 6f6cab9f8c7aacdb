"""Settings of estimators, their results, and limits, shared by the test files."""

import gc
import inspect
import sys
import tracemalloc

import numpy as np
import pytest

from skredu import (
    CodingGainSelector,
    CompressionClustering,
    CompressionOutlierDetector,
    ConvolutionalLifting,
    DilatedKernelTransformer,
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    MCR2Transformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    PolarTransformer,
    ReduNetClassifier,
    ReduNetTransformer,
    ScatteringTransformer,
)


def laplacian(x, y):
    """Return the kernel of two rows."""
    return float(np.exp(-np.abs(x - y).sum() / 10))


MICL = {
    "MICL": MICLClassifier(),
    "MICL given": MICLClassifier(0.5),
    "MICL origin": MICLClassifier(assume_centered=True),
    "MICL frequencies": MICLClassifier(priors=None),
    "MICL priors": MICLClassifier(0.5, priors=[0.2, 0.3, 0.5], assume_centered=True),
    "MICL rbf": MICLClassifier(kernel="rbf"),
    "MICL auto": MICLClassifier(kernel="auto"),
    "MICL laplacian": MICLClassifier(kernel="laplacian"),
    "MICL poly": MICLClassifier(kernel="poly", degree=2),
    "MICL cosine": MICLClassifier(kernel="cosine"),
    "MICL callable": MICLClassifier(kernel=laplacian),
    "MICL precomputed": MICLClassifier(kernel="precomputed"),
    "MICL local": MICLClassifier(n_neighbors=4),
    "MICL local given": MICLClassifier(0.5, n_neighbors=3, assume_centered=True),
    "MICL mirrored": MICLClassifier(symmetry="flip"),
    "MICL refitted": MICLClassifier(n_label_refits=1),
}
SUBSPACES = {
    "subspace": NearestSubspaceClassifier(2),
    "subspace affine": NearestSubspaceClassifier(2, assume_centered=False),
    "subspace share": NearestSubspaceClassifier(0.7, assume_centered=False),
}
NETS = {
    "net": ReduNetTransformer(2, 0.5),
    "net of spans": ReduNetTransformer(
        2, 0.5, fit_intercept=False, membership="residual", construction="estimated"
    ),
    "net that decides": ReduNetClassifier(2, n_iter_no_change=None),
    "net of positive parts": ReduNetClassifier(
        2, membership="relu", step="published", n_iter_no_change=None
    ),
    "signal net": InvariantReduNetTransformer(1, 0.5, signal_shape=2),
    "invariant net": InvariantReduNetTransformer(
        1, 0.5, signal_shape=2, output="invariant", construction="labels"
    ),
    "signal net with velocity": InvariantReduNetTransformer(
        2, 0.5, signal_shape=2, step="nesterov"
    ),
    "signal net that decides": InvariantReduNetClassifier(
        1, signal_shape=2, n_iter_no_change=None
    ),
    "mirrored net": ReduNetTransformer(2, 0.5, symmetry="flip"),
    "no layers": InvariantReduNetClassifier(0),
}
MAPS = {
    "MCR2": MCR2Transformer(2, max_iter=5, tol=0.5),
    "MCR2 left out": MCR2Transformer(2, objective="left_out", max_iter=5, tol=0.5),
    "MCR2 deep": MCR2Transformer(
        2, n_layers=2, activation="relu", init="lda", max_iter=5, tol=0.5
    ),
}
SELECTIONS = {
    "selection": CodingGainSelector(),
    "selection of three": CodingGainSelector(3, weighted=False),
}
CLUSTERINGS = {
    "clustering": CompressionClustering(),
    "clustering given": CompressionClustering(0.5, min_cluster_size=2),
    "clustering origin": CompressionClustering(0.5, assume_centered=True, refine=False),
    "clustering number": CompressionClustering(0.5, n_clusters=3),
    "clustering graph": CompressionClustering(1.0, connectivity=4),
}
OUTLIERS = {
    "local outliers": CompressionOutlierDetector(),
    "outliers of a Gaussian": CompressionOutlierDetector(
        n_neighbors=None, contamination=0.1
    ),
    "mirrored outliers": CompressionOutlierDetector(n_neighbors=None, symmetry="flip"),
}
LIFTINGS = {
    "lifting": ConvolutionalLifting(2, 2, random_state=0),
    "lifting by rows": ConvolutionalLifting(
        2, 2, filters="kmeans", activation="split", threshold=0.1, random_state=0
    ),
    "lifting to cells": ConvolutionalLifting(
        2, 2, pool_size=2, pool_by="share", random_state=0
    ),
    "lifting to codes": ConvolutionalLifting(
        2, 2, activation="fista", n_iter=3, pooling=None, random_state=0
    ),
    "polar": PolarTransformer((2, 3), n_radii=2, n_angles=6),
    "scattering": ScatteringTransformer(),
    "scattering of images": ScatteringTransformer(
        1, 3, signal_shape=(2, 3), padding="zero", subsampling=1, activation="root"
    ),
}
SERIES = {
    "dilated": DilatedKernelTransformer(168, random_state=0),
    "dilated of channels": DilatedKernelTransformer(
        252, pooling=("max", "share"), signal_shape=2, random_state=0
    ),
}
CLASSIFIERS = (
    MICL | SUBSPACES | {n: e for n, e in NETS.items() if hasattr(e, "predict")}
)
SUPERVISED = MICL | SUBSPACES | NETS | MAPS | SELECTIONS
ESTIMATORS = SUPERVISED | CLUSTERINGS | OUTLIERS | LIFTINGS | SERIES

# Settings beside those that reach the same code, for runs that are to be short.
FURTHER = {
    *("MICL origin", "MICL frequencies", "MICL priors", "MICL poly", "MICL cosine"),
    *("MICL callable", "MICL laplacian", "MICL local given", "subspace"),
    *("subspace share", "net of spans", "net of positive parts", "invariant net"),
    *("signal net with velocity", "signal net that decides", "MCR2 deep"),
    *("clustering", "clustering origin", "clustering graph", "clustering number"),
    *("lifting by rows", "lifting to cells", "scattering of images"),
    *("MICL mirrored", "MICL refitted", "mirrored net", "mirrored outliers"),
    "dilated of channels",
}


def names_of(settings):
    """Return names of settings as parameters of a test; additional ones are slow."""
    return [
        pytest.param(name, marks=[pytest.mark.slow] if name in FURTHER else [])
        for name in settings
    ]


def slowly(*values):
    """Return values as parameters of a test, marked as slow."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


METHODS = ("decision_function", "predict_proba", "predict", "transform")
METHODS += ("score_samples",)
FITTED = ("epsilon_", "temperature_", "priors_", "labels_", "class_count_", "rates_")
FITTED += ("coding_length_", "class_coding_length_", "rate_reduction_")
FITTED += ("offset_", "training_scores_", "label_quality_")


def problem(n=36, d=6, k=3, seed=0):
    """Return rows of classes that overlap slightly, and labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return rng.normal(size=(n, d)) + 2.0 * rng.normal(size=(k, d))[y], y


def rows_for(name, A, B=None):
    """Return the input of an estimator: rows, or products with the training rows."""
    if name != "MICL precomputed":
        return A
    A, B = (np.asarray(rows, dtype=float) for rows in (A, A if B is None else B))
    return A @ B.T


def answers(model, X):
    """Return all results of a fitted model for rows, and its choices, by name."""
    said = {m: getattr(model, m)(X) for m in METHODS if hasattr(model, m)}
    for name in FITTED:
        if hasattr(model, name):
            value = getattr(model, name)
            for key, part in (
                value.items() if isinstance(value, dict) else [("", value)]
            ):
                said[name + key] = part
    return said


def parameters(kind):
    """Return the names of the parameters of a class."""
    return [name for name in inspect.signature(kind).parameters if name != "self"]


def limit(monkeypatch, **limits):
    """Set constants such as ``BLOCK`` in all modules that contain them."""
    for name, value in limits.items():
        holders = [
            module
            for key, module in list(sys.modules.items())
            if key.partition(".")[0] == "skredu" and hasattr(module, name)
        ]
        assert holders or name == "CACHED", f"no module has {name}"
        for module in holders:
            monkeypatch.setattr(module, name, value)


def peak_of(work, *arguments):
    """Return the peak number of bytes that a call allocates beside its result."""
    gc.collect()
    tracemalloc.start()
    try:
        result = work(*arguments)
        return tracemalloc.get_traced_memory()[1] - getattr(result, "nbytes", 0)
    finally:
        tracemalloc.stop()


def bytes_of(state):
    """Return the bytes of all arrays in an object, each counted once."""
    arrays, seen, left = {}, set(), [state]
    while left:
        item = left.pop()
        if isinstance(item, np.ndarray):
            arrays[item.__array_interface__["data"][0], item.nbytes] = item.nbytes
        elif isinstance(item, (dict, list, tuple)):
            left.extend(item.values() if isinstance(item, dict) else item)
        elif hasattr(item, "__dict__") and id(item) not in seen:
            seen.add(id(item))
            left.append(vars(item))
    return sum(arrays.values())
