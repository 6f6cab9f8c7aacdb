"""Scattering before an invariant network: digits, clothes, rotations and series.

Run ``python -m benchmarks.scattering --data FOLDER``; the folder contains mnist.npz,
fashion_mnist.npz and ucr_time_series.npz. Without it, generated rows of the shape of
MNIST are used, and there are no other images and no series.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import ndimage
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from benchmarks.shifts import LARGE, SIDE, SMOOTHED, TRANSLATIONS, leading, moved_once
from skredu import (
    InvariantReduNetClassifier,
    MICLClassifier,
    PolarTransformer,
    ScatteringTransformer,
    make_invariant_pipeline,
)

GRID = (SIDE, SIDE)
MARGIN = 2  # around aligned images, whose size is then a power of two
FRAME = (SIDE + 2 * MARGIN, SIDE + 2 * MARGIN)
SCATTERING, FILTERS = "scattering", "48 clustered filters"
ALIGNED = "aligned, scattering + MICL"


def aligned(X: Any) -> Any:
    """Shift images by whole pixels to the middle of a frame, as rows.

    The centre of mass is that on a cycle, so cyclic shifts of an image do not matter.
    """
    images = X.reshape(-1, *GRID)
    wave = np.exp(2j * np.pi * np.arange(SIDE) / SIDE)
    shifts = []
    for mass in (images.sum(axis=2), images.sum(axis=1)):
        centre = np.angle(mass @ wave) * SIDE / (2 * np.pi)
        for _ in range(3):  # the mean of what is around the centre
            away = (np.arange(SIDE) - centre[:, None] + SIDE / 2) % SIDE - SIDE / 2
            centre += np.sum(mass * away, axis=1) / np.sum(mass, axis=1)
        shifts.append(np.round(SIDE / 2 - centre).astype(int))
    moved = [np.roll(x, s, (0, 1)) for x, *s in zip(images, *shifts, strict=True)]
    return np.pad(moved, [(0, 0), *2 * [(MARGIN, MARGIN)]]).reshape(len(X), -1)


def on_aligned() -> Any:
    """Return a classifier of images that is invariant to cyclic shifts."""
    return make_pipeline(
        FunctionTransformer(aligned),
        ScatteringTransformer(3, signal_shape=FRAME, subsampling=8),
        FunctionTransformer(np.asarray),
        MICLClassifier(),
    )


MODELS: dict[str, Callable[[], Any]] = {
    SCATTERING: lambda: make_invariant_pipeline(GRID),
    "scattering, 2 scales, 8 angles": lambda: make_invariant_pipeline(
        GRID, n_scales=2, n_angles=8
    ),
    "scattering, order 1": lambda: make_invariant_pipeline(GRID, order=1),
    "scattering, roots": lambda: make_invariant_pipeline(GRID, activation="root"),
    "scattering, all points": lambda: make_invariant_pipeline(GRID, subsampling=1),
    ALIGNED: on_aligned,
    "scattering + MICL": lambda: make_pipeline(
        ScatteringTransformer(signal_shape=GRID), MICLClassifier()
    ),
    FILTERS: lambda: TRANSLATIONS(48, **LARGE),
    f"{FILTERS}, roots smoothed": lambda: TRANSLATIONS(48, **SMOOTHED),
}
PROTOCOL = (
    "Networks without layers after `ScatteringTransformer` with its defaults (3 scales,"
    " 6 angles, orders 0 to 2, logarithm), or after learned filters. The training "
    "samples are the first of each class, pixels in [0, 1], float32. *Error*: on the "
    "test set; *shifted*: on the same samples, each with a random cyclic shift. All "
    "settings were chosen on training samples 55 000 to 60 000. Seconds are of the "
    "CPU, and milliseconds are those per image of `transform`."
)
PREDICTED = 500  # rows that are transformed at a time


def cpu(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result of a call, and the seconds of the CPU that it takes."""
    start = time.process_time()
    return work(), time.process_time() - start


def predictions(model: Any, X: Any) -> Any:
    """Predict rows, of which some at a time are transformed."""
    starts = range(0, len(X), PREDICTED)
    return np.concatenate([model.predict(X[s : s + PREDICTED]) for s in starts])


def percent(found: Any, y: Any) -> str:
    """Return the share of wrong predictions in per cent."""
    return f"{100 * np.mean(found != y):.2f}"


