"""Compare the times of fit, transform and predict of two checkouts.

Run ``python -m benchmarks.speed OLD NEW`` with the paths of two checkouts. The shapes
are those of the benchmarks of MICL, clustering, ReduNet and invariant ReduNet; the rows
are generated. Each checkout is imported by a process of its own, and the two processes
take turns call by call. A ratio is the median time of the old checkout divided by that
of the new one, so that 2 is twice as fast. Rows that seem slower are measured a second
time by new processes, and all calls count. Run it on an idle machine, or with
``--cpu``, which counts processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import importlib
import json
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np

from benchmarks import _data, _groups
from benchmarks._harness import Benchmark, Report, progress

METHODS = ("fit", "transform", "predict")
DOUBTFUL, SLOW = 0.95, "0.9"
Times = dict[str, tuple[list[float], list[float]]]


def main(arguments: list[str] | None = None) -> None:
    """Compare two checkouts."""
    options = Benchmark("speed", "Speed of two checkouts", {"rows": compare})
    options.add_argument("checkouts", type=Path, nargs=2, metavar="CHECKOUT")
    options.add_argument("--seconds", type=float, default=4.0, help="spent on a row")
    options.add_argument("--only", default="*", help="rows by name, as in 'micl*'")
    options.add_argument("--cpu", action="store_true", help="count processor time")
    options.set_defaults(threads=1)
    options.run(arguments)


def compare(report: Report, args: argparse.Namespace) -> None:
    """Print the ratios of all rows, their mean, and the rows that are slower."""
    clock = "processor time" if args.cpu else "time"
    report.say(
        f"Medians of {clock} of {args.checkouts[0]} (old) and {args.checkouts[1]} "
        "(new), which take turns."
    )
    names = fnmatch.filter(ROWS, args.only)
    lines = [line for name in names for line in _lines(name, measured(name, args))]
    report.table(["row", "method", "old, s", "new, s", "old / new"], lines)
    ratios = [float(line[-1]) for line in lines]
    slow = [f"{line[0]}: {line[1]} {line[-1]}" for line in lines if line[-1] < SLOW]
    report.say(
        f"Geometric mean of {len(ratios)} ratios: {geometric_mean(ratios):.3f}. "
        f"Below {SLOW}: {'; '.join(slow) or 'none'}."
    )


def _lines(name: str, times: Times) -> list[list[str]]:
    lines = []
    for method, (old, new) in times.items():
        a, b = median(old), median(new)
        lines.append([name, method, f"{a:.4g}", f"{b:.4g}", f"{a / b:.3f}"])
    return lines


# -- both processes -------------------------------------------------------------------


def measured(name: str, args: argparse.Namespace) -> Times:
    """Return the seconds of each method of the old and of the new checkout."""
    times: Times = defaultdict(lambda: ([], []))
    for _ in range(2):
        with contextlib.ExitStack() as stack:
            both = [stack.enter_context(_process(c, name)) for c in args.checkouts]
            _take_turns(both, times, args)
        ratios = {m: median(old) / median(new) for m, (old, new) in times.items()}
        progress(f"{name}: " + ", ".join(f"{m} {r:.2f}" for m, r in ratios.items()))
        if min(ratios.values()) >= DOUBTFUL:
            break
    return times


def _take_turns(both: list[Any], times: Times, args: argparse.Namespace) -> None:
    first = [_ask(process, "methods") for process in both]
    methods = [method for method in METHODS if all(method in one for one in first)]
    repeats = {
        m: 1 + int(0.02 / max(1e-6, *(one[m] for one in first))) for m in methods
    }
    turn = sum(repeats[m] * one[m] for m in methods for one in first)
    for run in range(int(np.clip(args.seconds / turn, 2, 15))):
        for method in methods:
            for side in (0, 1) if run % 2 else (1, 0):
                answer = _ask(both[side], [method, repeats[method], args.cpu])
                times[method][side].append(answer)


@contextlib.contextmanager
def _process(checkout: Path, name: str) -> Iterator[Any]:
    """Start a process that has fitted the model of a row once."""
    # The benchmarks are those of this file even if the checkout has others.
    code = (
        "import sys, benchmarks; sys.path.insert(0, sys.argv[1]); "
        "from benchmarks.speed import serve; serve(*sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(checkout.resolve()), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    try:
        yield process
    finally:
        process.communicate()


def _ask(process: Any, question: Any) -> Any:
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def serve(checkout: str, name: str) -> None:
    """Measure the methods of a row on request, with the skredu of a checkout."""
    found = Path(importlib.import_module("skredu").__file__ or "").parents[1]
    if found != Path(checkout):
        raise ImportError(f"skredu is imported from {found} instead of {checkout}")
    warnings.simplefilter("ignore")
    model, X, y, new = ROWS[name]()
    calls: dict[str, Callable[[], object]] = {"fit": lambda: model.fit(X, y)}
    once = {"fit": _seconds(calls["fit"], 1, cpu=False)}
    for method in METHODS[1:]:
        if hasattr(model, method):
            calls[method] = lambda method=method: getattr(model, method)(new)
            once[method] = _seconds(calls[method], 1, cpu=False)
    for line in sys.stdin:
        question = json.loads(line)
        if question != "methods":
            method, repeats, cpu = question
            question = _seconds(calls[method], repeats, cpu=cpu)
        else:
            question = once
        print(json.dumps(question), flush=True)


def _seconds(call: Callable[[], object], repeats: int, *, cpu: bool) -> float:
    clock = time.process_time if cpu else time.perf_counter
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats


# -- rows -----------------------------------------------------------------------------

Row = tuple[Any, Any, Any, Any]  # model, rows to fit, labels, new rows


def _of(kind: str, *args: Any, **settings: Any) -> Any:
    """Return an estimator of the checkout that is on the path."""
    return getattr(importlib.import_module("skredu"), kind)(*args, **settings)


def _pixels(n: int, dtype: str, model: Callable[[], Any], test: int = 2000) -> Row:
    split = _data.mnist(None, dtype, n, test)
    return model(), split.X_train, split.y_train, split.X_test


def _normal(n: int, d: int, k: int, model: Callable[[], Any], dtype: str) -> Row:
    """Generate normal rows around centres, in place of gene expressions and letters."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % k
    X = rng.normal(size=(k, d))[y] + rng.normal(size=(n, d)) * rng.uniform(0.5, 3, d)
    return model(), X.astype(dtype), y, X.astype(dtype)


