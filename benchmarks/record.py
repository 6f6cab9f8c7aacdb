"""Record what every estimator and function returns, and compare two recordings.

Run ``python -m benchmarks.record old.npz --checkout OLD`` on one checkout,
``python -m benchmarks.record new.npz --checkout NEW`` on another, and then
``python -m benchmarks.record --compare old.npz new.npz``, which prints the largest
difference of every group of results and ends with status 1 if one is too large.

A difference is relative to the largest absolute value of the array. It may be 1e-9 in
float64 and 1e-4 in float32; labels, numbers of groups and numbers of layers must be
equal. Some results are not determined to that precision: two distortions or two merges
are equally good, or kernels are ill-conditioned. They are those that differ when the
old checkout is recorded a second time with ``OPENBLAS_CORETYPE=Sandybridge``, which
rounds differently. ``--rounding`` names such recordings, and results that differ there
by a tenth of what is allowed, or more, are only counted. So are results in float32 that
differ from the old ones and equal the old ones in float64: they have become better.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
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
Data = tuple[Any, Any, Any]  # rows to fit, labels, new rows
Results = Iterator[tuple[str, Any]]


def main(arguments: list[str] | None = None) -> int:
    """Record or compare; the exit status."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("file", type=Path, nargs="?", help="recording to write")
    options.add_argument("--compare", type=Path, nargs=2, metavar=("OLD", "NEW"))
    options.add_argument("--checkout", type=Path, help="where skredu is imported from")
    options.add_argument(
        "--only", default="*", help="names to record or compare: micl*"
    )
    options.add_argument("--rounding", type=Path, nargs="*", default=[])
    args = options.parse_args(arguments)
    if args.compare:
        return compare(args)
    if args.file is None:
        options.error("name a file to write, or --compare two")
    if args.checkout is not None:
        sys.path.insert(0, str(args.checkout.resolve()))
    arrays = record(args.only)
    np.savez_compressed(args.file, **arrays)
    print(f"{len(arrays)} arrays of {sys.modules['skredu'].__file__} in {args.file}")
    return 0


# -- recording ------------------------------------------------------------------------


def record(only: str = "*") -> dict[str, Any]:
    """Arrays of all cases, by ``part/case/dtype/array``."""
    arrays: dict[str, Any] = {}
    for part, cases in PARTS.items():
        start = time.process_time()
        for dtype in TOLERANCE:
            for case, run in cases(Inputs(dtype)):
                name = f"{part}/{case}/{dtype}"
                if not fnmatch.fnmatch(name, only):
                    continue
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    arrays |= {f"{name}/{key}": value for key, value in _run(run)}
        print(f"{part}: {time.process_time() - start:.1f} s of CPU", file=sys.stderr)
    return arrays


def _run(run: Callable[[], Results]) -> Results:
    try:
        for key, value in run():
            yield from _flat(key, value)
    except Exception as error:  # noqa: BLE001  what is raised is a result, too
        yield "raised", np.array(f"{type(error).__name__}: {error}")