def images(args: argparse.Namespace, name: str = "mnist") -> _data.Split:
    """Return images as rows of pixels in [0, 1]."""
    if name == "mnist":
        return _data.mnist(args.data, "float32", args.train, args.test)
    with np.load(args.data / f"{name}.npz", allow_pickle=False) as file:
        X = [file[f"X_{part}"].reshape(-1, SIDE**2) for part in ("train", "test")]
        X_train, X_test = (x.astype(np.float32) / np.float32(255) for x in X)
        y_test = file["y_test"][: args.test]
        return _data.Split(X_train, file["y_train"], X_test[: args.test], y_test)


def digits(report: Report, args: argparse.Namespace) -> None:
    """Compare models of images."""
    report.say(f"### Images\n\n{PROTOCOL}")
    names = ["mnist", "fashion_mnist"] if args.data else ["mnist"]
    table = []
    for name in names:
        rows = images(args, name)
        moved = moved_once(rows.X_test, GRID, np.random.default_rng(1))
        for n in args.per_class:
            X, y = leading(rows.X_train, rows.y_train, 10, n)
            for label in args.models or MODELS:
                if label != SCATTERING and n > args.others:
                    continue
                table.append([name, str(len(X)), label])
                table[-1] += measured(MODELS[label](), X, y, rows, moved)
                progress(" | ".join(table[-1]))
    header = ["images", "training samples", "model", "error, %", "shifted, %"]
    report.table([*header, "ms", "fit, s", "predict, s"], table)


def measured(model: Any, X: Any, y: Any, rows: Any, moved: Any) -> list[str]:
    """Return errors and times of a model."""
    _, fit = cpu(lambda: model.fit(X, y))
    still, predict = cpu(lambda: predictions(model, rows.X_test))
    some = rows.X_test[:PREDICTED]
    _, transform = cpu(lambda: model[:-1].transform(some))
    errors = [
        percent(found, rows.y_test) for found in (still, predictions(model, moved))
    ]
    times = [f"{1000 * transform / len(some):.2f}", f"{fit:.1f}", f"{predict:.1f}"]
    return [*errors, *times]


def stream(report: Report, args: argparse.Namespace) -> None:
    """Measure the error while parts of the digits arrive."""
    rows = images(args)
    report.say(
        f"### Parts of {args.size} samples\n\nThe samples of MNIST are transformed and "
        "added to the classifier by `partial_fit`, one part after the other. "
        f"*{ALIGNED}*: each image is shifted such that its cyclic centre of mass is in "
        "the middle of a frame of 32 x 32 points; scattering with 3 scales and 6 angles"
        " at 4 x 4 points, then `MICLClassifier`. *Shifted*: each test sample with a "
        "random shift."
    )
    moved = moved_once(rows.X_test, GRID, np.random.default_rng(1))
    table = []
    for label in args.models or (SCATTERING, ALIGNED):
        model, seconds = MODELS[label](), 0.0
        model[:-1].fit(rows.X_train[: args.size])
        for start in range(0, len(rows.X_train), args.size):
            part = slice(start, start + args.size)
            seconds += cpu(partial(_learn, model, rows, part))[1]
            progress(f"{label}, {part.stop} samples: {seconds:.0f} s")
        found, predict = cpu(lambda: predictions(model, rows.X_test))  # noqa: B023
        errors = percent(found, rows.y_test)
        shifted = percent(predictions(model, moved), rows.y_test)
        times = f"{seconds:.0f}", f"{predict:.0f}"
        table.append([label, str(len(rows.X_train)), errors, shifted, *times])
    header = ["model", "training samples", "error, %", "shifted, %"]
    report.table([*header, "parts, s", "choice and prediction, s"], table)


def _learn(model: Any, rows: _data.Split, part: slice) -> None:
    """Add a part of the rows to a classifier, which chooses its parameters later."""
    Z = model[:-1].transform(rows.X_train[part])
    model[-1].partial_fit(Z, rows.y_train[part], classes=np.arange(10))


def on_circles() -> Any:
    """Return a classifier that is invariant to rotations of images."""
    return make_pipeline(
        PolarTransformer(GRID, 16, 64),
        FunctionTransformer(np.asarray),  # as images, radius by angle
        ScatteringTransformer(3, 4, signal_shape=(16, 64), subsampling=4),
        FunctionTransformer(np.asarray),  # as channels on circles of 16 points
        InvariantReduNetClassifier(0, signal_shape=16),
    )


