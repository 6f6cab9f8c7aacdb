"""Deep networks that are constructed by maximising the rate reduction."""

from typing import TYPE_CHECKING

from skredu._lazy import lazy

if TYPE_CHECKING:
    # Names with an alias are for other parts of skredu only.
    from skredu.redunet._grid import Grid as Grid
    from skredu.redunet._invariant import (
        InvariantReduNetClassifier,
        InvariantReduNetTransformer,
    )
    from skredu.redunet._layer import Layer as Layer
    from skredu.redunet._layer import ReduNetLayer as ReduNetLayer
    from skredu.redunet._net import BaseNet as BaseNet
    from skredu.redunet._pipeline import make_invariant_pipeline
    from skredu.redunet._redunet import ReduNetClassifier, ReduNetTransformer
    from skredu.redunet._samples import Samples as Samples
    from skredu.redunet._samples import fit_decision as fit_decision
    from skredu.redunet._transform import components_of as components_of

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
        # for other parts of skredu only
        "BaseNet": "_net",
        "Grid": "_grid",
        "Layer": "_layer",
        "ReduNetLayer": "_layer",
        "Samples": "_samples",
        "components_of": "_transform",
        "fit_decision": "_samples",
    },
)
