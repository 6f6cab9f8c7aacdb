"""Scripts that measure ReduNets, on little data; no times are judged."""

from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs a checkout")


def test_plain_layers_are_those_of_the_published_network(module):
    redunet = module("redunet")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 8)), np.arange(30) % 3
    net = redunet.ReduNetTransformer(**redunet.published(4)).fit(X, y)
    order = np.argsort(y, kind="stable")
    plain = redunet.plain_network(X, y, 4)
    np.testing.assert_allclose(net.transform(X[order]), plain, atol=1e-12)


def test_redunet_reports_what_depth_adds(module, monkeypatch, tmp_path):
    redunet = module("redunet")
    monkeypatch.setattr(redunet, "DEPTHS", (0, 2))
    data = redunet._bundled()
    monkeypatch.setattr(redunet, "_bundled", lambda: {"wine": data["wine"]})
    monkeypatch.setattr(redunet._data, "_like_mnist", lambda *_: _small(redunet))
    path = tmp_path / "out.md"
    redunet.main(["--parts", "depth", "--output", str(path)])
    lines = [line for line in path.read_text("utf-8").splitlines() if "wine" in line]
    assert [line.split("|")[3].strip() for line in lines] == ["0", "2"] * 2
    rates = [float(line.split("|")[4]) for line in lines]
    assert rates[0] < rates[1]


def _small(redunet):
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = rng.normal(size=(40, 6)) + 3 * y[:, None]
    return redunet._data.Split(X, y, X, y)


def test_wrong_labels_are_drawn_from_all_classes(module):
    label_noise = module("label_noise")
    y = np.arange(5000) % 10
    drawn = label_noise.corrupted(y, 0.5, 0)
    assert 0.42 < np.mean(drawn != y) < 0.48  # a tenth of the half stay right
    assert np.array_equal(label_noise.corrupted(y, 0.0, 0), y)


def test_label_noise_prints_and_draws_a_row_for_every_model(
    module, monkeypatch, tmp_path
):
    redunet, label_noise = module("redunet"), module("label_noise")
    monkeypatch.setattr(label_noise._data, "_like_mnist", lambda *_: _small(redunet))
    monkeypatch.setattr(label_noise, "SHARES", (0.0, 0.5))
    monkeypatch.setattr(label_noise, "PUBLISHED", {"a": (1, 1), "b": (1, 1)})
    path, figure = tmp_path / "out.md", tmp_path / "out.png"
    options = f"--components 3 --seeds 1 --output {path} --figure {figure} --models"
    label_noise.main([*options.split(), "MICL", "SVC, rbf"])
    lines = path.read_text("utf-8").splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert names[2:4] == ["MICL", "SVC, rbf"]
    assert len(names) == 6
    assert figure.read_bytes().startswith(b"\x89PNG")
