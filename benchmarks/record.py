"""Record what every estimator and function returns, and compare two recordings.

Run ``python -m benchmarks.record old.npz --checkout OLD`` on one checkout,
``python -m benchmarks.record new.npz --checkout NEW`` on another, and then
``python -m benchmarks.record --compare old.npz new.npz``, which prints the largest
difference of every group of results and ends with status 1 if one is too large.

A difference is relative to the largest absolute value of the array. It may be 1e-9 in
float64 and 1e-4 in float32; labels, numbers of groups and numbers of layers must be
equal. Some results are not determined to that precision: two distortions or two merges
are equally good, or kernels are ill-conditioned. They differ if the old
checkout is recorded a second time with ``OPENBLAS_CORETYPE=Sandybridge``, which
rounds differently. ``--rounding`` names such recordings, and results that differ there
by a tenth of what is allowed, or more, are only counted. So are results in float32 that
differ from the old ones and equal the old ones in float64, since these have improved.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._cases import PARTS, Results
from benchmarks._inputs import Inputs

TOLERANCE = {"float64": 1e-9, "float32": 1e-4}


def main(arguments: list[str] | None = None) -> int:
    """Record or compare; return the exit status."""
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
    """Return the arrays of all cases, by ``part/case/dtype/array``."""
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
    """Yield the arrays in an attribute: numbers, strings, dicts, lists and layers."""
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
    """Return random sums of the entries of an operator, and its shape."""
    operator = np.asarray(operator)
    factors = np.random.default_rng(0).normal(size=(operator.size, 4))
    return np.r_[operator.ravel() @ factors, operator.shape]


# -- comparing ------------------------------------------------------------------------


def compare(args: argparse.Namespace) -> int:
    """Print the largest differences; return 1 if one is too large, otherwise 0."""
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
    """Return whether a new result in float32 equals the old one in float64 only."""
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
    """Return the largest relative difference; infinite if kinds differ."""
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
