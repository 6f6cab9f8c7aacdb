"""Helpers of the benchmarks, and the scripts on little data; no times are judged."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import skredu

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs a checkout")


@pytest.fixture(scope="module")
def harness(module):
    return module("_harness")


@pytest.fixture(scope="module")
def data(module):
    return module("_data")


CSV = "size,colour,Name,target\n" + "".join(
    f"{'' if i == 3 else i % 7},{'' if i == 4 else 'ab'[i % 2]},n{i},{'xy'[i % 2]}\n"
    for i in range(40)
)


def test_table_is_aligned_markdown(harness):
    lines = harness.markdown_table(["name", "s"], [["a", 1], ["long name", 12345]])
    assert lines.splitlines() == [
        "| name      |     s |",
        "| --------- | ----: |",
        "| a         |     1 |",
        "| long name | 12345 |",
    ]


def test_machine_names_versions_and_size(harness):
    text = harness.machine()
    assert f"skredu {skredu.__version__}" in text
    assert f"numpy {np.__version__}" in text
    assert " cores, " in text


def test_report_fills_in_its_place_of_a_file(harness, tmp_path):
    report = harness.Report("a", "Title")
    report.table(["x"], [["new"]])
    path = tmp_path / "file.md"
    path.write_text("1\n<!-- begin: a -->\nold\n<!-- end: a -->\n2\n", encoding="utf-8")
    for _ in range(2):
        report.save(path)
        text = path.read_text(encoding="utf-8")
        assert text.startswith("1\n<!-- begin: a -->\n\n## Title")
        assert text.endswith("| new |\n\n<!-- end: a -->\n2\n")
        assert "old" not in text
    report.save(tmp_path / "other.md")
    assert (tmp_path / "other.md").read_text(encoding="utf-8").startswith("## Title")
    report.save(None)


@pytest.mark.parametrize("runs", [1, 3])
def test_median_times_runs_all_tasks_in_turns(harness, monkeypatch, runs):
    calls, seconds = [], iter([5.0, 7.0, 6.0])
    monkeypatch.setattr(harness, "_repeats", lambda task: 2)

    def seconds_of(task, repeats):
        task()
        assert repeats == (1 if runs == 1 else 2)
        return next(seconds) if calls[-1] == "a" else 1.0

    monkeypatch.setattr(harness, "seconds_of", seconds_of)
    tasks = {name: partial(calls.append, name) for name in "ab"}
    medians = harness.median_times(tasks, runs)
    assert calls == ["a", "b"] * runs
    assert medians == {"a": 5.0 if runs == 1 else 6.0, "b": 1.0}


def test_short_tasks_are_repeated(harness, monkeypatch):
    clock = iter([0.0, 0.004, 0.0, 0.5])
    monkeypatch.setattr(harness.time, "perf_counter", lambda: next(clock))
    assert harness._repeats(lambda: None) == 6
    assert harness._repeats(lambda: None) == 1


def test_peak_memory_counts_the_work_in_a_child_process(harness, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)  # the child imports the harness by name
    peak = harness.peak_memory(partial(partial, np.ones), 2**22)
    assert_allclose(peak.arrays, 2**25, rtol=0.01)
    assert peak.process is None or peak.process > 2**24
    assert peak.cells()[0] == "32.0"


def test_generated_rows_have_the_shape_of_mnist(data):
    rows = data.mnist(None, "float32", 30, 20)
    assert rows.X_train.shape == (30, 784)
    assert rows.X_test.shape == (20, 784)
    assert rows.X_train.dtype == np.float32
    assert rows.X_train.min() >= 0.0
    assert rows.X_train.max() <= 1.0
    assert len(rows.y_test) == 20


def test_mnist_is_read_and_scaled(data, tmp_path):
    images = np.arange(3 * 784).reshape(3, 28, 28).astype(np.uint8)
    y = np.arange(3)
    np.savez(tmp_path / "mnist.npz", X_train=images, y_train=y, X_test=images, y_test=y)
    rows = data.mnist(tmp_path, train=2)
    assert_allclose(rows.X_train, images[:2].reshape(2, 784) / 255)
    assert len(rows.X_test) == 3


def test_gene_expressions_lose_small_classes(module, data, tmp_path):
    y = np.repeat([0, 1, 2], [6, 4, 9])
    X = np.arange(19)[:, None]
    np.savez(tmp_path / "microarray.npz", names=["a"], **{"a/X": X, "a/y": y})
    assert data.microarrays(tmp_path) == ["a"]
    rows, labels = data.microarray(tmp_path, "a")
    assert sorted(set(labels)) == [0, 2]
    assert rows[:, 0].tolist() == [*range(6), *range(10, 19)]
    assert module("micl")._folds(labels).get_n_splits() == 6


def test_tables_keep_missing_cells_and_drop_identifiers(data, tmp_path):
    (tmp_path / "titanic.csv").write_text(CSV, encoding="utf-8")
    X, y = data.table(tmp_path, "titanic")
    assert data.tables(tmp_path) == ["titanic"]
    assert list(X.columns) == ["size", "colour"]
    assert data.string_columns(X) == ["colour"]
    assert np.isnan(X["size"][3])
    assert X["colour"][4] == "missing"
    assert y[:3].tolist() == ["x", "y", "x"]


def test_long_tables_are_cut_in_order(data, tmp_path):
    (tmp_path / "titanic.csv").write_text(CSV, encoding="utf-8")
    X, y = data.table(tmp_path, "titanic", 15)
    kept = np.sort(np.random.RandomState(0).permutation(40)[:15])
    assert y.tolist() == ["xy"[i % 2] for i in kept]
    assert_allclose(X["size"], [np.nan if i == 3 else i % 7 for i in kept])


def test_mean_ranks_put_missing_scores_last(module):
    scores = np.array([[0.9, 0.8, 0.8], [0.5, np.nan, 0.6]])
    assert_allclose(module("accuracy").mean_ranks(scores), [1.5, 2.75, 1.75])


def test_accuracy_script(module, tmp_path):
    (tmp_path / "titanic.csv").write_text(CSV, encoding="utf-8")
    models, out = ["MICL", "LDA, shrinkage"], tmp_path / "out.md"
    module("accuracy").main(
        ["--data", str(tmp_path), "--output", str(out), "--models", *models]
    )
    text = out.read_text(encoding="utf-8")
    assert "| 1. MICL           |" in text
    assert "| log-loss |  Brier | calibration |" in text
    assert "| titanic |               40 x 2, 2 | 0.9" in text


def test_micl_script(module, tmp_path):
    out = tmp_path / "out.md"
    sizes = ["--train", "300", "--rbf-train", "200", "--local-train", "200"]
    parts = ["--parts", "errors", "genes", "--neighbors", "5", "--test", "20"]
    module("micl").main([*parts, *sizes, "--output", str(out)])
    text = out.read_text(encoding="utf-8")
    assert "Generated rows of the shape of MNIST" in text
    assert "| MICL, auto, 5 neighbours |         200 |" in text
    assert "Left out: needs --data." in text


def test_rates_script(module, monkeypatch, tmp_path):
    rates, out = module("rates"), tmp_path / "out.md"
    monkeypatch.setattr(rates, "SHAPES", ((20, 30), (40, 10)))
    rates.main(["--runs", "1", "--output", str(out)])
    rows = out.read_text(encoding="utf-8").splitlines()[-6:]
    assert all(float(row.split("|")[-2]) < 1e-9 for row in rows)


def test_the_readme_has_a_place_for_every_script():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in ("rates", "micl", "accuracy"):
        assert f"python -m benchmarks.{name}" in text
        for word in ("begin", "end"):
            assert text.count(f"<!-- {word}: {name} -->\n") == 1
