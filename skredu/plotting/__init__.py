"""Displays of fitted models, features and clusterings.

They work like the displays of scikit-learn: ``from_estimator`` and ``from_predictions``
compute and draw, ``plot(ax=None)`` draws again, and ``ax_`` and ``figure_`` are the
axes and the figure. ``frame()`` returns the displayed numbers as a `pandas.DataFrame`.
For a pipeline, the last step is shown with the data that reach it.

matplotlib is imported when a display is drawn (``pip install "skredu[plot]"``), and
pandas when ``frame`` is called. Up to six classes have colours that colour-blind people
can distinguish; for more classes, the colours are taken from one colour map.
"""

from __future__ import annotations

from skredu.plotting._bits import BitsDisplay
from skredu.plotting._epsilon_path import EpsilonPathDisplay
from skredu.plotting._filters import FilterDisplay
from skredu.plotting._label_quality import LabelQualityDisplay
from skredu.plotting._merge_tree import MergeTreeDisplay
from skredu.plotting._principal_samples import PrincipalSamplesDisplay
from skredu.plotting._rate_reduction import RateReductionDisplay
from skredu.plotting._segmentation_path import SegmentationPathDisplay
from skredu.plotting._similarity import SimilarityDisplay
from skredu.plotting._sparse_rate_reduction import SparseRateReductionDisplay
from skredu.plotting._spectrum import SubspaceSpectrumDisplay

__all__ = [
    "BitsDisplay",
    "EpsilonPathDisplay",
    "FilterDisplay",
    "LabelQualityDisplay",
    "MergeTreeDisplay",
    "PrincipalSamplesDisplay",
    "RateReductionDisplay",
    "SegmentationPathDisplay",
    "SimilarityDisplay",
    "SparseRateReductionDisplay",
    "SubspaceSpectrumDisplay",
]
