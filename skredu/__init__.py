"""Scikit-learn estimators that learn from data by compression."""

from typing import TYPE_CHECKING

from skredu._lazy import lazy

if TYPE_CHECKING:
    from skredu import datasets, image, metrics, plotting, rates
    from skredu.classification import MICLClassifier, NearestSubspaceClassifier
    from skredu.clustering import CompressionClustering
    from skredu.lifting import (
        ConvolutionalLifting,
        DilatedKernelTransformer,
        PolarTransformer,
        ScatteringTransformer,
    )
    from skredu.outliers import CompressionOutlierDetector
    from skredu.redunet import (
        InvariantReduNetClassifier,
        InvariantReduNetTransformer,
        ReduNetClassifier,
        ReduNetTransformer,
        make_invariant_pipeline,
    )
    from skredu.representation import CodingGainSelector, MCR2Transformer

__version__ = "0.1.0"

__all__ = [
    "CodingGainSelector",
    "CompressionClustering",
    "CompressionOutlierDetector",
    "ConvolutionalLifting",
    "DilatedKernelTransformer",
    "InvariantReduNetClassifier",
    "InvariantReduNetTransformer",
    "MCR2Transformer",
    "MICLClassifier",
    "NearestSubspaceClassifier",
    "PolarTransformer",
    "ReduNetClassifier",
    "ReduNetTransformer",
    "ScatteringTransformer",
    "__version__",
    "datasets",
    "image",
    "make_invariant_pipeline",
    "metrics",
    "plotting",
    "rates",
]

# Names of all types of fitted models, for ``skops.io.load(file, trusted=...)``.
trusted_types = [
    "skredu.Signals",
    "skredu.image.CompressionSegmenter",
    *(f"skredu.{name}" for name in __all__ if name[0].isupper()),
]

# Importing the clustering need not import the networks.
__getattr__ = lazy(
    __name__,
    {
        "CodingGainSelector": "representation",
        "CompressionClustering": "clustering",
        "CompressionOutlierDetector": "outliers",
        "ConvolutionalLifting": "lifting",
        "DilatedKernelTransformer": "lifting",
        "InvariantReduNetClassifier": "redunet",
        "InvariantReduNetTransformer": "redunet",
        "MCR2Transformer": "representation",
        "MICLClassifier": "classification",
        "NearestSubspaceClassifier": "classification",
        "PolarTransformer": "lifting",
        "ReduNetClassifier": "redunet",
        "ReduNetTransformer": "redunet",
        "ScatteringTransformer": "lifting",
        "make_invariant_pipeline": "redunet",
        # The type of the signals that liftings return, which pickles refer to.
        "Signals": "lifting",
    },
    modules=frozenset({"datasets", "image", "metrics", "plotting", "rates"}),
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
