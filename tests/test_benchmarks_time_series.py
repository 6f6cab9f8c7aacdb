"""The script on time series, on little generated data; no accuracy is judged."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skredu import ReduNetClassifier
from skredu.datasets import make_shifted_signals

FOLDER = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs a checkout")


@pytest.fixture(scope="module")
def time_series(module):
    return module("time_series")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One set of six and eight series of sixteen points, two classes."""
    data = {"names": ["little"]}
    for part, n in (("train", 3), ("test", 4)):
        X, y = make_shifted_signals(n, n_timesteps=16, random_state=n)
        data |= {f"little/X_{part}": X.astype(np.float32), f"little/y_{part}": y}
    path = tmp_path_factory.mktemp("ucr")
    np.savez(path / "ucr_time_series.npz", **data)
    return path


def test_sets_are_read_as_they_are(module, folder):
    data = module("_data")
    assert data.ucr_sets(folder) == ["little"]
    rows = data.ucr(folder, "little")
    assert rows.X_train.dtype == np.float64
    assert rows.X_train.shape == (6, 16)
    assert_array_equal(np.sort(rows.y_test), np.repeat([0, 1], 4))


def test_the_search_tries_the_plain_net_and_all_liftings_and_names_its_choice(
    time_series, module, folder, monkeypatch
):
    rows = module("_data").ucr(folder, "little")
    name = "16 random filters, 9"
    monkeypatch.setattr(
        time_series, "LIFTINGS", {name: ("gaussian", 2, 3, "relu", 0.0, None)}
    )
    search = time_series.search(3, 0).fit(rows.X_train, rows.y_train)
    assert len(search.cv_results_["params"]) == 2
    assert search.n_splits_ == 3
    assert isinstance(search.cv_results_["params"][0]["net"], ReduNetClassifier)
    for index, expected in enumerate(("plain ReduNet", name)):
        search.best_index_ = index
        assert time_series.choice(search) == expected
    assert time_series.choice(search.best_estimator_) == ""


def test_script_prints_means_and_all_sets(time_series, folder):
    out = folder / "out.md"
    names = ["1-NN", "principal filters + invariant ReduNet"]
    time_series.main(["--data", str(folder), "--models", *names, "--output", str(out)])
    lines = out.read_text(encoding="utf-8").splitlines()
    cells = [
        [c.strip() for c in line.split("|")[1:-1]] for line in lines if "|" in line
    ]
    assert [row[0] for row in cells[2:4]] == [f"{j + 1}. {names[j]}" for j in (0, 1)]
    little = cells[-1]
    assert little[:2] == ["little", "6, 8 x 16, 2"]
    # one set, so its accuracies are the means
    assert [float(cell) for cell in little[2:4]] == pytest.approx(
        [float(row[1]) for row in cells[2:4]], abs=5e-4
    )


def test_the_readme_has_a_place_for_the_script():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "python -m benchmarks.time_series" in text
    for word in ("begin", "end"):
        assert text.count(f"<!-- {word}: time_series -->\n") == 1
