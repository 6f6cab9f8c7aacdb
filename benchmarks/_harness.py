"""Shared parts of the benchmarks: options, machine, times, memory and tables."""

from __future__ import annotations

import argparse
import datetime as dt
import gc
import multiprocessing
import os
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from threadpoolctl import threadpool_info, threadpool_limits

MIB, GIB = 2.0**20, 2.0**30
MEMORY_NOTE = (
    "Peak memory is measured in a separate child process, in addition to "
    "what the process used when the work began (data and libraries loaded):"
    " *arrays* is the peak of tracemalloc, which counts every NumPy array; "
    "*process* is the growth of the peak resident size, which also includes"
    " buffers of BLAS and imports on first use."
)


class Report:
    """Report that is printed immediately and can also be written to a Markdown file.

    Parameters
    ----------
    name : str
        Name of the benchmark, which is also that of its place in a file.
    title : str
    """

    def __init__(self, name: str, title: str) -> None:
        self._name, self._parts = name, list[str]()
        self.say(f"## {title}\n\n{machine()}")

    def say(self, text: str) -> None:
        """Add a paragraph or a heading."""
        print(text + "\n", flush=True)
        self._parts.append(text)

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Add a table."""
        self.say(markdown_table(header, rows))

    def save(self, path: Path | None) -> None:
        """Write everything so far to a file, if there is a path.

        A file with the lines ``<!-- begin: name -->`` and ``<!-- end: name -->`` keeps
        everything except for what is between them; any other file is overwritten.
        """
        if path is None:
            return
        text = "\n\n".join(self._parts) + "\n"
        begin, end = (f"<!-- {word}: {self._name} -->\n" for word in ("begin", "end"))
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        before, found, rest = old.partition(begin)
        _, found_end, after = rest.partition(end)
        if found and found_end:
            text = f"{before}{begin}\n{text}\n{end}{after}"
        path.write_text(text, encoding="utf-8")


def progress(text: str) -> None:
    """Print what is being done; this is not part of the report."""
    print(f"[{dt.datetime.now():%H:%M:%S}] {text}", file=sys.stderr, flush=True)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table with the first column aligned left and others right."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in cells
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])


# -- options and machine --------------------------------------------------------------


class Benchmark(argparse.ArgumentParser):
    """Options of a benchmark, and the functions that write its report.

    Parameters
    ----------
    name : str
        Name of the script, and of its place in a file.
    title : str
        Title of the report.
    parts : dict of str to callable
        Functions of the report and the options. If there are several, ``--parts``
        chooses some of them.
    data : str, default=None
        What the folder of ``--data`` contains; None: there is no such option.
    required : bool, default=False
        Whether the benchmark needs the folder.
    runs : int, default=None
        Default of ``--runs``; None: there is no such option.
    """

    def __init__(
        self,
        name: str,
        title: str,
        parts: Mapping[str, Callable[[Report, argparse.Namespace], None]],
        *,
        data: str | None = None,
        required: bool = False,
        runs: int | None = None,
    ) -> None:
        kind = argparse.ArgumentDefaultsHelpFormatter
        super().__init__(description=title, formatter_class=kind)
        self._name, self._title, self._parts = name, title, parts
        self.set_defaults(parts=[*parts])
        self.add_argument(
            "--threads", type=int, help="threads of BLAS and OpenMP; default: as found"
        )
        self.add_argument("--output", type=Path, help="Markdown file to write")
        if data is not None:
            self.add_argument("--data", type=Path, required=required, help=data)
        if runs is not None:
            self.add_argument("--runs", type=int, default=runs, help="of each task")
        if len(parts) > 1:
            self.add_argument("--parts", nargs="+", choices=parts, help="of the report")

    def run(self, arguments: Sequence[str] | None) -> None:
        """Run the requested parts and write one report."""
        args = self.parse_args(arguments)
        data = getattr(args, "data", None)
        if data is not None and not data.is_dir():
            self.error(
                f"--data: there is no folder {data}; python -m benchmarks.fetch fills "
                "it (see benchmarks/README.md)."
            )
        limit_threads(args.threads)
        report = Report(self._name, self._title)
        for part in args.parts:
            self._parts[part](report, args)
        report.save(args.output)


def limit_threads(threads: int | None) -> None:
    """Set the number of threads of BLAS and OpenMP, here and in child processes."""
    if threads is not None:
        for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM"):
            os.environ[f"{library}_NUM_THREADS"] = str(threads)
        threadpool_limits(threads)


def machine() -> str:
    """Return the date, versions and the size of the machine, one line each."""
    names = ("skredu", "numpy", "scipy", "scikit-learn")
    versions = ", ".join(f"{name} {_version(name)}" for name in names)
    threads = {pool["num_threads"] for pool in threadpool_info()} or {1}
    return "\n".join(
        [
            f"- date: {dt.datetime.now():%Y-%m-%d %H:%M}",
            f"- versions: Python {platform.python_version()}, {versions}",
            f"- machine: {_processor()}, {_cores()} cores, {_memory()} of memory",
            f"- threads: {' / '.join(map(str, sorted(threads)))}",
        ]
    )


def _version(name: str) -> str:
    if name == "skredu":  # also from a checkout
        import skredu

        return skredu.__version__
    return version(name)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> str:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return "memory unknown"
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 2**30:.0f} GiB"


# -- time -----------------------------------------------------------------------------


def mean_and_error(values: Sequence[float], digits: int = 4, sign: str = "") -> str:
    """Return the mean and its standard error as text; a sign of "+" is always shown."""
    middle = f"{mean(values):{sign}.{digits}f}"
    if len(values) < 2:
        return middle
    return f"{middle} ± {stdev(values) / len(values) ** 0.5:.{digits}f}"


def median_times(
    tasks: Mapping[str, Callable[[], object]],
    runs: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the median seconds of each task; tasks alternate to share the load.

    Short tasks are repeated within a run until 20 ms have passed. If there is more than
    one run, the first one is discarded, because it includes imports and thread starts.
    """
    times: dict[str, list[float]] = {name: [] for name in tasks}
    repeats = {name: _repeats(task) for name, task in tasks.items()} if runs > 1 else {}
    for run in range(runs):
        for name, task in tasks.items():
            seconds = seconds_of(task, repeats.get(name, 1), clock)
            progress(f"run {run + 1}/{runs}: {name}: {seconds:.3g} s")
            times[name].append(seconds)
    return {name: median(values) for name, values in times.items()}