def _flat(key: str, value: Any) -> Results:
    """Arrays in a fitted attribute: of numbers, strings, dicts, lists and layers."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(f"{key}.{name}", item)
    elif hasattr(value, "compression"):
        yield from _flat(f"{key}.eta", value.eta)
        yield from _flat(f"{key}.gamma", value.gamma)
        yield from _flat(f"{key}.expansion", _some(value.expansion))
        for j in range(len(value.gamma)):
            yield from _flat(f"{key}.compression{j}", _some(value.compression(j)))
    elif isinstance(value, list) and key.endswith("layers_"):
        yield f"{key}.n", np.array(len(value))
        for i in {0, len(value) - 1} if value else ():
            yield from _flat(f"{key}.{i}", value[i])
    elif isinstance(value, list | tuple) and np.ndim(value[0] if value else 0):
        for i, item in enumerate(value):
            yield from _flat(f"{key}.{i}", item)
    elif value is not None:
        array = np.asarray(value)
        if array.dtype == object:
            array = array.astype(str)
        yield key, array


def _some(operator: Any) -> Any:
    """Sums of the entries of an operator with fixed random factors, and its shape."""
    operator = np.asarray(operator)
    factors = np.random.default_rng(0).normal(size=(operator.size, 4))
    return np.r_[operator.ravel() @ factors, operator.shape]


class Inputs:
    """Rows, labels and new rows by name, in one precision."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self.make = importlib.import_module("skredu.datasets")

    def split(self, X: Any, y: Any, n: int) -> Data:
        """The first rows to fit, the others as new ones."""
        X = np.asarray(X, dtype=self._dtype)
        return X[:n], np.asarray(y)[:n], X[n:]

    def bundled(self, name: str, n: int, most: int) -> Data:
        """Rows of scikit-learn in random order, standardised unless they are pixels."""
        from sklearn import datasets

        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        order = np.random.default_rng(1).permutation(len(X))[:most]
        X = X / 16 if name == "digits" else (X - X.mean(axis=0)) / X.std(axis=0)
        return self.split(X[order], y[order], n)

    def named(self, name: str) -> Data:
        """Rows of one kind."""
        rng = np.random.default_rng(2)
        if name == "wine":
            return self.bundled(name, 120, 178)
        if name == "iris":
            X, y, new = self.bundled(name, 110, 150)
            return X, np.array(["setosa", "versicolor", "virginica"])[y], new
        if name == "digits":
            X, y, new = self.bundled(name, 350, 450)
            # Otherwise neighbours tie.
            X = np.concatenate([X, new]) * rng.uniform(0.97, 1.03, (450, 64))
            return self.split(X, y, 350)
        if name == "wide":  # more features than rows
            y = np.arange(60) % 3
            X = rng.normal(size=(3, 200))[y] + rng.normal(size=(60, 200))
            return self.split(X, y, 45)
        if (
            name == "hard"
        ):  # scales, constant and equal features, equal rows, rare class
            y = np.r_[np.zeros(60), np.ones(60), np.full(3, 2)].astype(int)
            X = (
                rng.normal(size=(123, 8)) * 10.0 ** -np.arange(8)
                + 2 * (y == 1)[:, None]
            )
            X = np.c_[X, np.full(123, 3.0), X[:, :1], X[:, 1:2] + X[:, 2:3]]
            X[5:9] = X[4]
            order = rng.permutation(123)
            return self.split(
                np.r_[X[order], X[::6] + 0.1], np.r_[y[order], y[::6]], 123
            )
        if name == "sphere":
            rows = self.make.make_gaussians_on_sphere(
                200, n_classes=3, n_features=12, noise=0.3, random_state=0
            )
            return self.split(*rows, 140)
        if name == "signals":
            rows = self.make.make_shifted_signals(
                130, n_timesteps=30, n_classes=3, noise=0.3, random_state=0
            )
            return self.split(*rows, 90)
        if name == "channels":  # three channels on a grid of 4 x 5 points
            y = np.arange(120) % 4
            X = rng.normal(size=(4, 60))[y] + 1.5 * rng.normal(size=(120, 60))
            return self.split(X, y, 90)
        rows = self.make.make_subspaces(
            [50, 50, 60],
            n_features=5,
            noise=0.03,
            n_outliers=6,
            offset=1.0,
            random_state=0,
        )
        return self.split(*rows, 140)

    def weights(self, n: int) -> Any:
        """Positive weights, some of them zero, some whole."""
        weights = np.random.default_rng(3).uniform(0.2, 3, n).round(2)
        weights[::17] = 0
        weights[1::5] = 2
        return weights.astype(self._dtype)


def fitted(model: Any, new: Any, **given: Any) -> Results:
    """Public fitted attributes, and what the methods return for new rows."""
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
    """A case: a model that is fitted, and what it returns then."""
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


def micl(inputs: Inputs) -> Iterator[tuple[str, Callable[[], Results]]]:
    """MICL: linear, kernel and local, from all rows or a stream."""
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


def subspaces(inputs: Inputs) -> Iterator[tuple[str, Callable[[], Results]]]:
    """Nearest subspaces."""
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


def redunet(inputs: Inputs) -> Iterator[tuple[str, Callable[[], Results]]]:
    """ReduNet, transformer and classifier."""
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


def invariant(inputs: Inputs) -> Iterator[tuple[str, Callable[[], Results]]]:
    """Invariant ReduNet, transformer and classifier, from all rows or a stream."""
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
) -> Iterator[tuple[str, Callable[[], Results]]]:
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


def clustering(inputs: Inputs) -> Iterator[tuple[str, Callable[[], Results]]]:
    """Clustering by compression: trees, labels, bits, paths."""
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


def mcr2(inputs: Inputs) -> Iterator[tuple[str, Callable[[], Results]]]:
    """MCR2 features by gradient ascent."""
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


