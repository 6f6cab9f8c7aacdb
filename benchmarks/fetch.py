"""Download data sets, and convert them to the files that the benchmarks read.

Run ``python -m benchmarks.fetch mnist letter --data DATA``. ``--list`` shows all names
with their addresses and licences, ``--source`` reads files from another place, and
``--check`` compares the files in a folder with those of the published tables.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tomllib
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np

from benchmarks import _convert

FINGERPRINTS = Path(__file__).with_name("fingerprints.json")
OPENML = "https://www.openml.org/api/v1/json/data/"


class Source(NamedTuple):
    """Where a data set comes from, and how it becomes a file."""

    file: str
    convert: str
    licence: str
    origin: str
    addresses: list[str]


def _sources() -> dict[str, Source]:
    text = Path(__file__).with_name("sources.toml").read_text(encoding="utf-8")
    return {name: Source(**facts) for name, facts in tomllib.loads(text).items()}


SOURCES = _sources()


# -- files ----------------------------------------------------------------------------


def download(address: str, path: Path) -> Path:
    """Copy what is at an address to a file, unless the file exists."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        request = Request(address, headers={"User-Agent": "skredu-benchmarks"})
        try:
            with urlopen(request, timeout=60) as answer, part.open("wb") as file:
                shutil.copyfileobj(answer, file)
            _check_size(part, answer.headers["Content-Length"])
        except OSError as error:
            raise SystemExit(
                f"{address}: {error}. If the file has moved, download it, and put it "
                f"into {path.parent} as {path.name}."
            ) from error
        part.replace(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path.name}: sha256 {digest}", file=sys.stderr)
    return path


def _check_size(path: Path, expected: str | None) -> None:
    """Raise if a file is shorter or longer than the server said, and remove it."""
    found = path.stat().st_size
    if expected is not None and found != int(expected):
        path.unlink()
        raise OSError(f"{found} bytes came, but {expected} were announced")


def originals(name: str, folder: Path, place: str | None) -> dict[str, Path]:
    """Return the original files of a data set, downloaded if need be."""
    found = {}
    for address in SOURCES[name].addresses:
        parts = urlsplit(address)  # a fragment names the file where the path does not
        file = parts.fragment or parts.path.rpartition("/")[2]
        is_openml = address.startswith(OPENML)
        file = f"{name}.json" if is_openml else file
        found[file] = download(_at(place, name, file) or address, folder / file)
        if is_openml:
            facts = json.loads(found[file].read_bytes())["data_set_description"]
            table = f"{name}.arff"
            path = download(_at(place, name, table) or facts["url"], folder / table)
            _check_md5(path, facts["md5_checksum"])
            found[table] = path
    return found


def _at(place: str | None, name: str, file: str) -> str | None:
    return None if place is None else f"{place.rstrip('/')}/{name}/{file}"


def _check_md5(path: Path, expected: str) -> None:
    """Raise if a file is not the one that OpenML describes, and remove it."""
    found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    if found != expected:
        path.unlink()
        raise ValueError(
            f"{path.name} has the MD5 sum {found}, but OpenML gives {expected}. The "
            "file was removed; try again."
        )


def convert(name: str, files: dict[str, Path], everything: bool = False) -> Any:
    """Return the arrays or the table of a data set.

    Of sequences and photographs, only those of the tables are taken by default.
    """
    task = getattr(_convert, SOURCES[name].convert)
    parts = [key for key in _known().get(name, {}) if key.startswith(("x/", "img/"))]
    if not parts or everything:
        return task(files)
    return task(files, [key.partition("/")[2] for key in parts])


def _known() -> dict[str, dict[str, str]]:
    return json.loads(FINGERPRINTS.read_text(encoding="utf-8"))


