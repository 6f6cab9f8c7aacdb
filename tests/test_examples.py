"""The examples run as a user runs them: installed skredu, any folder, no warnings."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
ROW = re.compile(
    r"^(?P<name>\S.*?) +(?P<mean>[01]\.\d{4}) ± \d\.\d{4} +\d+ ms +\d+ ms$"
)
MODELS = [
    "MICL",
    "MICL, grid search",
    "MICL, rbf",
    "MICL, local",
    "nearest subspace",
    "LDA",
    "QDA, reg_param=0.1",
    "logistic regression",
    "k-nearest neighbours",
    "SVC, rbf",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("plot_*")))
def test_example_of_the_gallery_runs_without_a_warning(name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "MPLBACKEND": "Agg"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_quickstart_prints_a_row_for_every_model_on_every_data_set(tmp_path):
    command = [sys.executable, EXAMPLES / "quickstart.py", "--fast"]
    # without a number of cores joblib may look for it in vain, and warn
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "LOKY_MAX_CPU_COUNT": "2"}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = [found for line in done.stdout.splitlines() if (found := ROW.match(line))]
    assert [row["name"] for row in rows] == MODELS * 3
    micl = [float(row["mean"]) for row in rows if row["name"].startswith("MICL")]
    assert min(micl) > 0.95
    for name in ("digits: 1797 rows", "breast cancer: 569 rows", "wine: 178 rows"):
        assert f"\n{name}" in done.stdout
    assert done.stdout.count('epsilon="auto" chose') == 3
    assert not list(tmp_path.iterdir())