def seconds_of(
    task: Callable[[], object],
    repeats: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the mean seconds of some calls."""
    gc.collect()
    start = clock()
    for _ in range(repeats):
        task()
    return (clock() - start) / repeats


def _repeats(task: Callable[[], object]) -> int:
    """Return how many calls take 20 ms; the first call is the warm-up."""
    if seconds_of(task) > 0.5:
        return 1
    seconds = seconds_of(task)
    return 1 if seconds > 0.02 else min(1000, int(0.02 / seconds) + 1)


# -- memory ---------------------------------------------------------------------------


@dataclass
class Peak:
    """Additional bytes of NumPy arrays and of the whole process."""

    arrays: int
    process: int | None

    def cells(self) -> list[str]:
        """Return both numbers in MiB."""
        process = "unknown" if self.process is None else f"{self.process / MIB:.0f}"
        return [f"{self.arrays / MIB:.1f}", process]


def peak_memory(prepare: Callable[..., Callable[[], object]], *args: Any) -> Peak:
    """Measure the peak memory of the function that ``prepare(*args)`` returns.

    This is done in a child process. ``prepare`` has to be a function of a module; it
    loads the data, and its own allocations do not count.
    """
    return in_process(_peak, prepare, args)


def in_process(task: Callable[..., Any], *args: Any) -> Any:
    """Return the result of a function of a module in a new process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as child:
        return child.submit(task, *args).result()


def _peak(prepare: Callable[..., Callable[[], object]], args: tuple[Any, ...]) -> Peak:
    work = prepare(*args)
    gc.collect()
    _forget_peak()
    before = _status("VmRSS")
    tracemalloc.start()
    work()
    _, arrays = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    after = _status("VmHWM")
    return Peak(arrays, None if before is None or after is None else after - before)


def peak_size() -> int | None:
    """Return the peak size of this process in bytes; None if it is unknown."""
    return _status("VmHWM")


def _forget_peak() -> None:
    """Reset the peak resident size; this only works on some Linux systems."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _status(field: str) -> int | None:
    """Return a field of /proc/self/status in bytes; None if there is none.

    Unlike ``resource.ru_maxrss``, it does not inherit the peak of the parent.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    for line in status.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    return None
