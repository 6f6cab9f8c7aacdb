"""Learn from data by compression, the scikit-learn way."""

from skredu import datasets, metrics, rates
from skredu.classification import MICLClassifier, NearestSubspaceClassifier
from skredu.clustering import CompressionClustering
from skredu.redunet import ReduNetClassifier, ReduNetTransformer

__version__ = "0.1.0"

__all__ = [
    "CompressionClustering",
    "MICLClassifier",
    "NearestSubspaceClassifier",
    "ReduNetClassifier",
    "ReduNetTransformer",
    "__version__",
    "datasets",
    "metrics",
    "rates",
]