def lifting(inputs: Inputs) -> Iterator[tuple[str, Callable[[], Results]]]:
    """Convolutions and polar coordinates."""
    from skredu import ConvolutionalLifting, PolarTransformer

    settings: dict[str, dict[str, Any]] = {
        "default": {},
        "plain": {"activation": None, "pooling": None, "kernel_size": 3},
        "gaussian": {"filters": "gaussian", "random_state": 0, "n_filters": 5},
        "dct": {"filters": "dct", "n_filters": 5, "activation": None},
        "kmeans": {"filters": "kmeans", "random_state": 0, "n_filters": 4},
        "pca": {"filters": "pca", "n_filters": 4},
    }
    for rows in ("signals", "channels", "digits"):
        X, y, new = inputs.named(rows)
        for name, one in settings.items():
            model = ConvolutionalLifting(**one, **GRIDS[rows])
            yield f"{rows}, {name}", fits(model, X[:60], y[:60], new)
    X, y, new = inputs.named("digits")
    for name in ("cubic", "linear"):
        model = PolarTransformer((8, 8), 4, 12, interpolation=name)
        yield f"polar, {name}", fits(model, X, y, new)


def functions(inputs: Inputs) -> Iterator[tuple[str, Callable[[], Results]]]:
    """Rates and metrics."""
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


PARTS: dict[str, Callable[[Inputs], Iterator[tuple[str, Callable[[], Results]]]]] = {
    "micl": micl,
    "subspace": subspaces,
    "redunet": redunet,
    "invariant": invariant,
    "clustering": clustering,
    "mcr2": mcr2,
    "lifting": lifting,
    "functions": functions,
}


# -- comparing ------------------------------------------------------------------------


def compare(args: argparse.Namespace) -> int:
    """Print the largest differences; 1 if one is too large, else 0."""
    old, new = (_load(path, args.only) for path in args.compare)
    better = {name for name in old if _is_better(name, old, new)}
    missing = sorted(old.keys() - new.keys() - better)
    found = {n: _difference(old[n], new[n]) / _allowed(n) for n in old.keys() & new}
    loose = {
        name
        for path in args.rounding
        for name, array in _load(path, args.only).items()
        if name in old and not _difference(old[name], array) <= _allowed(name) / 10
    }
    firm = {name: found[name] for name in sorted(found.keys() - loose - better)}
    bad = [name for name, difference in firm.items() if not difference <= 1]
    groups: dict[str, list[str]] = defaultdict(list)
    for name in firm:
        part, _, dtype, key = name.split("/", 3)
        groups[f"{part} {dtype} {key.split('.')[0]}"].append(name)
    print("largest difference over what is allowed, arrays that differ, all arrays")
    for group, members in groups.items():
        n_bad = sum(not firm[name] <= 1 for name in members)
        worst = max(members, key=firm.__getitem__)
        case = worst.split("/")[1]
        print(f"{group:46} {firm[worst]:8.1e} {n_bad:4} {len(members):4}  {case}")
    for name in bad + missing:
        print(f"{'missing' if name in missing else f'{firm[name]:.1e}':>8}  {name}")
    n_loose = sum(not found[name] <= 1 for name in found.keys() & loose)
    n_new = len(new.keys() - old.keys())
    print(
        f"{len(firm)} arrays compared: {len(bad)} differ, {len(missing)} are missing, "
        f"{n_new} are new. Of {len(loose)} that rounding decides {n_loose} differ. "
        f"{len(better)} in float32 have become those of float64."
    )
    return int(bool(bad or missing))


def _is_better(name: str, old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether a result in float32 has left the old one for that in float64."""
    double = name.replace("/float32/", "/float64/")
    if double == name or (double in old) != (name in new):
        return False
    if name not in new:
        return True
    close = [
        _difference(one, new[name]) <= _allowed(name)
        for one in (old[name], old[double])
    ]
    return close == [False, True]


def _load(path: Path, only: str) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files if fnmatch.fnmatch(name, only)}


def _allowed(name: str) -> float:
    return TOLERANCE[name.split("/", 3)[2]]


def _difference(a: Any, b: Any) -> float:
    """Largest difference relative to the largest value; infinite where kinds differ."""
    if a.shape != b.shape or (a.dtype.kind in "fc") != (b.dtype.kind in "fc"):
        return np.inf
    if a.dtype.kind not in "fc" or not a.size:
        return 0.0 if np.array_equal(a, b) else np.inf
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)) or not np.array_equal(
        a[~finite], b[~finite], equal_nan=True
    ):
        return np.inf
    size = np.max(np.abs(a), initial=0, where=finite)
    error = np.max(np.abs(np.where(finite, a, 0) - np.where(finite, b, 0)), initial=0)
    return float(error / size) if size > 0 else float(error)


if __name__ == "__main__":
    sys.exit(main())
