"""Converters from the published files of data sets to those that the benchmarks read.

Each function takes the downloaded files by name and returns the arrays of a NumPy file,
or a table with the target in its last column.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Files = Mapping[str, Path]
Arrays = dict[str, Any]
OPENERS = {".gz": gzip.open, ".bz2": bz2.open}
# Names of lights in the files of Extended Yale B.
LIGHT = re.compile(r"(yaleB\d\d)_P00A([+-]\d{3})E([+-]\d\d)\.pgm$")
TRAFFIC = re.compile(r"cars|truck|kanatani[12]")
ADULT = """age workclass fnlwgt education education_num marital_status occupation
    relationship race sex capital_gain capital_loss hours_per_week native_country
    target""".split()  # noqa: SIM905
CHECKERBOARD = re.compile(r"\d|three-cars")


def opened(path: Path) -> bytes:
    """Return the content of a file, decompressed if its name says so."""
    opener = OPENERS.get(path.suffix, open)
    with opener(path, "rb") as file:
        return file.read()


def idx(files: Files) -> Arrays:
    """Convert the four files of MNIST and of sets in its format."""
    names = {
        "X_train": "train-images-idx3-ubyte.gz",
        "y_train": "train-labels-idx1-ubyte.gz",
        "X_test": "t10k-images-idx3-ubyte.gz",
        "y_test": "t10k-labels-idx1-ubyte.gz",
    }
    return {key: _idx(opened(files[name])) for key, name in names.items()}


def _idx(content: bytes) -> Any:
    n_axes = content[3]
    if content[:3] != b"\0\0\x08":
        raise ValueError("an idx file of bytes begins with 0, 0, 8")
    shape = np.frombuffer(content, ">u4", n_axes, offset=4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes)
    return values.reshape(shape)


def usps(files: Files) -> Arrays:
    """Convert zip.train.gz and zip.test.gz: labels and 256 values in [-1, 1]."""
    arrays = {}
    for part in ("train", "test"):
        table = np.loadtxt(io.BytesIO(opened(files[f"zip.{part}.gz"])), ndmin=2)
        X = np.rint(1000 * table[:, 1:]).astype(np.int16)
        arrays[f"X_{part}"] = X.reshape(-1, 16, 16)
        arrays[f"y_{part}"] = table[:, 0].astype(np.uint8)
    return arrays


def _block_sums(image: Any) -> Any:
    h, w = image.shape
    blocks = image.astype(np.int64).reshape(h // 4, 4, w // 4, 4)
    return blocks.sum(axis=(1, 3))


def _decoded(content: bytes) -> Any:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content)))


def yale(files: Files) -> Arrays:
    """Convert the cropped faces; each pixel is the mean of 4 x 4 of the original."""
    found = []
    with zipfile.ZipFile(files["CroppedYale.zip"]) as archive:
        for name in archive.namelist():
            if light := LIGHT.search(name):
                image = _block_sums(_decoded(archive.read(name)))
                found.append((Path(name).name, *light.groups(), image))
    found.sort(key=lambda entry: entry[0])
    _, names, azimuth, elevation, images = zip(*found, strict=True)
    subjects, y = np.unique(names, return_inverse=True)
    return {
        "X": np.rint(np.stack(images) / 16).astype(np.uint8),
        "y": y.astype(np.uint8),
        "azimuth": np.array(azimuth, dtype=np.int16),
        "elevation": np.array(elevation, dtype=np.int16),
        "subjects": subjects,
    }


def coil20(files: Files) -> Arrays:
    """Convert the images of 20 objects; each pixel is the sum of 4 x 4."""
    found = []
    with zipfile.ZipFile(files["coil-20-proc.zip"]) as archive:
        for name in archive.namelist():
            if place := re.search(r"obj(\d+)__(\d+)\.png$", name):
                number, view = map(int, place.groups())
                found.append((number, view, _block_sums(_decoded(archive.read(name)))))
    found.sort(key=lambda entry: entry[:2])
    numbers, _, images = zip(*found, strict=True)
    return {
        "X": np.stack(images).astype(np.uint16),
        "y": np.array(numbers, dtype=np.uint8) - np.uint8(1),
    }


def hopkins(files: Files, names: Iterable[str] | None = None) -> Arrays:
    """Convert the motions of Hopkins 155, those with the given names or all."""
    from scipy.io import loadmat

    kept = None if names is None else set(names)
    found: dict[str, Any] = {}
    with zipfile.ZipFile(files["Hopkins155.zip"]) as archive:
        for path in archive.namelist():
            name = path.rpartition("/")[2].removesuffix("_truth.mat")
            if path.endswith("_truth.mat") and (kept is None or name in kept):
                found[name] = loadmat(io.BytesIO(archive.read(path)))
    arrays: Arrays = {"names": np.array(sorted(found))}
    arrays["category"] = np.array([_category(name) for name in sorted(found)])
    sizes, counts = [], []
    for name in sorted(found):
        entry = found[name]
        motions = np.unique(entry["s"].ravel(), return_inverse=True)
        arrays[f"x/{name}"] = entry["x"][:2].astype(np.float32)
        arrays[f"s/{name}"] = motions[1].astype(np.uint8)
        arrays[f"K/{name}"] = entry["K"].astype(np.float32)
        sizes.append([int(entry["width"].item()), int(entry["height"].item())])
        counts.append(len(motions[0]))
    arrays["n_motions"] = np.array(counts, dtype=np.uint8)
    arrays["image_size"] = np.array(sizes, dtype=np.uint16)
    return arrays


def _category(name: str) -> str:
    if CHECKERBOARD.match(name):
        return "checkerboard"
    return "traffic" if TRAFFIC.match(name) else "other"


def bsds(files: Files, ids: Iterable[str] | None = None) -> Arrays:
    """Convert photographs of the BSDS500 and what people marked in them."""
    from scipy.io import loadmat

    kept = None if ids is None else set(ids)
    arrays: Arrays = {}
    splits = {}
    with tarfile.open(files["BSR_bsds500.tgz"]) as archive:
        for member in archive:
            place = re.search(r"/(train|val|test)/(\d+)\.(jpg|mat)$", member.name)
            if not place or (kept is not None and place[2] not in kept):
                continue
            content = archive.extractfile(member)
            if content is None:
                raise ValueError(f"{member.name} is not a file")
            splits[place[2]] = place[1]
            if place[3] == "jpg":
                arrays[f"img/{place[2]}"] = _decoded(content.read())
            else:
                cells = loadmat(io.BytesIO(content.read()))["groundTruth"].ravel()
                truths = [cell["Segmentation"].item() for cell in cells]
                arrays[f"seg/{place[2]}"] = _segments(truths)
    order = {"test": 0, "train": 1, "val": 2}
    found = sorted(splits, key=lambda i: (order[splits[i]], int(i)))
    arrays["ids"] = np.array(found)
    arrays["split"] = np.array([splits[i] for i in found])
    return arrays


def _segments(truths: Iterable[Any]) -> Any:
    """Return segmentations with numbers from 0, in as few bytes as they need."""
    stacked = np.stack([truth.astype(np.int64) - 1 for truth in truths])
    return stacked.astype(np.uint8 if stacked.max() < 256 else np.uint16)


def series(files: Files) -> Arrays:
    """Convert archives of time series with one NAME_TRAIN.txt and NAME_TEST.txt each.

    Rows have the label first, and values are separated by white space.
    """
    arrays: Arrays = {"names": np.array([Path(name).stem for name in files])}
    for file, path in files.items():
        name = Path(file).stem
        parts = {}
        with zipfile.ZipFile(path) as archive:
            for part in ("TRAIN", "TEST"):
                content = archive.read(f"{name}_{part}.txt")
                parts[part.lower()] = np.loadtxt(io.BytesIO(content), ndmin=2)
        labels = np.concatenate([rows[:, 0] for rows in parts.values()]).astype(int)
        arrays[f"{name}/classes"] = classes = np.unique(labels).astype(np.int16)
        for part, rows in parts.items():
            y = np.searchsorted(classes, rows[:, 0].astype(int))
            arrays[f"{name}/X_{part}"] = rows[:, 1:].astype(np.float32)
            arrays[f"{name}/y_{part}"] = y.astype(np.uint8)
    return arrays


def genes(files: Files) -> Arrays:
    """Convert gene expressions: five files of R, and the text files of two others."""
    parts = dict(_genes_of_r(files))
    train, test = (_numbers(files[f"khan.x{part}"]) for part in ("train", "test"))
    labels = [_numbers(files[f"khan.y{part}"]).ravel() for part in ("train", "test")]
    is_train = np.repeat([True, False], [train.shape[1], test.shape[1]])
    y = np.concatenate(labels)
    X = np.concatenate([train.T, test.T])[np.isfinite(y)]
    named = np.array(["BL", "EWS", "NB", "RMS"])[y[np.isfinite(y)].astype(int) - 1]
    parts["khan"] = X, named, is_train[np.isfinite(y)]
    lines = files["nci.label.txt"].read_text(encoding="ascii").splitlines()
    cells = np.array([line.strip().strip('"') for line in lines if line.strip()])
    parts["nci60"] = _numbers(files["nci.data.csv"])[:, -len(cells) :].T, cells, None
    order = ["alon", "golub", "khan", "nci60", "singh", "shipp", "su"]
    arrays: Arrays = {"names": np.array([name for name in order if name in parts])}
    for name in arrays["names"].tolist():
        X, y, first = parts[name]
        kind = np.int32 if name in {"golub", "shipp"} else np.float32
        classes, codes = np.unique(y, return_inverse=True)
        arrays[f"{name}/X"], arrays[f"{name}/y"] = X.astype(kind), codes.astype("u1")
        arrays[f"{name}/class_names"] = classes
        if first is not None:
            arrays[f"{name}/is_train"] = first
    return arrays


def _genes_of_r(files: Files) -> Iterator[tuple[str, tuple[Any, Any, Any]]]:
    """Yield the sets of R: a list of ``x`` with samples as rows, and labels ``y``."""
    from rdata import read_rda

    for file, path in files.items():
        if file.endswith(".RData"):
            name = Path(file).stem
            entry = read_rda(path)[name]
            y = np.asarray(entry["y"]).astype(str)
            first = np.arange(len(y)) < 38 if name == "golub" else None
            yield name, (np.asarray(entry["x"]), y, first)


def _numbers(path: Path) -> Any:
    """Return numbers of a text file, NaN for NA, without a header and quoted names."""
    rows = []
    for line in path.read_text(encoding="ascii").splitlines():
        cells = [c for c in re.split(r"[,\s]+", line.strip()) if c[:1] != '"']
        if cells and cells != [""]:
            rows.append([np.nan if c == "NA" else float(c) for c in cells if c])
    return np.array([row for row in rows if row])


# -- tables ---------------------------------------------------------------------------


def arff(files: Files) -> Any:
    """Convert a table of OpenML; its description names the target."""
    import pandas as pd
    from scipy.io.arff import loadarff

    description, table = files.values()
    facts = json.loads(opened(description))["data_set_description"]
    records, _ = loadarff(io.StringIO(opened(table).decode("utf-8")))
    frame = pd.DataFrame.from_records(records)
    for name in frame.columns:
        if frame[name].dtype == object:
            text = frame[name].str.decode("utf-8")
            frame[name] = text.where(text != "?")
    return _target_last(frame, facts["default_target_attribute"])


def vowel(files: Files) -> Any:
    """Convert the vowels of OpenML, without the columns that tell the speaker."""
    frame = arff(files)
    extra = [name for name in frame.columns[:-1] if not name.startswith("Feature")]
    return frame.drop(columns=extra)


def adult(files: Files) -> Any:
    """Convert the first file of Adult, 8000 random rows of it."""
    import pandas as pd

    frame = pd.read_csv(
        files["adult.data"], names=ADULT, skipinitialspace=True, na_values=["?"]
    )
    kept = np.random.default_rng(0).choice(len(frame), min(8000, len(frame)), False)
    return frame.iloc[kept].reset_index(drop=True)


def titanic(files: Files) -> Any:
    """Convert the passengers of the Titanic."""
    import pandas as pd

    return _target_last(pd.read_csv(files["titanic.csv"]), "Survived")


def _target_last(frame: Any, target: str) -> Any:
    columns = [name for name in frame.columns if name != target]
    return frame[[*columns, target]].rename(columns={target: "target"})
