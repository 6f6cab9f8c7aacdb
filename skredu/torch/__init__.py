"""Losses, networks and liftings for PyTorch (``pip install "skredu[torch]"``)."""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        'skredu.torch needs PyTorch: install it with pip install "skredu[torch]".'
    ) from error

from skredu.torch._crate import (
    CRATEBlock,
    SparseCodingStep,
    SubspaceAttention,
    TokenStatisticsAttention,
    subspace_coding_rate,
)
from skredu.torch._crate_classifier import CRATEClassifier
from skredu.torch._learned_lifting import LearnedLifting
from skredu.torch._learned_sparse_coder import LearnedSparseCoder
from skredu.torch._loss import MCR2Loss
from skredu.torch._mcr2_classifier import MCR2Classifier
from skredu.torch._modules import as_module, from_module
from skredu.torch._rates import (
    class_coding_rate,
    coding_rate,
    rate_reduction,
    set_rate_reduction,
)

__all__ = [
    "CRATEBlock",
    "CRATEClassifier",
    "LearnedLifting",
    "LearnedSparseCoder",
    "MCR2Classifier",
    "MCR2Loss",
    "SparseCodingStep",
    "SubspaceAttention",
    "TokenStatisticsAttention",
    "as_module",
    "class_coding_rate",
    "coding_rate",
    "from_module",
    "rate_reduction",
    "set_rate_reduction",
    "subspace_coding_rate",
]
