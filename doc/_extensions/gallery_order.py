"""The order of the examples: from the plainest to the most special."""

from __future__ import annotations

FIRST = [
    "plot_phase_transition.py",
    "plot_robust_subspaces.py",
]


class Order:
    """Key that sorts examples: those of the list first, then by name."""

    def __init__(self, src_dir: str) -> None:
        self.src_dir = src_dir

    def __call__(self, filename: str) -> tuple[int, str]:
        """Place of an example, and its name."""
        place = FIRST.index(filename) if filename in FIRST else len(FIRST)
        return place, filename
