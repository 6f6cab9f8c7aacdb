"""Displays: fitted models, features and groups as pictures, and as numbers.

They work like the displays of scikit-learn: ``from_estimator`` and
``from_predictions`` compute and draw, ``plot(ax=None)`` draws again, and ``ax_`` and
``figure_`` are what was drawn on. ``frame()`` returns the numbers as a
`pandas.DataFrame`. In a pipeline the last step is shown, with the rows that reach it.

matplotlib is imported when something is drawn (``pip install "skredu[plot]"``), and
pandas when a frame is asked for. Up to six classes have colours of their own that
colour-blind people can tell apart; more classes go along one scale.
"""

from __future__ import annotations

from skredu.plotting._epsilon_path import EpsilonPathDisplay
from skredu.plotting._filters import FilterDisplay
from skredu.plotting._merge_tree import MergeTreeDisplay
from skredu.plotting._principal_samples import PrincipalSamplesDisplay
from skredu.plotting._rate_reduction import RateReductionDisplay
from skredu.plotting._similarity import SimilarityDisplay
from skredu.plotting._spectrum import SubspaceSpectrumDisplay

__all__ = [
    "EpsilonPathDisplay",
    "FilterDisplay",
    "MergeTreeDisplay",
    "PrincipalSamplesDisplay",
    "RateReductionDisplay",
    "SimilarityDisplay",
    "SubspaceSpectrumDisplay",
]
