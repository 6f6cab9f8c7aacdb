"""The quickstart shows what it says; the site runs the gallery, without warnings."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
ROW = re.compile(r"^(?P<name>\S.*?) {2,}(?P<cells>\S.*) (?P<seconds>\d+\.\d+) s$")
QUICKSTART = {
    "Classify": [
        'MICL, kernel="auto"',
        "MICL",
        "random forest",
        "SVC",
        "logistic regression",
    ],
    "Cluster": ["CompressionClustering", "k-means, silhouette", "HDBSCAN"],
    "Shifts": ["scattering + network", "SVC"],
    "Wrong labels": ["MICL, one fit", "random forest, 5 folds"],
}


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("plot_*")), ids=lambda p: p.stem)
def test_example_of_the_gallery_has_a_title_and_prints_results(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    title, line, *_ = ast.get_docstring(tree).splitlines()
    assert line == len(title) * "="
    assert any(getattr(node, "id", None) == "print" for node in ast.walk(tree))


@pytest.mark.slow
def test_quickstart_shows_what_it_says(tmp_path):
    # without a number of cores joblib may look for it in vain, and warn
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "LOKY_MAX_CPU_COUNT": "2"}
    done = subprocess.run(
        [sys.executable, EXAMPLES / "quickstart.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["quickstart.png"]
    first, *tables, last = done.stdout.split("\n\n")
    assert first.startswith("skredu ")
    assert last.startswith("This took ")
    cells = {}
    for (title, names), table in zip(QUICKSTART.items(), tables, strict=True):
        head, _, *lines, conclusion = table.splitlines()
        assert head.startswith(f"{title}: ")
        assert conclusion.endswith(".")
        rows = [ROW.match(line) for line in lines]
        assert [row["name"] for row in rows] == names
        cells[title] = {row["name"]: row["cells"].split() for row in rows}
    losses = {name: row[-1] for name, row in cells["Classify"].items()}
    assert losses.pop("SVC") == "-"
    assert min(losses, key=lambda name: float(losses[name])) == 'MICL, kernel="auto"'
    assert min(float(row[3]) for row in cells["Classify"].values()) > 0.95
    compression, *others = cells["Cluster"].values()
    for other in others:  # an index and a number of groups for each of three tables
        assert all(
            float(a) >= float(b)
            for a, b in zip(compression[::2], other[::2], strict=True)
        )
    net, pixels = cells["Shifts"].values()
    assert net[0] == net[1]
    assert float(net[0]) > 0.95
    assert float(pixels[1]) < 0.3
    micl, forest = cells["Wrong labels"].values()
    assert float(micl[0]) >= float(forest[0]) > 0.98
