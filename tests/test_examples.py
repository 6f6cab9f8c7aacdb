"""The examples run with an installed skredu, in any folder, without warnings."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
ROW = re.compile(
    r"^(?P<name>\S.*?) +(?P<mean>[01]\.\d{4}) ± \d\.\d{4} +\d+ ms +\d+ ms$"
)
GROUPS = re.compile(
    r"^(?P<name>\S.*?) +(?P<groups>\d+) +(?P<ari>-?[01]\.\d{3}) +\d+ ms$"
)
GAIN = re.compile(
    r"^ReduNetTransformer: rate reduction (\d+\.\d) nats, (\d+\.\d) after 10 layers$"
)
SHIFTS = re.compile(r"^(?P<name>\S.*?) +(?P<here>[01]\.\d{3}) +(?P<all>[01]\.\d{3})$")
MODELS = [
    "MICL",
    "MICL, grid search",
    "MICL, rbf",
    "MICL, local",
    "ReduNet",
    "nearest subspace",
    "LDA",
    "QDA, reg_param=0.1",
    "logistic regression",
    "k-nearest neighbours",
    "SVC, rbf",
]
CLUSTERINGS = [
    "CompressionClustering",
    "CompressionClustering, k given",
    "KMeans, k given",
    "Ward, k given",
    "GaussianMixture, k given",
    "HDBSCAN",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("plot_*")))
def test_example_of_the_gallery_runs_without_a_warning(
    name, tmp_path, monkeypatch, capsys
):
    # In this process: a new one takes longer to import what is used than many examples.
    monkeypatch.chdir(tmp_path)
    state = np.random.get_state()  # noqa: NPY002
    with plt.rc_context():
        plt.switch_backend("Agg")
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    plt.close("all")
    np.random.set_state(state)  # noqa: NPY002
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out
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
    lines = done.stdout.splitlines()
    rows = [found for line in lines if (found := ROW.match(line))]
    assert [row["name"] for row in rows] == MODELS * 3
    micl = [float(row["mean"]) for row in rows if row["name"].startswith("MICL")]
    assert min(micl) > 0.95
    assert min(float(row["mean"]) for row in rows if row["name"] == "ReduNet") > 0.95
    for name in ("digits: 1797 rows", "breast cancer: 569 rows", "wine: 178 rows"):
        assert f"\n{name}" in done.stdout
    gains = [found for line in lines if (found := GAIN.match(line))]
    assert len(gains) == 3
    assert all(float(found[1]) < float(found[2]) for found in gains)
    check_groups([found for line in lines if (found := GROUPS.match(line))])
    check_shifts([found for line in lines if (found := SHIFTS.match(line))])
    assert done.stdout.count('epsilon="auto" chose') == 3
    assert not list(tmp_path.iterdir())


def check_groups(rows):
    """Check the six lines each for iris and wine, which have three classes."""
    assert [row["name"] for row in rows] == CLUSTERINGS * 2
    given = [row["groups"] for row in rows if row["name"].endswith("k given")]
    assert given == ["3"] * 8
    wine = {row["name"]: float(row["ari"]) for row in rows[len(CLUSTERINGS) :]}
    assert wine["CompressionClustering"] > 0.75
    assert wine["CompressionClustering, k given"] > 0.75
    assert wine["HDBSCAN"] < wine["CompressionClustering"]


def check_shifts(rows):
    """What the network says does not change; the accuracy of pixels is lost."""
    assert [row["name"] for row in rows] == ["invariant ReduNet", "SVC, rbf"]
    net, pixels = rows
    assert net["here"] == net["all"]
    assert float(net["here"]) > 0.9
    assert float(pixels["all"]) < 0.5 < float(pixels["here"])
