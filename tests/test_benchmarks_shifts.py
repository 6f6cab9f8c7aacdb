"""The script that shifts digits, on little generated data; no accuracy is judged."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

FOLDER = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs a checkout")


class LargestPixel:
    """Classifies by the largest of three pixels, so that shifts change the answer."""

    def predict(self, X):
        return X.argmax(axis=1) % 2


@pytest.fixture(scope="module")
def shifts(module):
    return module("shifts")


def test_shifts_are_all_shifts_of_every_channel(shifts):
    X = np.arange(24.0).reshape(2, 12)
    found = {s: shifts.shifted(X, (3, 2), s) for s in shifts.shifts_of((3, 2))}
    assert len(found) == 6
    assert_array_equal(found[0, 0], X)
    expected = np.roll(X.reshape(2, 2, 3, 2), (2, 1), (2, 3)).reshape(2, 12)
    assert_array_equal(found[2, 1], expected)


def test_copies_are_shifts_of_their_rows(shifts):
    X, y = np.random.default_rng(0).normal(size=(4, 6)), np.arange(4)
    rows, labels = shifts.with_copies(X, y, (6,), 2)
    assert_array_equal(rows[:4], X)
    assert_array_equal(labels, np.tile(y, 3))
    assert_array_equal(np.sort(rows, axis=1), np.sort(X[labels], axis=1))


def test_nets_of_the_script_are_indifferent_to_shifts(shifts):
    model = shifts.net((4, 5), 3, **shifts.SMOOTHED | {"kernel_size": 3})
    rows = np.random.default_rng(1).random((20, 20))
    labels = model.fit(rows, np.arange(20) % 2).predict(rows)
    assert_array_equal(model.predict(shifts.shifted(rows, (4, 5), (1, 3))), labels)


def test_leading_rows_of_every_class_keep_their_order(shifts):
    y = np.array([1, 0, 2, 0, 1, 0])
    X, labels = shifts.leading(np.arange(6)[:, None], y, 2, 2)
    assert_array_equal(X.ravel(), [0, 1, 3, 4])
    assert_array_equal(labels, [1, 0, 0, 1])
    assert len(shifts.leading(y, y, 3, None)[0]) == 6


def test_scores_are_means_over_rows_and_shifts(shifts, module, monkeypatch):
    X = np.eye(3)
    rows = module("_data").Split(None, None, X, np.array([0, 1, 1]))
    monkeypatch.setattr(shifts, "moved_once", lambda X, *_: np.roll(X, 1, axis=1))
    scores = shifts.scored(LargestPixel(), rows, (3,), 2)
    assert scores.original == pytest.approx(2 / 3)
    # pixels 1, 2, 0 are largest
    assert scores.once == pytest.approx(0 / 3)
    assert scores.part == 1.0
    # the first row goes to 0, 1, 2; the second to 1, 2, 0
    assert scores.shifted == pytest.approx(3 / 6)
    assert scores.changed == pytest.approx((2 + 3) / (3 + 6))


def test_script_prints_published_and_own_numbers(shifts, monkeypatch, tmp_path):
    monkeypatch.setattr(shifts, "ANGLES", 8)
    nets = {"net": lambda: shifts.net((8,), 2, net_n_layers=1)}
    published = [("other", "0.9", "0.8")]
    little = shifts.Experiment("Little", 2, 6, 5, 3, nets, published)
    monkeypatch.setattr(shifts, "EXPERIMENTS", {"little": little})
    out = tmp_path / "out.md"
    names = ["net", "5-NN", "5-NN, shifted copies"]
    options = ["--rows", "4", "--net-rows", "2", "--copies", "1", "--output", str(out)]
    shifts.main(["--experiments", "little", "--models", *names, *options])
    lines = out.read_text(encoding="utf-8").splitlines()
    cells = [
        [c.strip() for c in line.split("|")[1:-1]] for line in lines if "|" in line
    ]
    assert [row[0] for row in cells[2:]] == [*names, "published: other"]
    assert cells[2][4] == "0.00"  # the net answers the same for all shifts
    assert "not MNIST" in out.read_text(encoding="utf-8")


def test_features_are_read_in_parts(shifts, module, monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 12)), np.arange(30) % 10
    rows = module("_data").Split(X[:20], y[:20], X[20:], y[20:])
    sets = [("little", rows, (3, 4), 2)]
    monkeypatch.setattr(shifts, "feature_sets", lambda data: sets)
    out = tmp_path / "out.md"
    shifts.main(["--experiments", "features", "--output", str(out)])
    lines = out.read_text(encoding="utf-8").splitlines()
    cells = [line.split("|")[1:-1] for line in lines if line.startswith("| little")]
    assert [row[0].strip() for row in cells] == ["little, no filters"] * 3 + [
        "little, 16 filters"
    ] * 3
    assert all(0 <= float(a) <= 1 for row in cells for a in row[2:-1])
    assert {row[-1].strip() for row in cells} == {"0.00"}