def _digits(model: Callable[[], Any]) -> Row:
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return model(), X / 16, y, X / 16


def _clusters(problem: Callable[[], Any], **settings: Any) -> Callable[[], Row]:
    def make() -> Row:
        X, _ = problem()
        return _of("CompressionClustering", **settings), X, None, X[:5000]

    return make


def _signals(grid: Any, c: int, n: int, k: int, dtype: str, **settings: Any) -> Row:
    from benchmarks.invariant import signals

    X, y = signals(grid, c, n, k, dtype)
    kind = settings.pop("kind", "Transformer")
    return _of(f"InvariantReduNet{kind}", **settings | {"signal_shape": grid}), X, y, X


def _rows() -> dict[str, Callable[[], Row]]:
    rows: dict[str, Callable[[], Row]] = {}
    _add_micl(rows)
    _add_redunet(rows)
    _add_invariant(rows)
    _add_clustering(rows)
    return rows


def _add_micl(rows: dict[str, Callable[[], Row]]) -> None:
    def micl(**settings: Any) -> Callable[[], Any]:
        return lambda: _of("MICLClassifier", **settings)

    given = {"epsilon": 10.0, "calibrate": False}
    for dtype in ("float64", "float32"):
        rows[f"micl 60000 x 784 {dtype}, given"] = lambda dtype=dtype: _pixels(
            60_000, dtype, micl(**given), 10_000
        )
    rows["micl 60000 x 784 float32, auto"] = lambda: _pixels(60_000, "float32", micl())
    rows["micl 5000 x 784 float32, auto"] = lambda: _pixels(5000, "float32", micl())
    rows["micl 2000 x 784 float32, rbf"] = lambda: _pixels(
        2000, "float32", micl(kernel="rbf"), 1000
    )
    rows["micl 500 x 784 float32, local"] = lambda: _pixels(
        500, "float32", micl(n_neighbors=20), 200
    )
    for name, settings in {
        "auto": {},
        "given": {"epsilon": 0.8, "calibrate": False},
        "rbf": {"kernel": "rbf"},
        "local": {"n_neighbors": 20},
    }.items():
        rows[f"micl 1797 x 64, {name}"] = lambda s=settings: _digits(micl(**s))
    rows["micl 20000 x 16, auto"] = lambda: _normal(20_000, 16, 26, micl(), "float64")
    for n, d in ((62, 2000), (102, 12_600)):
        rows[f"micl {n} x {d}, auto"] = lambda n=n, d=d: _normal(
            n, d, 2, micl(), "float32"
        )
    rows["micl 62 x 2000, rbf"] = lambda: _normal(
        62, 2000, 2, micl(kernel="rbf"), "float32"
    )


