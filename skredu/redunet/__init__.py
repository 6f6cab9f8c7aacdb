"""Deep networks that are constructed by maximising the rate reduction."""

from typing import TYPE_CHECKING

from skredu._lazy import lazy

if TYPE_CHECKING:
    from skredu.redunet._invariant import (
        InvariantReduNetClassifier,
        InvariantReduNetTransformer,
    )
    from skredu.redunet._pipeline import make_invariant_pipeline
    from skredu.redunet._redunet import ReduNetClassifier, ReduNetTransformer

__all__ = [
    "InvariantReduNetClassifier",
    "InvariantReduNetTransformer",
    "ReduNetClassifier",
    "ReduNetTransformer",
    "make_invariant_pipeline",
]

# Networks for vectors can be imported without the code for signals.
__getattr__ = lazy(
    __name__,
    {
        "InvariantReduNetClassifier": "_invariant",
        "InvariantReduNetTransformer": "_invariant",
        "ReduNetClassifier": "_redunet",
        "ReduNetTransformer": "_redunet",
        "make_invariant_pipeline": "_pipeline",
    },
)
