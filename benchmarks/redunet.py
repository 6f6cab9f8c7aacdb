"""ReduNet: time of layers and single samples, more features than rows, steps, depth.

Run ``python -m benchmarks.redunet --data FOLDER``; the folder contains mnist.npz,
microarray.npz and tabular/. Without it, generated rows replace MNIST, and tables and
gene expressions are left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import inv
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks import _data
from benchmarks._harness import (
    MEMORY_NOTE,
    Benchmark,
    Report,
    median_times,
    peak_memory,
    progress,
    seconds_of,
)
from benchmarks.accuracy import scores_of
from skredu import (
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetClassifier,
    ReduNetTransformer,
)
from skredu.metrics import class_similarity
from skredu.rates import rate_reduction

EPSILON, ETA, TEMPERATURE = 0.1**0.5, 0.5, 500.0  # of the published experiments
WIDE_LAYERS = 2
ETAS = (0.01, 0.03, 0.1, 0.3, 1.0)
EPSILONS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
DEPTHS = (0, 1, 2, 5, 10, 20, 50)


def main(arguments: list[str] | None = None) -> None:
    """Run the requested parts."""
    options = Benchmark(
        "redunet", "ReduNet", PARTS, data="folder with mnist.npz and others", runs=5
    )
    options.add_argument("--rows", type=int, nargs="+", help="rows of MNIST")
    options.add_argument("--layers", type=int, default=5, help="layers that are timed")
    options.add_argument("--tables", nargs="+", help="tables for steps; default: all")
    options.add_argument("--etas", type=float, nargs="+", help="steps that are tried")
    options.add_argument("--epsilons", type=float, nargs="+", help="distortions, too")
    options.set_defaults(etas=list(ETAS), epsilons=list(EPSILONS))
    options.set_defaults(rows=[1000, 10_000])
    options.run(arguments)


# -- a layer against its plain form ---------------------------------------------------


def plain_layer(Z: Any, slices: list[slice]) -> Any:
    """Return the features after a layer, by d x d operators and a product per class."""
    n, d = Z.shape
    eye = np.eye(d, dtype=Z.dtype)
    alpha = d / (n * EPSILON**2)
    change = Z @ (alpha * inv(eye + alpha * Z.T @ Z))
    norms, products = np.empty((n, len(slices)), dtype=Z.dtype), []
    for j, part in enumerate(slices):
        alpha_j = d / ((part.stop - part.start) * EPSILON**2)
        C = alpha_j * inv(eye + alpha_j * Z[part].T @ Z[part])
        products.append(Z @ C)
        norms[:, j] = np.linalg.norm(products[j], axis=1)
    Pi = np.exp(TEMPERATURE * (norms.min(axis=1, keepdims=True) - norms))
    Pi /= Pi.sum(axis=1, keepdims=True)
    for j, part in enumerate(slices):
        share = (part.stop - part.start) / n
        change -= share * Pi[:, j : j + 1] * products[j]
    Z = Z + ETA * change
    return Z / np.linalg.norm(Z, axis=1, keepdims=True)


def plain_network(X: Any, y: Any, n_layers: int) -> Any:
    """Return the features of the training rows, sorted by class."""
    X = X[np.argsort(y, kind="stable")]
    ends = np.cumsum(np.unique(y, return_counts=True)[1]).tolist()
    slices = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    Z = X / np.linalg.norm(X, axis=1, keepdims=True)
    for _ in range(n_layers):
        Z = plain_layer(Z, slices)
    return Z


def published(n_layers: int, eta: float = ETA) -> dict[str, Any]:
    """Return the parameters of the published network."""
    return {
        "n_layers": n_layers,
        "epsilon": EPSILON,
        "eta": eta,
        "step": "published",
        "membership": "residual",
        "inverse_temperature": TEMPERATURE,
        "construction": "estimated",
        "fit_intercept": False,
    }


def layer_time(report: Report, args: argparse.Namespace) -> None:
    """Compare the time of a layer with the plain form, by shape and precision."""
    report.say("### A layer compared with its direct form")
    source = "MNIST" if args.data else "generated rows of the shape of MNIST"
    report.say(
        f"The table compares the time to build {args.layers} layers of the "
        "published network (epsilon² = 0.1, eta = 0.5, residual memberships; "
        f"{WIDE_LAYERS} layers for 3000 features) and to move the training "
        "samples. The plain form inverts a d x d matrix and computes a dense "
        "product per class. *Coding* is the time of the same network with "
        "coding memberships, *default* that with all default values except "
        "`n_layers`, including the choice of epsilon and of the intercept. The "
        f"samples are {source} or normally distributed. Seconds per layer are "
        f"medians of {args.runs} runs that alternate between the forms (one run "
        "for 3000 features); *difference* is the largest difference between the"
        " features after the last layer."
    )
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(250, 3000)), np.arange(250) % 5
    cases = [(*wide, "float64")]
    for n in args.rows:
        for dtype in ("float64", "float32"):
            split = _data.mnist(args.data, dtype, n, 1)
            cases.append((split.X_train, split.y_train, dtype))
    lines = [_layer_line(X, y, dtype, args) for X, y, dtype in cases]
    header = ["rows", "precision", "plain", "skredu", "ratio", "coding", "default"]
    report.table([*header, "difference"], lines)


def _layer_line(X: Any, y: Any, dtype: str, args: argparse.Namespace) -> list[str]:
    X = X.astype(dtype)
    n, runs = args.layers, args.runs
    if X.shape[1] > 2000:
        n, runs = WIDE_LAYERS, 1
    nets = {
        "skredu": ReduNetTransformer(**published(n)),
        "coding": ReduNetTransformer(**{**published(n), "membership": "coding"}),
        "default": ReduNetTransformer(n),
    }
    tasks = {"plain": partial(plain_network, X, y, n)}
    tasks |= {name: partial(net.fit, X, y) for name, net in nets.items()}
    times = [seconds / n for seconds in median_times(tasks, runs).values()]
    order = np.argsort(y, kind="stable")
    own = nets["skredu"].fit(X, y).transform(X[order])
    gap = np.abs(own - plain_network(X, y, n)).max()
    shape = " x ".join(map(str, X.shape)) + f", k={len(np.unique(y))}"
    ratio = f"{times[0] / times[1]:.1f}"
    seconds = [f"{value:.4f}" for value in times]
    line = [shape, dtype, *seconds[:2], ratio, *seconds[2:], f"{gap:.0e}"]
    progress(" ".join(line))
    return line


# -- many more features than rows -----------------------------------------------------


def _gene_models() -> dict[str, BaseEstimator]:
    models = {
        "ReduNet, 20 layers": ReduNetClassifier(n_iter_no_change=None),
        "ReduNet": ReduNetClassifier(),
        "MICL": MICLClassifier(),
        "logistic regression": LogisticRegression(max_iter=5000),
    }
    return {name: make_pipeline(StandardScaler(), m) for name, m in models.items()}


def _fit_genes(data: Path, name: str, model: str) -> Callable[[], object]:
    return partial(_gene_models()[model].fit, *_data.microarray(data, name))


def genes(report: Report, args: argparse.Namespace) -> None:
    """Measure accuracy, time and memory for n << d."""
    report.say("### Gene expression, n << d")
    if args.data is None:
        report.say("Left out: needs --data.")
        return
    report.say(
        "The table contains the accuracy over up to ten stratified folds in "
        "float32, with StandardScaler within each fold, and the seconds and "
        "memory of one fit to all samples. " + MEMORY_NOTE
    )
    lines = []
    for name in _data.microarrays(args.data):
        X, y = _data.microarray(args.data, name)
        n_folds = min(10, int(np.unique(y, return_counts=True)[1].min()))
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)
        for label, model in _gene_models().items():
            score = cross_val_score(model, X, y, cv=folds).mean()
            seconds = seconds_of(partial(model.fit, X, y))
            peak = peak_memory(_fit_genes, args.data, name, label)
            kept = getattr(model[-1], "n_iter_", "–") if "ReduNet" in label else "–"
            cells = [f"{score:.3f}", kept, f"{seconds:.2f}", *peak.cells()]
            shape = " x ".join(map(str, X.shape))
            lines.append([name, shape, label, *cells, f"{peak.arrays / X.nbytes:.1f}"])
            progress(f"{name}: {label}: {score:.3f}")
    header = ["set", "shape", "model", "accuracy", "layers kept", "fit, s"]
    memory = ["arrays, MiB", "process, MiB", "arrays / data"]
    report.table([*header, *memory], lines)


# -- steps and distortions ------------------------------------------------------------


def single(report: Report, args: argparse.Namespace) -> None:
    """Measure the time of one sample of digits after five layers."""
    X, y = load_digits(return_X_y=True)
    net, rows = ReduNetClassifier(5, n_iter_no_change=None).fit(X, y), []
    for name in ("transform", "predict"):
        call, cells = getattr(net, name), [name]
        for clock in (time.perf_counter, time.process_time):
            found = []
            for _ in range(20 * args.runs):
                start = clock()
                call(X[:1])
                found.append(clock() - start)
            cells.append(f"{1e3 * np.median(found):.2f}")
        rows.append(cells)
    report.say("### One sample of digits, five layers")
    report.table(["method", "ms", "ms of the processor"], rows)


def steps(report: Report, args: argparse.Namespace) -> None:
    """Measure the held-out accuracy by eta, epsilon and the step rule."""
    report.say("### Steps and distortions on held-out samples")
    models: dict[str, BaseEstimator] = {
        "MICL": MICLClassifier(),
        "ReduNet": ReduNetClassifier(),
        "all 20 layers": ReduNetClassifier(n_iter_no_change=None),
    }
    models |= {f"eta {eta:g}": ReduNetClassifier(eta=eta) for eta in args.etas}
    models |= {f"epsilon {e:g}": ReduNetClassifier(epsilon=e) for e in args.epsilons}
    for eta in args.etas:
        net = ReduNetClassifier(**published(20, eta), n_iter_no_change=None)
        models[f"published, eta {eta:g}"] = net
    report.say(
        "The table contains five-fold accuracies, with StandardScaler within "
        "each fold (digits: divided by 16), and default values for everything "
        "else. *Published*: published steps and memberships, "
        '`construction="estimated"`, epsilon² = 0.1, no intercept, all 20 '
        "layers."
    )
    sets = _bundled()
    scores = {name: [] for name in models}
    for X, y, scale in sets.values():
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        for name, model in models.items():
            pipe = make_pipeline(scale, model)
            scores[name].append(cross_val_score(pipe, X, y, cv=folds).mean())
            progress(f"{X.shape}: {name}: {scores[name][-1]:.4f}")
    names = list(sets)
    if args.data is not None:
        found = args.tables or _data.tables(args.data / "tabular")
        names.append(f"mean of {len(found)} tables")
        tables = {name: [] for name in models}
        for table in found:
            X, y = _data.table(args.data / "tabular", table)
            for name, model in models.items():
                tables[name].append(scores_of(X, y, model)[0])
                progress(f"{table}: {name}: {tables[name][-1]:.4f}")
        for name in models:
            scores[name].append(np.mean(tables[name]))
        report.say(_spread("eta", args.etas, tables))
        report.say(_spread("epsilon", args.epsilons, tables))
        report.say(_spread("published, eta", args.etas, tables))
    lines = [[name, *(f"{s:.4f}" for s in row)] for name, row in scores.items()]
    report.table(["model", *names], lines)


def _spread(name: str, values: list[float], tables: dict[str, list[float]]) -> str:
    rows = np.array([tables[f"{name} {value:g}"] for value in values])
    spread = 100 * np.ptp(rows, axis=0)
    return (
        f"Spread over {name} in {', '.join(f'{v:g}' for v in values)} (greatest less "
        f"least accuracy of a table, points): mean {spread.mean():.2f}, largest "
        f"{spread.max():.2f}."
    )


def _bundled() -> dict[str, tuple[Any, Any, BaseEstimator]]:
    """Return rows, labels and scaling of a data set of scikit-learn."""
    loaders = {
        "digits": (load_digits, FunctionTransformer(lambda X: X / 16)),
        "breast cancer": (load_breast_cancer, StandardScaler()),
        "wine": (load_wine, StandardScaler()),
    }
    return {
        name: (*load(return_X_y=True), scale) for name, (load, scale) in loaders.items()
    }


# -- what depth adds ------------------------------------------------------------------


def depth(report: Report, args: argparse.Namespace) -> None:
    """Measure rate reduction, separation and accuracies after each number of layers."""
    report.say("### What depth adds on held-out samples")
    report.say(
        "`ReduNetTransformer` with `n_layers=50` is fitted to one half of the "
        "samples (MNIST: 1000), with default values except for the step if the "
        "table says so; all figures are for the other half (MNIST: 2000 "
        "samples). *Separation* is the mean absolute cosine between samples of "
        "the same class minus that between samples of different classes."
    )
    sets = {name: _half(*data) for name, data in _bundled().items()}
    sets["MNIST" if args.data else "like MNIST"] = _data.mnist(
        args.data, "float64", 1000, 2000
    )
    lines = []
    for name, split in sets.items():
        for eta in (0.1, 1.0):
            lines += _depth_lines(name, split, eta)
    header = ["rows", "eta", "layers", "Delta R", "separation"]
    simple = ["nearest subspace", "5-NN", "logistic", "MICL"]
    report.table([*header, *simple], lines)


def _half(X: Any, y: Any, scale: BaseEstimator) -> _data.Split:
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=0.5, stratify=y, random_state=0
    )
    return _data.Split(scale.fit_transform(X), y, scale.transform(X_test), y_test)


def _depth_lines(name: str, split: _data.Split, eta: float) -> list[list[str]]:
    net = ReduNetTransformer(max(DEPTHS), eta=eta).fit(split.X_train, split.y_train)
    stages = zip(
        net.staged_transform(split.X_train),
        net.staged_transform(split.X_test),
        strict=True,
    )
    lines = []
    for layer, (Z, Z_test) in enumerate(stages):
        if layer not in DEPTHS:
            continue
        gain = rate_reduction(Z_test, split.y_test, epsilon=net.epsilon_)
        own, others = _cosines(Z_test, split.y_test)
        cells = [f"{gain:.3f}", f"{own - others:.3f}"]
        for model in (
            NearestSubspaceClassifier(),
            KNeighborsClassifier(),
            LogisticRegression(max_iter=5000),
            MICLClassifier(),
        ):
            score = model.fit(Z, split.y_train).score(Z_test, split.y_test)
            cells.append(f"{score:.4f}")
        lines.append([name, f"{eta:g}", layer, *cells])
        progress(" ".join(map(str, lines[-1])))
    return lines


def _cosines(Z: Any, y: Any) -> tuple[float, float]:
    """Return the mean absolute cosines within classes and between them."""
    similarity = class_similarity(Z, y)
    diagonal = np.eye(len(similarity), dtype=bool)
    return float(similarity[diagonal].mean()), float(similarity[~diagonal].mean())


PARTS: dict[str, Callable[[Report, argparse.Namespace], None]] = {
    "layer": layer_time,
    "genes": genes,
    "single": single,
    "steps": steps,
    "depth": depth,
}


if __name__ == "__main__":
    main()
