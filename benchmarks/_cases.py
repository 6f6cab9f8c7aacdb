"""Cases of `benchmarks.record`: estimators and functions with their settings.

A case is a function without arguments that yields named results. Modules of skredu are
imported when a case is made, from the checkout that is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks._inputs import Inputs

METHODS = (
    "predict",
    "decision_function",
    "predict_log_proba",
    "predict_proba",
    "transform",
    "staged_transform",
    "staged_predict",
    "staged_predict_proba",
    "get_feature_names_out",
)
Results = Iterator[tuple[str, Any]]
Case = tuple[str, Callable[[], Results]]


def fitted(model: Any, new: Any, **given: Any) -> Results:
    """Yield public fitted attributes, and the results of methods for new rows."""
    for name in sorted(dir(model)):
        if name.endswith("_") and not name.startswith("_") and hasattr(model, name):
            value = getattr(model, name)
            if name == "components_" and isinstance(value, list):
                # Only the subspaces are determined, not their bases.
                value = [np.transpose(basis) @ basis for basis in value]
            yield name, value
    for name in METHODS:
        method = getattr(model, name, None)
        if method is None:
            continue
        if name == "get_feature_names_out":
            yield name, method()
        elif name.startswith("staged"):
            stages = list(method(new))
            yield f"{name}.n", len(stages)
            yield (
                name,
                np.stack(
                    [np.asarray(stage) for stage in stages[:: max(1, len(stages) - 1)]]
                ),
            )
        else:
            yield name, np.asarray(method(new, **given))


def fits(model: Any, X: Any, y: Any, new: Any, **given: Any) -> Callable[[], Results]:
    """Return a case: a model that is fitted, and its results."""
    return lambda: fitted(model.fit(X, y, **given), new)


# -- classifiers without layers -------------------------------------------------------


def _laplacian(x: Any, y: Any) -> float:
    return float(np.exp(-np.abs(x - y).sum() / 10))


MICL: dict[str, dict[str, Any]] = {
    "default": {},
    "given": {"epsilon": 0.5},
    "origin": {"assume_centered": True},
    "plain": {"calibrate": False},
    "frequencies": {"priors": None},
    "priors": {"priors": [0.2, 0.5, 0.3], "epsilon": 1.0},
    "balanced": {"class_weight": "balanced"},
    "rbf": {"kernel": "rbf"},
    "rbf given": {"kernel": "rbf", "gamma": 0.1, "epsilon": 0.3, "calibrate": False},
    "poly": {"kernel": "poly", "degree": 2, "coef0": 0.5},
    "cosine": {"kernel": "cosine", "assume_centered": True, "priors": None},
    "callable": {"kernel": _laplacian, "epsilon": 0.5},
    "local": {"n_neighbors": 6},
    "local given": {"n_neighbors": 9, "epsilon": 0.7, "assume_centered": True},
    "local plain": {"n_neighbors": 6, "calibrate": False, "priors": None},
}


def micl(inputs: Inputs) -> Iterator[Case]:
    """Yield cases of linear, kernel and local MICL, from all rows or a stream."""
    from skredu import MICLClassifier

    for rows in ("wine", "iris", "digits", "wide", "hard", "sphere"):
        X, y, new = inputs.named(rows)
        for name, settings in MICL.items():
            if "callable" in name and rows != "iris":
                continue
            if (
                "priors" in settings
                and rows == "digits"
                and settings["priors"] is not None
            ):
                continue
            yield f"{rows}, {name}", fits(MICLClassifier(**settings), X, y, new)
        for name in ("default", "given", "origin", "rbf", "local", "balanced"):
            yield (
                f"{rows}, {name}, weights",
                fits(
                    MICLClassifier(**MICL[name]),
                    X,
                    y,
                    new,
                    sample_weight=inputs.weights(len(X)),
                ),
            )
        for name in ("default", "given", "origin", "plain", "frequencies"):
            yield (
                f"{rows}, {name}, stream",
                _stream(MICLClassifier(**MICL[name]), X, y, new),
            )
        yield (
            f"{rows}, weights, stream",
            _stream(MICLClassifier(), X, y, new, inputs.weights(len(X))),
        )
    X, y, new = inputs.named("wine")
    yield (
        "wine, precomputed",
        fits(
            MICLClassifier(kernel="precomputed"),
            np.exp(X @ X.T / 50),
            y,
            np.exp(new @ X.T / 50),
        ),
    )


def _stream(
    model: Any, X: Any, y: Any, new: Any, weights: Any = None
) -> Callable[[], Results]:
    def run() -> Results:
        for i, part in enumerate(np.array_split(np.arange(len(X)), 3)):
            given = {} if weights is None else {"sample_weight": weights[part]}
            model.partial_fit(X[part], y[part], classes=np.unique(y), **given)
            yield f"part {i}", model.decision_function(new)
        yield from fitted(model, new)

    return run


def subspaces(inputs: Inputs) -> Iterator[Case]:
    """Yield cases of nearest subspaces."""
    from skredu import NearestSubspaceClassifier

    settings = (
        {},
        {"n_components": 2},
        {"n_components": 0.7, "assume_centered": False},
    )
    for rows in ("wine", "iris", "digits", "wide", "hard", "sphere"):
        for one in settings:
            yield (
                f"{rows}, {one}",
                fits(NearestSubspaceClassifier(**one), *inputs.named(rows)),
            )


# -- networks -------------------------------------------------------------------------

NETS: dict[str, dict[str, Any]] = {
    "default": {"n_layers": 5},
    "fine": {"n_layers": 3, "epsilon": 0.1},
    "published": {
        "epsilon": 0.5,
        "n_layers": 4,
        "step": "published",
        "membership": "residual",
        "construction": "estimated",
    },
    "weighted residual": {
        "n_layers": 3,
        "membership": "weighted_residual",
        "epsilon": 0.4,
    },
    "residual": {"n_layers": 3, "membership": "residual", "inverse_temperature": 50.0},
    "labels": {"n_layers": 3, "construction": "labels", "eta": 0.5},
    "estimated": {"n_layers": 3, "construction": "estimated"},
    "stops": {"n_layers": 30, "eta": 1.0, "tol": 1e-2},
    "none": {"n_layers": 0},
}
INTERCEPTS = {
    "intercept": {"n_layers": 3, "fit_intercept": True, "intercept_scaling": 0.5},
    "no intercept": {"n_layers": 3, "fit_intercept": False},
}


def redunet(inputs: Inputs) -> Iterator[Case]:
    """Yield cases of ReduNet, transformer and classifier."""
    from skredu import ReduNetClassifier, ReduNetTransformer

    for rows in ("wine", "iris", "digits", "wide", "hard", "sphere"):
        settings = {**NETS, **INTERCEPTS}
        if rows in {"digits", "iris"}:
            settings = {
                name: NETS[name] for name in ("default", "published", "residual")
            }
        yield from _nets(
            ReduNetTransformer, ReduNetClassifier, rows, settings, {}, inputs
        )


GRIDS: dict[str, dict[str, Any]] = {
    "signals": {"signal_shape": 30},
    "channels": {"signal_shape": (4, 5)},
    "digits": {"signal_shape": (8, 8)},
    "iris": {"signal_shape": 1},
}


def invariant(inputs: Inputs) -> Iterator[Case]:
    """Yield cases of invariant ReduNets, from all rows or a stream."""
    from skredu import InvariantReduNetClassifier, InvariantReduNetTransformer

    both = (InvariantReduNetTransformer, InvariantReduNetClassifier)
    for rows, grid in GRIDS.items():
        settings = dict(NETS)
        if rows in {"digits", "iris"}:
            settings = {name: NETS[name] for name in ("default", "published")}
        settings["invariant"] = {"n_layers": 3, "output": "invariant"}
        yield from _nets(*both, rows, settings, grid, inputs)
        X, y, new = inputs.named(rows)
        for name, one in {"stream": {}, "stream, given": {"epsilon": 0.4}}.items():
            model = InvariantReduNetClassifier(0, **one, **grid)
            yield f"{rows}, {name}", _stream(model, X, y, new)
        model = InvariantReduNetClassifier(0, **grid)
        weights = inputs.weights(len(X))
        yield f"{rows}, stream, weights", _stream(model, X, y, new, weights)


def _nets(
    transformer: Any,
    classifier: Any,
    rows: str,
    settings: Any,
    grid: Any,
    inputs: Inputs,
) -> Iterator[Case]:
    X, y, new = inputs.named(rows)
    for name, one in settings.items():
        yield (
            f"{rows}, {name}, transformer",
            fits(transformer(**one, **grid), X, y, new),
        )
        yield f"{rows}, {name}, classifier", fits(classifier(**one, **grid), X, y, new)
    weights = inputs.weights(len(X))
    for name in ("default", "published"):
        for kind in (transformer, classifier):
            model = kind(**{**NETS[name], **grid})
            yield (
                f"{rows}, {name}, weights, {kind.__name__}",
                fits(model, X, y, new, sample_weight=weights),
            )
    model = classifier(3, class_weight="balanced", n_iter_no_change=None, **grid)
    yield f"{rows}, balanced", fits(model, X, y, new)
    for kind in (transformer, classifier):
        yield (
            f"{rows}, warm, {kind.__name__}",
            _warm(kind(1, warm_start=True, **grid), X, y, new),
        )


def _warm(model: Any, X: Any, y: Any, new: Any) -> Callable[[], Results]:
    return lambda: fitted(model.fit(X, y).set_params(n_layers=4).fit(X, y), new)


# -- clustering -----------------------------------------------------------------------

CLUSTERING: dict[str, dict[str, Any]] = {
    "default": {},
    "given": {"epsilon": 0.3},
    "fine": {"epsilon": 0.02},
    "greedy": {"epsilon": 0.3, "refine": False},
    "origin": {"epsilon": 0.3, "assume_centered": True},
    "three": {"n_clusters": 3},
    "four, given": {"n_clusters": 4, "epsilon": 0.3},
    "three, greedy": {"n_clusters": 3, "refine": False, "assume_centered": True},
    "large": {"epsilon": 0.1, "min_cluster_size": 8},
    "neighbours": {"epsilon": 0.3, "connectivity": 6},
    "neighbours, auto": {"connectivity": 8, "n_clusters": 3},
}


def clustering(inputs: Inputs) -> Iterator[Case]:
    """Yield cases of clustering: trees, labels, bits and paths."""
    from skredu import CompressionClustering

    for rows in ("subspaces", "iris", "wine", "hard"):
        X, _, new = inputs.named(rows)
        for name, settings in CLUSTERING.items():
            if rows == "wine" and name not in {
                "default",
                "given",
                "three",
                "greedy",
                "neighbours",
            }:
                continue
            model = CompressionClustering(**settings)
            yield f"{rows}, {name}", _clusters(model, X, new)
            if name in {"default", "given", "three", "greedy", "neighbours"}:
                weights = inputs.weights(len(X))
                yield (
                    f"{rows}, {name}, weights",
                    _clusters(
                        CompressionClustering(**settings), X, new, sample_weight=weights
                    ),
                )
        yield f"{rows}, path", _path(X)
    X, _, new = inputs.named("wide")
    for name in ("default", "given", "three"):
        yield (
            f"wide, {name}",
            _clusters(CompressionClustering(**CLUSTERING[name]), X, new),
        )


def _clusters(model: Any, X: Any, new: Any, **given: Any) -> Callable[[], Results]:
    def run() -> Results:
        yield from fitted(model.fit(X, **given), new)
        yield "linkage", model.linkage()
        yield "labels at 2", model.labels_at(n_clusters=2)

    return run


def _path(X: Any) -> Callable[[], Results]:
    def run() -> Results:
        from skredu import CompressionClustering

        yield "path", CompressionClustering().epsilon_path(X)

    return run


# -- representations, liftings, functions ---------------------------------------------


def mcr2(inputs: Inputs) -> Iterator[Case]:
    """Yield cases of MCR2 features."""
    from skredu import MCR2Transformer

    settings: dict[str, dict[str, Any]] = {
        "default": {"max_iter": 15},
        "two": {"n_components": 2, "epsilon": 0.5, "max_iter": 15},
        "layers": {
            "n_components": 4,
            "n_layers": 2,
            "activation": "relu",
            "max_iter": 5,
        },
        "random": {
            "init": "random",
            "random_state": 0,
            "max_iter": 10,
            "fit_intercept": False,
        },
    }
    for rows in ("wine", "iris", "wide", "sphere"):
        X, y, new = inputs.named(rows)
        for name, one in settings.items():
            yield f"{rows}, {name}", fits(MCR2Transformer(**one), X, y, new)
        model = MCR2Transformer(3, max_iter=10)
        yield (
            f"{rows}, weights",
            fits(model, X, y, new, sample_weight=inputs.weights(len(X))),
        )


def lifting(inputs: Inputs) -> Iterator[Case]:
    """Yield cases of convolutions and polar coordinates."""
    from skredu import ConvolutionalLifting, PolarTransformer

    settings: dict[str, dict[str, Any]] = {
        "default": {},
        "plain": {"activation": None, "pooling": None, "kernel_size": 3},
        "gaussian": {"filters": "gaussian", "n_filters": 5},
        "dct": {"filters": "dct", "n_filters": 5, "activation": None},
        "kmeans": {"filters": "kmeans", "n_filters": 4},
        "pca": {"filters": "pca", "n_filters": 4},
    }
    for rows in ("signals", "channels", "digits"):
        X, y, new = inputs.named(rows)
        for name, one in settings.items():
            model = ConvolutionalLifting(**one, **GRIDS[rows], random_state=0)
            yield f"{rows}, {name}", fits(model, X[:60], y[:60], new)
    X, y, new = inputs.named("digits")
    for name in ("cubic", "linear"):
        model = PolarTransformer((8, 8), 4, 12, interpolation=name)
        yield f"polar, {name}", fits(model, X, y, new)


def functions(inputs: Inputs) -> Iterator[Case]:
    """Yield cases of rates and metrics."""
    for rows in ("wine", "iris", "digits", "wide", "hard", "sphere"):
        X, y, _ = inputs.named(rows)
        Z = X / np.linalg.norm(X, axis=1, keepdims=True)
        for name, weights in (("even", None), ("weights", inputs.weights(len(X)))):
            for epsilon in (0.05, 0.5):
                yield (
                    f"{rows}, {name}, {epsilon}",
                    _functions(X, Z, y, weights, epsilon),
                )


def _functions(
    X: Any, Z: Any, y: Any, weights: Any, epsilon: float
) -> Callable[[], Results]:
    def run() -> Results:
        from skredu import metrics, rates

        given = {"epsilon": epsilon, "weights": weights}
        scored = {"epsilon": epsilon, "sample_weight": weights}
        other = np.roll(np.unique(y, return_inverse=True)[1], 7)
        yield "coding_rate", rates.coding_rate(Z, **given)
        for name in ("class_coding_rate", "rate_reduction", "rate_reduction_gradient"):
            yield name, getattr(rates, name)(Z, y, **given)
        for centred in (False, True):
            yield (
                f"coding_length {centred}",
                rates.coding_length(X, assume_centered=centred, **given),
            )
            yield (
                f"partition_coding_length {centred}",
                rates.partition_coding_length(X, y, assume_centered=centred, **given),
            )
            yield (
                f"coding_length_score {centred}",
                metrics.coding_length_score(X, y, assume_centered=centred, **scored),
            )
        yield "rate_reduction_score", metrics.rate_reduction_score(X, y, **scored)
        yield "class_similarity", metrics.class_similarity(X, y, sample_weight=weights)
        yield (
            "clustering_accuracy",
            metrics.clustering_accuracy(y, other, sample_weight=weights),
        )

    return run


PARTS: dict[str, Callable[[Inputs], Iterator[Case]]] = {
    "micl": micl,
    "subspace": subspaces,
    "redunet": redunet,
    "invariant": invariant,
    "clustering": clustering,
    "mcr2": mcr2,
    "lifting": lifting,
    "functions": functions,
}
