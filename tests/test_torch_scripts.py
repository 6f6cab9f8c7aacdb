"""Examples and benchmarks of networks with PyTorch run, the latter on small data."""

import runpy
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)


def images(path, shape):
    """Write few images in the format of the real ones."""
    parts = {}
    for part in ("train", "test"):
        y = np.arange(200) % 10
        X = 8 * RNG.integers(0, 30, (10, *shape))[y]
        X = X + RNG.integers(0, 20, (200, *shape))
        parts |= {f"X_{part}": X.astype(np.uint8), f"y_{part}": y}
    np.savez(path, **parts)


# script, what is made smaller in it, arguments, words of its report
SCRIPTS = {
    "cifar10": (
        {"WIDTH": 3, "N_LAYERS": 2, "N_FEATURES": 5, "EPOCHS": 1},
        [],
        ["| ReLU, MICL ", "| published: linear ", " 0.6542 |"],
    ),
    "network_labels": (
        {"WIDTH": 2, "EPOCHS": (1, 2), "TRAIN": 150, "TEST": 20},
        ["--runs", "1", "--shares", "0.5", "--parts", "mnist", "cifar10"],
        ["### MNIST", "### CIFAR-10", "| MCR², early, nearest subspace "],
    ),
    "fine_tuning": (
        {"N_FILTERS": 2, "TRAIN": 200, "TEST": 20, "EPOCHS": {"digits": 1, "MNIST": 1}},
        ["--runs", "1"],
        ["### MNIST", "| half of the samples, back-propagation ", " 0.978 "],
    ),
    "joint_groups": (
        {"SIZE": 20, "BATCH": 10, "STEPS": {"pairs": 2, "together": 2}},
        ["--runs", "1"],
        ["| digits ", "| MNIST, 14 x 14 ", "| three closed curves "],
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_reports(name, module, tmp_path, monkeypatch):
    smaller, arguments, words = SCRIPTS[name]
    script, out = module(name), tmp_path / "out.md"
    for key, value in smaller.items():
        monkeypatch.setattr(script, key, value)
    images(tmp_path / "cifar10.npz", (3, 32, 32))
    images(tmp_path / "mnist.npz", (28, 28))
    script.main([*arguments, "--data", str(tmp_path), "--output", str(out)])
    text = out.read_text(encoding="utf-8")
    for word in words:
        assert word in text


EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.rglob("plot_torch_*")), ids=lambda path: path.stem
)
@pytest.mark.filterwarnings("ignore:.* is non-interactive")
def test_example_of_the_gallery_runs_without_a_warning(path, tmp_path, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(tmp_path)
    with plt.rc_context():
        plt.switch_backend("Agg")
        runpy.run_path(str(path), run_name="__main__")
    plt.close("all")
    assert not list(tmp_path.iterdir())