def rotations(report: Report, args: argparse.Namespace) -> None:
    """Measure the error on digits that are rotated by any angle."""
    report.say(
        "### Rotated digits\n\nThe images of MNIST are sampled on 16 circles of 64 "
        "points, which are transformed as images with 3 scales and 4 angles. The "
        "network is invariant to shifts along the circles only; the circles are "
        "channels. *Rotated*: the first 2000 test samples, each by a random angle "
        "(cubic interpolation). Sixes and nines cannot be told apart by an invariant "
        "model: *without 9* leaves out the nines."
    )
    rows, table = images(args), []
    some = rows.X_test[:2000]
    turned = np.stack(
        [
            ndimage.rotate(x.reshape(GRID), angle, reshape=False, order=3).ravel()
            for x, angle in zip(
                some, np.random.default_rng(1).uniform(0, 360, len(some)), strict=True
            )
        ]
    )
    for n in args.per_class:
        for n_classes in (10, 9):
            X, y = leading(rows.X_train, rows.y_train, n_classes, n)
            model = on_circles().fit(X, y)
            kept = rows.y_test[:2000] < n_classes
            errors = [
                percent(predictions(model, Z[kept]), rows.y_test[:2000][kept])
                for Z in (some, turned)
            ]
            name = "all" if n_classes == 10 else "without 9"
            table.append([name, str(len(X)), *errors])
            progress(" | ".join(table[-1]))
    report.table(["digits", "training samples", "error, %", "rotated, %"], table)


SERIES: dict[str, Callable[[int], Any]] = {
    "cyclic + invariant network": make_invariant_pipeline,
    "reflected + invariant network": lambda size: make_invariant_pipeline(
        size, padding="reflect"
    ),
    "reflected + StandardScaler + MICL": lambda size: make_pipeline(
        ScatteringTransformer(signal_shape=size, padding="reflect"),
        StandardScaler(),
        MICLClassifier(),
    ),
    "the same, 4 wavelets per octave": lambda size: make_pipeline(
        ScatteringTransformer(signal_shape=size, padding="reflect", quality=4),
        StandardScaler(),
        MICLClassifier(),
    ),
    "reflected + StandardScaler + ridge": lambda size: make_pipeline(
        ScatteringTransformer(signal_shape=size, padding="reflect"),
        StandardScaler(),
        RidgeClassifierCV(np.logspace(-3, 3, 10)),
    ),
}


def series(report: Report, args: argparse.Namespace) -> None:
    """Measure the accuracy on time series."""
    if args.data is None:
        return
    report.say(
        "### Time series\n\nAccuracy on the test samples of the UCR archive, with the "
        "same settings for all sets."
    )
    names = _data.ucr_sets(args.data)
    scores = {label: list[float]() for label in SERIES}
    for name in names:
        rows = _data.ucr(args.data, name)
        for label, make in SERIES.items():
            model = make(rows.X_train.shape[1]).fit(rows.X_train, rows.y_train)
            scores[label].append(float(model.score(rows.X_test, rows.y_test)))
        progress(f"{name}: {[found[-1] for found in scores.values()]}")
    report.table(
        ["model", "mean", *names],
        [
            [label, f"{np.mean(found):.3f}", *(f"{score:.3f}" for score in found)]
            for label, found in scores.items()
        ],
    )


PARTS = {
    "images": digits,
    "stream": stream,
    "rotations": rotations,
    "series": series,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the requested parts."""
    options = Benchmark(
        "scattering", "Scattering", PARTS, data="folder of the data files"
    )
    options.add_argument("--train", type=int, default=60_000, help="rows to fit")
    options.add_argument("--test", type=int, default=10_000, help="rows to test")
    options.add_argument("--size", type=int, default=10_000, help="rows of a part")
    options.add_argument(
        "--per-class", type=int, nargs="+", default=[50, 500], help="training samples"
    )
    options.add_argument(
        "--others", type=int, default=50, help="most of them for other models"
    )
    options.add_argument("--models", nargs="+", help="names as printed; default: all")
    options.run(arguments)


if __name__ == "__main__":
    main()
