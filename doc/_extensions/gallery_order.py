"""Order the examples of a section from the simplest to the most specialised."""

from __future__ import annotations

FIRST = [
    "plot_classes_of_any_shape.py",
    "plot_robust_subspaces.py",
    "plot_phase_transition.py",
    "plot_messy_table.py",
    "plot_image_segmentation.py",
    "plot_redunet_gaussians.py",
]


class Order:
    """Sort key of examples: first those in the list, then the others by name."""

    def __init__(self, src_dir: str) -> None:
        self.src_dir = src_dir

    def __call__(self, filename: str) -> tuple[int, str]:
        """Return the position and the name of an example."""
        place = FIRST.index(filename) if filename in FIRST else len(FIRST)
        return place, filename
