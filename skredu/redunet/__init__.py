"""Deep networks that are constructed by maximising the rate reduction."""

from typing import TYPE_CHECKING

from skredu._lazy import lazy

if TYPE_CHECKING:
    from skredu.redunet._invariant import (
        InvariantReduNetClassifier,
        InvariantReduNetTransformer,
    )
    from skredu.redunet._redunet import ReduNetClassifier, ReduNetTransformer

__all__ = [
    "InvariantReduNetClassifier",
    "InvariantReduNetTransformer",
    "ReduNetClassifier",
    "ReduNetTransformer",
]

# Who has plain vectors need not wait for what signals take.
__getattr__ = lazy(
    __name__,
    {
        "InvariantReduNetClassifier": "_invariant",
        "InvariantReduNetTransformer": "_invariant",
        "ReduNetClassifier": "_redunet",
        "ReduNetTransformer": "_redunet",
    },
)
