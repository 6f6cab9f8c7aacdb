"""Networks that are invariant to shifts: rotated and translated digits.

Run ``python -m benchmarks.shifts --data FOLDER``; the folder contains mnist.npz.
Without it, generated rows of the same shape replace MNIST. The experiments are those
of the ReduNet paper: images on circles, whose rotations are cyclic shifts, and images
on a torus, with their cyclic translations.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress, seconds_of
from skredu import (
    ConvolutionalLifting,
    InvariantReduNetClassifier,
    InvariantReduNetTransformer,
    PolarTransformer,
    ReduNetClassifier,
)

SIDE, ANGLES = 28, 200
ONCE = 1000  # rows that are shifted once
PROTOCOL = (
    "The data are the first samples of each class of MNIST, pixels in [0, "
    f"1], float32. Rotations: images on circles of {ANGLES} points, and "
    f"their {ANGLES} cyclic shifts. Translations: the {SIDE}^2 = {SIDE**2} "
    "cyclic shifts of the image. *Original*: the unshifted test set; "
    f"*shifted once*: its first {ONCE} samples, each with a random shift; "
    "*all shifts*: the mean over every single shift of the first samples of"
    f" each class, {{rows}} in total ({{net_rows}} for invariant networks), "
    "with the accuracy on the same samples without shifts in parentheses. "
    "*Changed*: the number of predictions for all these shifted samples "
    "that differ from the prediction without a shift, in per mille. The "
    "networks are compared with classifiers of scikit-learn with default "
    "settings (logistic regression: at most 300 iterations), trained on the"
    f" original samples, and with {{copies}} random shifts of each training "
    "sample added. The settings of liftings and networks were chosen on "
    "other samples of the training set; the test set was not used."
)

FEATURES = (
    "Classifiers are trained on parts of the features that "
    '`output="invariant"` returns, without layers: the magnitudes of the '
    "spectra; these and the class probabilities; these and the phases of "
    "the bispectra, which are all features. There are 500 training samples,"
    " the first digits of scikit-learn (8 x 8) and the first of each class "
    f"of MNIST; the test samples are the other digits and the first {ONCE} "
    "test samples of MNIST. The tables contain the accuracy on test samples"
    " that are shifted at random. *Changed*: predictions that differ from "
    "those for the unshifted samples, in per mille."
)


def shifted(X: Any, grid: tuple[int, ...], shift: tuple[int, ...]) -> Any:
    """Shift rows along the axes of the grid."""
    signals = X.reshape(len(X), -1, *grid)
    return np.roll(signals, shift, range(2, signals.ndim)).reshape(X.shape)


def shifts_of(grid: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Return every shift, beginning with none."""
    return itertools.product(*map(range, grid))


def moved_once(X: Any, grid: tuple[int, ...], rng: np.random.Generator) -> Any:
    """Shift every row by a random shift of its own."""
    moves = rng.integers(0, grid, (len(X), len(grid)))
    pairs = zip(X, moves.tolist(), strict=True)
    return np.concatenate([shifted(x[None], grid, tuple(move)) for x, move in pairs])


def with_copies(X: Any, y: Any, grid: tuple[int, ...], copies: int) -> tuple[Any, Any]:
    """Return rows and randomly shifted copies of each."""
    rng = np.random.default_rng(0)
    parts = [X, *(moved_once(X, grid, rng) for _ in range(copies))]
    return np.concatenate(parts), np.tile(y, copies + 1)


