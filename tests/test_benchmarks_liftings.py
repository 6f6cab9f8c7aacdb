"""The script on settings of liftings, on little generated data."""

from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs a checkout")


def test_script_prints_means_over_sets_and_seeds(module, monkeypatch, tmp_path):
    liftings = module("liftings")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20, 12)), np.arange(20) % 2
    images = rows[0].reshape(-1, 3, 4)
    for name in ("usps", "mnist", "fashion_mnist"):
        parts = {"X_train": images, "X_test": images}
        parts |= {"y_train": rows[1], "y_test": rows[1]}
        np.savez(tmp_path / f"{name}.npz", **parts)
    series = {"names": ["one", "two"]}
    for name in series["names"]:
        for part in ("train", "test"):
            series |= {f"{name}/X_{part}": rows[0], f"{name}/y_{part}": rows[1]}
    np.savez(tmp_path / "ucr_time_series.npz", **series)
    few = {"plain": {"n_filters": 2, **liftings.PLAIN}, "two": {"n_filters": 2}}
    monkeypatch.setattr(liftings, "LIFTINGS", few)
    published = [*liftings._published(tmp_path, 10)]
    assert [len(split.X_train) for *_, split in published] == [10, 10, 10, 20, 20]
    assert published[0][2].X_train.min() >= 0
    assert published[0][2].X_train.max() <= 1
    monkeypatch.setattr(liftings, "sets", lambda *_: published)
    out = tmp_path / "out.md"
    liftings.main(["--output", str(out)])
    lines = out.read_text(encoding="utf-8").splitlines()
    cells = [
        [c.strip() for c in line.split("|")[1:-1]] for line in lines if "|" in line
    ]
    assert cells[0] == ["lifting", "USPS", "MNIST", "Fashion", "UCR"]
    assert [row[0] for row in cells[2:]] == [*few]
    assert cells[2][1] == f"{liftings.accuracy(*published[0][1:], few['plain']):.4f}"


def test_digits_and_generated_series_need_no_files(module):
    found = [name for name, *_ in module("liftings").sets(None, 5)]
    assert found == ["digits", "series 5", "series 10", "series 20"]


def test_the_readme_has_a_place_for_the_script():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "python -m benchmarks.liftings" in text
    for word in ("begin", "end"):
        assert text.count(f"<!-- {word}: liftings -->\n") == 1
