"""Data of the benchmarks: from a folder of files, embedded, or generated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

MAX_ROWS = 1200  # of a table
MIN_CLASS_ROWS = 5
# Columns that identify rows and contain no information about other rows.
IDENTIFIERS = {"titanic": ["PassengerId", "Name", "Ticket", "Cabin"]}


class Split(NamedTuple):
    """Training and test part."""

    X_train: Any
    y_train: Any
    X_test: Any
    y_test: Any


def mnist(
    data: Path | None, dtype: str = "float64", train: int = 60_000, test: int = 10_000
) -> Split:
    """Return the first rows of MNIST, pixels in [0, 1]; generated rows without data."""
    if data is None:
        return _like_mnist(dtype, train, test)
    with np.load(data / "mnist.npz", allow_pickle=False) as file:
        X_train, X_test = (
            file[name][:size].reshape(-1, 784).astype(dtype) / np.asarray(255, dtype)
            for name, size in (("X_train", train), ("X_test", test))
        )
        return Split(X_train, file["y_train"][:train], X_test, file["y_test"][:test])


def halved(images: Any) -> Any:
    """Return rows in [0, 1] of images (n, h, w) with half of the height and width."""
    n, h, w = images.shape
    return images.reshape(n, h // 2, 2, w // 2, 2).mean((2, 4)).reshape(n, -1) / 255.0


def cifar10(data: Path) -> Split:
    """Return rows of CIFAR-10 in [0, 1], one colour after the other."""
    with np.load(data / "cifar10.npz") as file:
        X, X_test = (
            file[key].reshape(len(file[key]), -1) / np.float32(255)
            for key in ("X_train", "X_test")
        )
        return Split(X, file["y_train"].ravel(), X_test, file["y_test"].ravel())


def _like_mnist(dtype: str, train: int, test: int) -> Split:
    """Generate ten classes in [0, 1]^784, each with most energy in 50 directions."""
    rng = np.random.default_rng(0)
    bases = rng.standard_normal((10, 50, 784), dtype=np.float32) / 40
    means = rng.uniform(0, 0.5, (10, 784)).astype(np.float32)

    def part(n: int) -> tuple[Any, Any]:
        y = rng.integers(10, size=n)
        X = rng.standard_normal((n, 784), dtype=np.float32)
        X *= 0.02
        for j in range(10):
            rows = y == j
            weights = rng.standard_normal((rows.sum(), 50), dtype=np.float32)
            X[rows] += means[j] + weights @ bases[j]
        return np.clip(X, 0, 1).astype(dtype), y

    return Split(*part(train), *part(test))


def microarrays(data: Path) -> list[str]:
    """Return the names of the gene expression data sets."""
    with np.load(data / "microarray.npz", allow_pickle=False) as file:
        return file["names"].tolist()


def microarray(data: Path, name: str) -> tuple[Any, Any]:
    """Return rows and labels of a gene expression data set without small classes."""
    with np.load(data / "microarray.npz", allow_pickle=False) as file:
        X, y = file[f"{name}/X"], file[f"{name}/y"]
    keep = large_classes(y)
    return X[keep].astype(np.float32), y[keep]


def ucr_sets(data: Path) -> list[str]:
    """Return the names of the time series data sets."""
    with np.load(data / "ucr_time_series.npz", allow_pickle=False) as file:
        return file["names"].tolist()


def ucr(data: Path, name: str) -> Split:
    """Return the published training and test part of a time series data set.

    The file has ``names``, and for each ``<name>/X_train``, ``<name>/y_train``,
    ``<name>/X_test`` and ``<name>/y_test``.
    """
    with np.load(data / "ucr_time_series.npz", allow_pickle=False) as file:
        X_train, X_test = (
            file[f"{name}/{key}"].astype(np.float64) for key in ("X_train", "X_test")
        )
        return Split(X_train, file[f"{name}/y_train"], X_test, file[f"{name}/y_test"])


class Sequence(NamedTuple):
    """Tracked points of one video: their paths as rows, and their motions."""

    name: str
    category: str
    n_motions: int
    X: Any
    y: Any

    @property
    def video(self) -> str:
        """Name of the video; two of its motions also form a sequence of their own."""
        return re.sub(r"_g\d\d$", "", self.name)


def hopkins155(data: Path) -> list[Sequence]:
    """Return the sequences of Hopkins 155, with rows ``x1, y1, x2, y2, ...``.

    The file has ``names``, ``category`` and ``n_motions``, and for each name
    ``x/<name>`` of shape (2, points, frames) and ``s/<name>``, the motions.
    """
    with np.load(data / "hopkins155.npz", allow_pickle=False) as file:
        heads = zip(
            *(file[key].tolist() for key in ("names", "category", "n_motions")),
            strict=True,
        )
        return [
            Sequence(name, category, n, _paths(file[f"x/{name}"]), file[f"s/{name}"])
            for name, category, n in heads
        ]


def _paths(x: Any) -> Any:
    """Return one row of coordinates per point from an array (2, points, frames)."""
    return x.transpose(1, 2, 0).reshape(x.shape[1], -1).astype(np.float64)


class Segmented(NamedTuple):
    """A photograph, and its segmentations by several people (m, height, width)."""

    split: str
    image: Any
    segmentations: Any


def segmented_images(data: Path) -> Iterator[Segmented]:
    """Yield photographs of the BSDS500.

    The files have ``ids`` and ``split`` ("train", "val" or "test"), and for each id
    ``img/<id>`` of shape (height, width, 3) and ``seg/<id>``, segments from 0.
    """
    for name in ("bsds500_subset.npz", "bsds500_val60.npz"):
        with np.load(data / name, allow_pickle=False) as file:
            for i, split in zip(
                file["ids"].tolist(), file["split"].tolist(), strict=True
            ):
                yield Segmented(split, file[f"img/{i}"], file[f"seg/{i}"])


def yale_faces(data: Path) -> tuple[Any, Any]:
    """Return cropped Extended Yale B: rows of pixels in [0, 1], subjects from 0."""
    return _images(data / "extended_yale_b.npz", 255.0)


def coil20(data: Path) -> tuple[Any, Any]:
    """Return COIL-20: rows of pixels in [0, 1], and objects from 0."""
    return _images(data / "coil20.npz", 4080.0)


def _images(path: Path, top: float) -> tuple[Any, Any]:
    with np.load(path, allow_pickle=False) as file:
        X, y = file["X"], file["y"]
    return X.reshape(len(X), -1) / top, y


def tables(folder: Path) -> list[str]:
    """Return the names of the CSV files in a folder."""
    return sorted(path.stem for path in folder.glob("*.csv"))


def table(folder: Path, name: str, max_rows: int | None = MAX_ROWS) -> tuple[Any, Any]:
    """Return features (a frame) and labels from a CSV file with the target last.

    Empty cells are missing: NaN in numeric columns, a category in columns of strings.
    Identifiers are left out. At most ``max_rows`` random rows are kept, in their order,
    and then the classes with at least five of them. A file without a header has a name
    that ends with ".dat".
    """
    import pandas as pd

    options = {"keep_default_na": False, "na_values": [""]}
    if (folder / f"{name}.dat").exists():
        options |= {"header": None, "skipinitialspace": True}
        frame = pd.read_csv(folder / f"{name}.dat", **options)
        frame.columns = frame.columns.astype(str)
    else:
        frame = pd.read_csv(folder / f"{name}.csv", **options)
    frame = frame.drop(columns=IDENTIFIERS.get(name, []), errors="ignore")
    kept = np.random.RandomState(0).permutation(len(frame))[:max_rows]
    frame = frame.iloc[np.sort(kept)]
    y = frame.pop(frame.columns[-1]).to_numpy(dtype=str)
    for column in string_columns(frame):
        frame[column] = frame[column].fillna("missing").astype(object)
    keep = large_classes(y)
    return frame[keep].reset_index(drop=True), y[keep]


def string_columns(frame: Any) -> list[str]:
    """Return the columns of a frame that do not contain numbers."""
    from pandas.api.types import is_numeric_dtype

    return [name for name in frame.columns if not is_numeric_dtype(frame[name])]


def large_classes(y: Any) -> Any:
    """Return a mask of the rows whose class has at least five rows."""
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    return counts[codes] >= MIN_CLASS_ROWS
