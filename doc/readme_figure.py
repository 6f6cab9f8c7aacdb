"""Draw the figures of the README and of the landing page, from an example.

Run ``python doc/readme_figure.py`` after ``pip install ".[plot]"``.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

HERE = Path(__file__).parent


def main() -> None:
    """Draw both panels together, and each one separately for narrow screens."""
    mpl.use("Agg")
    example = HERE.parent / "examples" / "classify" / "plot_classes_of_any_shape.py"
    draw = runpy.run_path(str(example))
    for number, name in enumerate(("regions", "epsilon"), start=1):
        plt.figure(number).savefig(HERE / "images" / f"landing_{name}.png", dpi=120)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    draw["draw_regions"](left)
    draw["draw_path"](right)
    figure.savefig(HERE / "images" / "epsilon.png", dpi=130)


if __name__ == "__main__":
    main()