def _add_redunet(rows: dict[str, Callable[[], Row]]) -> None:
    from benchmarks.redunet import published

    def net(kind: str = "Transformer", **settings: Any) -> Callable[[], Any]:
        return lambda: _of(f"ReduNet{kind}", **settings)

    settings = {
        "published": published(3),
        "coding": published(3) | {"membership": "coding"},
        "default": {"n_layers": 3},
    }
    for name, one in settings.items():
        rows[f"redunet 250 x 3000, {name}"] = lambda one=one: _normal(
            250, 3000, 5, net(**one | {"n_layers": 2}), "float64"
        )
        for dtype in ("float64", "float32"):
            rows[f"redunet 1000 x 784 {dtype}, {name}"] = lambda one=one, dtype=dtype: (
                _pixels(1000, dtype, net(**one))
            )
        rows[f"redunet 5000 x 784 float32, {name}"] = lambda one=one: _pixels(
            5000, "float32", net(**one | {"n_layers": 1}), 2000
        )
    rows["redunet 1797 x 64, classifier"] = lambda: _digits(net("Classifier"))
    for n, d in ((62, 2000), (102, 12_600)):
        rows[f"redunet {n} x {d}, classifier"] = lambda n=n, d=d: _normal(
            n, d, 2, net("Classifier"), "float32"
        )


def _add_invariant(rows: dict[str, Callable[[], Row]]) -> None:
    from benchmarks import invariant

    published = invariant.published(2).get_params()
    default = {"n_layers": 2, "epsilon": invariant.EPSILON}
    for c, n in invariant.SIZES:
        for dtype in invariant.DTYPES:
            size = (invariant.GRID, c, n, 10, dtype)
            for name, one in (("published", published), ("default", default)):
                if name == "published" or (c < 75 and (dtype == "float32" or c < 16)):
                    rows[f"invariant {c} x {n} {dtype}, {name}"] = (
                        lambda size=size, one=one: _signals(*size, **one)
                    )
    one = {"n_layers": 1, "epsilon": invariant.EPSILON}
    for name, (grid, c, n, k) in {
        "32 channels": invariant.GROWTH["channels"][-1],
        "56 x 56 points": invariant.GROWTH["points"][-1],
        "800 rows": invariant.GROWTH["rows"][-1],
        "40 classes": invariant.GROWTH["classes"][-1],
    }.items():
        rows[f"invariant {name}"] = lambda size=(grid, c, n, k): _signals(
            *size, "float32", **one
        )
    rows["invariant 128 points, classifier"] = lambda: _signals(
        (128,), 1, 500, 5, "float64", kind="Classifier"
    )


def _add_clustering(rows: dict[str, Callable[[], Row]]) -> None:
    from benchmarks import clustering

    for kind, make in clustering.KINDS.items():
        for n in (1000, 5000):
            rows[f"clustering {kind}, {n}, greedy"] = _clusters(
                lambda make=make, n=n: make(n), epsilon=0.1, refine=False
            )
        for n, d in ((500, 3), (2000, 10), (2000, 20)):
            rows[f"clustering {kind}, {n} x {d}, given"] = _clusters(
                lambda make=make, n=n, d=d: make(n, d), epsilon=0.1, min_cluster_size=1
            )
    rows["clustering 30000 subspaces, default"] = _clusters(
        lambda: clustering.subspaces(30_000)
    )
    problems = _groups.problems(3000)
    for name in (
        "blobs, d = 10",
        "blobs, d = 500",
        "subspaces, 20 % outliers",
        "iris",
        "wine, standardised",
        "cancer, standardised",
        "digits",
        "customers, standardised",
        "embeddings, 1000 × 100",
    ):
        rows[f"clustering {name}"] = _clusters(problems[name])
    rows["clustering iris, k given"] = _clusters(problems["iris"], n_clusters=3)


ROWS = _rows()


if __name__ == "__main__":
    main()