def save(content: Any, path: Path) -> None:
    """Write arrays as a NumPy file, or a table as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, dict):
        np.savez_compressed(path, **content)
    else:
        content.to_csv(path, index=False)


def load(path: Path) -> Any:
    """Return what ``save`` wrote."""
    if path.suffix == ".csv":
        import pandas as pd

        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


# -- fingerprints ---------------------------------------------------------------------


def fingerprints(content: Any) -> dict[str, str]:
    """Describe what benchmarks read, so that others can see whether they have it.

    Integers and text are hashed. Real numbers and photographs, which decoders round,
    have their shape and three means instead.
    """
    if isinstance(content, dict):
        return {key: _of_array(key, value) for key, value in sorted(content.items())}
    *columns, target = content.columns
    numbers = content[columns].select_dtypes("number")
    counts = sorted(content[target].value_counts().tolist())
    return {
        "shape": f"{content.shape[0]} x {content.shape[1]}",
        "classes": " ".join(map(str, counts)),
        "empty": str(int(content.isna().sum().sum())),
        "numbers": _means(numbers.fillna(0.0).to_numpy(dtype=float)),
    }


def _of_array(key: str, array: Any) -> str:
    if array.dtype.kind == "f" or key.startswith("img/"):
        return _means(array)
    if array.dtype.kind in "iub":
        array = array.astype("<i8")
        content = array.tobytes()
    else:
        content = "\n".join(array.ravel().tolist()).encode()
    digest = hashlib.sha256(repr(array.shape).encode() + content).hexdigest()
    return f"sha256 {digest[:16]}"


def _means(array: Any) -> str:
    """Return the shape and the means of the values, of their sizes, and with a wave."""
    values = np.asarray(array, dtype=float).ravel()
    if not values.size:
        return "no numbers at all"
    wave = np.cos(np.arange(values.size))
    three = values.mean(), np.abs(values).mean(), np.abs(values) @ wave / len(values)
    shape = "x".join(map(str, np.shape(array)))
    return f"means {shape} " + " ".join(f"{mean:.9g}" for mean in three)


def differences(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Return the names of what is missing or differs."""
    return [
        key
        for key, value in expected.items()
        if key not in found or not _agree(found[key], value)
    ]


def _agree(found: str, expected: str) -> bool:
    if found == expected or not expected.startswith("means"):
        return found == expected
    (*shape, a, b, c), (*expected_shape, d, e, f) = found.split(), expected.split()
    if shape != expected_shape:
        return False
    gaps = [abs(float(x) - float(y)) for x, y in ((a, d), (b, e), (c, f))]
    return max(gaps) <= 1e-4 * float(e)


# -- commands -------------------------------------------------------------------------


def fetch(name: str, args: argparse.Namespace) -> list[str]:
    """Make the file of one data set, and return what differs from the published one."""
    files = originals(name, args.data / "originals" / name, args.source)
    content = convert(name, files, args.all)
    save(content, args.data / SOURCES[name].file)
    return compare(name, args.data)


def compare(name: str, data: Path) -> list[str]:
    """Print whether a file has what the published tables were made with."""
    path, expected = data / SOURCES[name].file, _known()[name]
    if not path.exists():
        print(f"{name}: there is no file {path}: fetch it first, without --check")
        return [*expected]
    wrong = differences(fingerprints(load(path)), expected)
    if wrong:
        shown = ", ".join(wrong[:5]) + (", ..." if len(wrong) > 5 else "")
        print(f"{name}: differs in {len(wrong)} of {len(expected)} entries: {shown}")
    else:
        print(f"{name}: the data of the tables")
    return wrong


def record(names: Iterable[str], data: Path) -> None:
    """Write the fingerprints of the files in a folder."""
    known = _known()
    for name in names:
        known[name] = fingerprints(load(data / SOURCES[name].file))
    text = json.dumps(known, indent=1, sort_keys=True)
    FINGERPRINTS.write_text(text + "\n", encoding="utf-8")


def show() -> None:
    """Print all data sets."""
    for name, source in SOURCES.items():
        print(f"{name}\n  file: {source.file}\n  licence: {source.licence}")
        print(f"  origin: {source.origin}")
        for address in source.addresses:
            print(f"  {address}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch, compare or list data sets; return 1 if any differs."""
    parser = argparse.ArgumentParser("python -m benchmarks.fetch", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="data sets, or tables for all tables"
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder")
    parser.add_argument(
        "--source",
        help="address (also file:///...) of a folder that has NAME/FILE for the files",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="also sequences and photographs not in tables",
    )
    parser.add_argument("--list", action="store_true", help="show all data sets")
    parser.add_argument("--check", action="store_true", help="only compare files")
    parser.add_argument("--record", action="store_true", help="write fingerprints")
    args = parser.parse_args(arguments)
    if "tables" in args.names:
        tables = [name for name in SOURCES if SOURCES[name].file.endswith(".csv")]
        args.names = [name for name in args.names if name != "tables"] + tables
    if unknown := sorted(set(args.names) - set(SOURCES)):
        parser.error(f"unknown data sets: {', '.join(unknown)}; see --list")
    if args.list or not args.names:
        show()
        return 0
    if args.record:
        record(args.names, args.data)
        return 0
    step = partial(compare, data=args.data) if args.check else partial(fetch, args=args)
    wrong = [step(name) for name in args.names]
    return int(any(wrong))


if __name__ == "__main__":
    sys.exit(main())
