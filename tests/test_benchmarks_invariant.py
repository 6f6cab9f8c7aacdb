"""The script that times signal layers, on little data; no times are judged."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

FOLDER = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs a checkout")


@pytest.fixture
def invariant(module, monkeypatch):
    script = module("invariant")
    monkeypatch.setattr(script, "GRID", (3, 4))
    monkeypatch.setattr(script, "POINTS", 12)
    monkeypatch.setattr(script, "CLASSES", 2)
    monkeypatch.setattr(script, "SIZES", ((2, 8),))
    return script


def test_plain_forms_are_one_layer(invariant):
    X, y = invariant.signals((3, 4), 2, 8, 2, "float64")
    stacked, named = (
        invariant.plain_layer(form.enter(X), y, form)
        for form in (invariant.Stacked, invariant.Named)
    )
    assert_allclose(stacked.transpose(2, 1, 0).reshape(named.shape), named, atol=1e-13)
    layer = invariant.plain_network(X, y, 1)
    assert_allclose(np.linalg.norm(layer, axis=1), 1.0)
    assert_allclose(invariant.published(1).fit(X, y).transform(X), layer, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.* has no layer:UserWarning")
def test_script_prints_times_and_growth(invariant, monkeypatch, tmp_path):
    monkeypatch.setattr(
        invariant, "GROWTH", {"rows": [((4,), 2, n, 2) for n in (6, 9)]}
    )
    path = tmp_path / "out.md"
    options = f"--parts layers growth --runs 1 --dtypes float64 --output {path}"
    invariant.main(options.split())
    lines = path.read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in lines if line.startswith("| 2 x 8")]
    assert float(row.split("|")[-2]) < 1e-12
    assert any(line.startswith("| rows ") for line in lines)
