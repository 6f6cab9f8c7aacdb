"""Learn from data by compression, the scikit-learn way."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skredu import datasets, metrics, plotting, rates
    from skredu.classification import MICLClassifier, NearestSubspaceClassifier
    from skredu.clustering import CompressionClustering
    from skredu.lifting import ConvolutionalLifting, PolarTransformer
    from skredu.redunet import (
        InvariantReduNetClassifier,
        InvariantReduNetTransformer,
        ReduNetClassifier,
        ReduNetTransformer,
    )
    from skredu.representation import MCR2Transformer

__version__ = "0.1.0"

__all__ = [
    "CompressionClustering",
    "ConvolutionalLifting",
    "InvariantReduNetClassifier",
    "InvariantReduNetTransformer",
    "MCR2Transformer",
    "MICLClassifier",
    "NearestSubspaceClassifier",
    "PolarTransformer",
    "ReduNetClassifier",
    "ReduNetTransformer",
    "__version__",
    "datasets",
    "metrics",
    "plotting",
    "rates",
]

# Where the names live that are loaded on first use: who clusters need not wait for
# networks to be imported.
_HOMES = {
    "CompressionClustering": "clustering",
    "ConvolutionalLifting": "lifting",
    "InvariantReduNetClassifier": "redunet",
    "InvariantReduNetTransformer": "redunet",
    "MCR2Transformer": "representation",
    "MICLClassifier": "classification",
    "NearestSubspaceClassifier": "classification",
    "PolarTransformer": "lifting",
    "ReduNetClassifier": "redunet",
    "ReduNetTransformer": "redunet",
}
_MODULES = {"datasets", "metrics", "plotting", "rates"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