@dataclass
class Experiment:
    """Digits, their number, the grid, and published results.

    Parameters
    ----------
    title : str
    digits : int
        Number of classes; the first ones are used.
    train, test : int
        Training and test rows of each class; None: all.
    radii : int
        Circles; 0: translations of the images themselves.
    nets : dict of str to pipeline
        Invariant networks after their lifting.
    published : list of (method, accuracy on original rows, on all shifts)
    """

    title: str
    digits: int
    train: int
    test: int | None
    radii: int
    nets: dict[str, Callable[[], BaseEstimator]]
    published: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape of the grid on which rows are shifted."""
        return (ANGLES,) if self.radii else (SIDE, SIDE)


def net(grid: tuple[int, ...], n_filters: int = 16, **options: Any) -> BaseEstimator:
    """Return a pipeline of a lifting and a network with the options ``net_*``."""
    inner = {k[4:]: v for k, v in options.items() if k.startswith("net_")}
    outer = {k: v for k, v in options.items() if not k.startswith("net_")}
    return make_pipeline(
        ConvolutionalLifting(n_filters, signal_shape=grid, random_state=0, **outer),
        InvariantReduNetClassifier(**inner),
    )


def leading(X: Any, y: Any, digits: int, n: int | None) -> tuple[Any, Any]:
    """Return the first n rows of every class, in their order, or all if n is None."""
    kept = np.sort(np.concatenate([np.flatnonzero(y == j)[:n] for j in range(digits)]))
    return X[kept], y[kept]


def rows_of(experiment: Experiment, data: Path | None) -> _data.Split:
    """Return training and test rows, on circles for rotations."""
    sizes = (60_000, 10_000)
    if data is None:  # generated rows: enough of each class
        sizes = (30 * experiment.train, 30 * (experiment.test or 50))
    rows = _data.mnist(data, "float32", *sizes)
    X, y = leading(rows.X_train, rows.y_train, experiment.digits, experiment.train)
    X_test, y_test = leading(
        rows.X_test, rows.y_test, experiment.digits, experiment.test
    )
    if experiment.radii:
        polar = PolarTransformer(n_radii=experiment.radii, n_angles=ANGLES).fit(X)
        X, X_test = polar.transform(X), polar.transform(X_test)
    return _data.Split(X, y, X_test, y_test)


def models(experiment: Experiment) -> Iterator[tuple[str, BaseEstimator, bool]]:
    """Yield names, estimators, and whether they get shifted copies of rows."""
    for name, make in experiment.nets.items():
        yield name, make(), False
    yield "plain ReduNet", ReduNetClassifier(), False
    for copies in (False, True):
        others = {
            "5-NN": KNeighborsClassifier(),
            "SVC": SVC(),
            "logistic regression": LogisticRegression(max_iter=300),
        }
        for name, model in others.items():
            yield f"{name}, shifted copies" if copies else name, model, copies


@dataclass
class Scores:
    """Accuracies, share of predictions that change with shifts, and seconds."""

    original: float
    once: float
    part: float
    shifted: float
    changed: float
    seconds: float

    def cells(self) -> list[str]:
        """Return the scores as text."""
        every = f"{self.shifted:.4f} ({self.part:.4f})"
        share = f"{1000 * self.changed:.2f}"
        cells = [f"{self.original:.4f}", f"{self.once:.4f}", every, share]
        return [*cells, f"{self.seconds:.1f}"]


def scored(
    model: BaseEstimator, rows: _data.Split, grid: tuple[int, ...], n: int
) -> Scores:
    """Return the scores of a fitted model, with all shifts of n test rows."""
    X, y = rows.X_test, rows.y_test
    start = time.perf_counter()
    still = model.predict(X)
    seconds = time.perf_counter() - start
    once = model.predict(moved_once(X[:ONCE], grid, np.random.default_rng(1)))
    digits = int(y.max()) + 1
    index = leading(np.arange(len(y)), y, digits, max(1, n // digits))[0]
    part, right = still[index], y[index]
    moved = (shifted(X[index], grid, shift) for shift in shifts_of(grid))
    every = np.stack([model.predict(Z) for Z in moved])
    changed = np.sum(once != still[:ONCE]) + np.sum(every != part)
    return Scores(
        float(np.mean(still == y)),
        float(np.mean(once == y[:ONCE])),
        float(np.mean(part == right)),
        float(np.mean(every == right)),
        float(changed / (once.size + every.size)),
        seconds,
    )


def run(report: Report, experiment: Experiment, args: argparse.Namespace) -> None:
    """Run an experiment, and print its table."""
    rows, grid = rows_of(experiment, args.data), experiment.grid
    sizes = f"{len(rows.X_train)} training samples, {len(rows.X_test)} test samples"
    report.say(f"### {experiment.title}\n\n{sizes}.")
    table = []
    for name, model, copies in models(experiment):
        if args.models and name not in args.models:
            continue
        X, y = rows.X_train, rows.y_train
        if copies:
            X, y = with_copies(X, y, grid, args.copies)
        fit = seconds_of(partial(model.fit, X, y))
        n = args.net_rows if name in experiment.nets else args.rows
        table.append([name, *scored(model, rows, grid, n).cells()])
        table[-1].insert(-1, f"{fit:.1f}")
        progress(f"{experiment.title}: {' | '.join(table[-1])}")
    for name, original, every in experiment.published:
        table.append([f"published: {name}", original, "–", every, "–", "–", "–"])
    header = ["method", "original", "shifted once", "all shifts (as they are)"]
    report.table([*header, "changed", "fit, s", "predict, s"], table)


def features(report: Report, data: Path | None) -> None:
    """Compare classifiers on invariant features and on parts of them."""
    readers = {
        "5-NN": KNeighborsClassifier(),
        "logistic": LogisticRegression(max_iter=300),
        "5-NN, standardised": make_pipeline(StandardScaler(), KNeighborsClassifier()),
        "logistic, standardised": make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=300)
        ),
    }
    report.say(f"### Features\n\n{FEATURES}")
    table = []
    for (name, rows, grid, kernel), n in itertools.product(feature_sets(data), (0, 16)):
        title = f"{name}, {n or 'no'} filters"
        for part, cells in read(rows, grid, n, kernel, list(readers.values())):
            table.append([title, part, *cells])
            progress(" | ".join(table[-1]))
    report.table(["rows", "features", *readers, "changed"], table)


def feature_sets(data: Path | None) -> Iterator[tuple[str, _data.Split, Any, int]]:
    """Yield names, rows, grids and sizes of filters."""
    X, y = load_digits(return_X_y=True)
    yield "digits", _data.Split(X[:500], y[:500], X[500:], y[500:]), (8, 8), 5
    rows = _data.mnist(data, "float32", 60_000 if data else 2000, ONCE)
    X, y = leading(rows.X_train, rows.y_train, 10, 50)
    yield "MNIST", _data.Split(X, y, rows.X_test, rows.y_test), (SIDE, SIDE), 11


def read(
    rows: _data.Split, grid: tuple[int, ...], n: int, kernel: int, readers: list[Any]
) -> Iterator[tuple[str, list[str]]]:
    """Yield parts of the features for n filters, and the accuracies of classifiers."""
    bank = BARE | {"kernel_size": kernel, "random_state": 0}
    steps = [ConvolutionalLifting(n, signal_shape=grid, **bank)] if n else []
    net = InvariantReduNetTransformer(0, signal_shape=grid, output="invariant")
    model, y = make_pipeline(*steps, net).fit(rows.X_train, rows.y_train), rows.y_train
    moved = moved_once(rows.X_test, grid, np.random.default_rng(1))
    n_frequencies = grid[0] * (grid[1] // 2 + 1)
    Z, Z_test, Z_moved = map(model.transform, (rows.X_train, rows.X_test, moved))
    every, n_magnitudes = np.arange(Z.shape[1]), max(1, n) * n_frequencies
    parts = {
        "magnitudes": every < n_magnitudes,
        "and probabilities": (every < n_magnitudes) | (every >= every.size - 10),
        "and phases": every >= 0,
    }
    for name, part in parts.items():
        fitted = [m.fit(Z[:, part], y) for m in readers]
        still = np.stack([m.predict(Z_test[:, part]) for m in fitted])
        after = np.stack([m.predict(Z_moved[:, part]) for m in fitted])
        accuracies = [f"{a:.4f}" for a in np.mean(after == rows.y_test, axis=1)]
        yield name, [*accuracies, f"{1000 * np.mean(still != after):.2f}"]


def main(arguments: list[str] | None = None) -> None:
    """Run the requested experiments."""
    options = Benchmark(
        "shifts",
        "Shifts and rotations",
        {"shifts": _measure},
        data="folder with mnist.npz",
    )
    options.add_argument("--experiments", nargs="+", choices=(*EXPERIMENTS, "features"))
    options.add_argument("--models", nargs="+", help="names as printed; default: all")
    options.add_argument(
        "--rows", type=int, default=100, help="test rows of which all shifts are taken"
    )
    options.add_argument("--net-rows", type=int, default=20, help="the same for nets")
    options.add_argument(
        "--copies", type=int, default=10, help="shifted copies of each training row"
    )
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    name = (
        ""
        if args.data
        else " **The data are generated samples of the shape of MNIST, not MNIST.**"
    )
    report.say(PROTOCOL.format(**vars(args)) + name)
    for key in args.experiments or (*EXPERIMENTS, "features"):
        if key == "features":
            features(report, args.data)
        else:
            run(report, EXPERIMENTS[key], args)


ROTATIONS, TRANSLATIONS = partial(net, (ANGLES,)), partial(net, (SIDE, SIDE))
# Responses that are greater than zero.
BARE: dict[str, Any] = {
    "kernel_size": 9,
    "filters": "kmeans",
    "threshold": 0.0,
    "pooling": None,
}
COSINES: dict[str, Any] = BARE | {"filters": "dct"}
# Three layers after 16 filters changed no accuracy on other training rows.
ALONE: dict[str, Any] = BARE | {"kernel_size": 11, "net_n_layers": 0}
LARGE: dict[str, Any] = ALONE | {"threshold": 1.0}
SMOOTHED: dict[str, Any] = LARGE | {"pooling": 0.9 / 11}  # 0.9 pixels
EXPERIMENTS = {
    "rotations-2": Experiment(
        "Rotations of 0 and 1 (8 circles; published: 5)",
        2,
        1000,
        1000,
        8,
        {
            "invariant net, 5 cosines": partial(ROTATIONS, 5, **COSINES),
            "invariant net, 5 principal filters, both signs": partial(
                ROTATIONS, 5, **BARE | {"filters": "pca", "activation": "split"}
            ),
        },
        [
            ("invariant ReduNet, 5 filters", "0.996", "0.993"),
            ("plain ReduNet", "0.983", "0.707"),
        ],
    ),
    "translations-2": Experiment(
        "Translations of 0 and 1",
        2,
        500,
        250,
        0,
        {
            "invariant net, 5 cosines": partial(TRANSLATIONS, 5, **COSINES),
            "invariant net, 5 principal filters, both signs": partial(
                TRANSLATIONS,
                5,
                **BARE | {"kernel_size": 11, "filters": "pca", "activation": "split"},
            ),
        },
        [
            ("invariant ReduNet, 5 filters", "0.975", "0.909"),
            ("plain ReduNet", "0.980", "0.540"),
        ],
    ),
    "rotations-10": Experiment(
        "Rotations of ten digits (15 circles)",
        10,
        10,
        10,
        15,
        {"invariant net, 20 cosines": partial(ROTATIONS, 20, **COSINES)},
        [("figures only", "–", "–")],
    ),
    "translations-10": Experiment(
        "Translations of ten digits, 100 rows to fit",
        10,
        10,
        10,
        0,
        {
            "invariant net, default lifting": partial(TRANSLATIONS, net_n_layers=0),
            "invariant net, 16 clustered filters": partial(TRANSLATIONS, 16, **ALONE),
        },
        [("figures only", "–", "–")],
    ),
    "translations-10-full": Experiment(
        "Translations of ten digits, 500 training samples, full test set",
        10,
        50,
        None,
        0,
        {
            "invariant net, default lifting": partial(TRANSLATIONS, net_n_layers=0),
            "invariant net, 16 clustered filters": partial(TRANSLATIONS, 16, **ALONE),
            "invariant net, 48 clustered filters": partial(TRANSLATIONS, 48, **LARGE),
            "invariant net, 48 clustered filters, roots smoothed": partial(
                TRANSLATIONS, 48, **SMOOTHED
            ),
        },
        [("ReduNet, 16 channels, 30 layers, no back-propagation", "0.898", "–")],
    ),
}


if __name__ == "__main__":
    main()
