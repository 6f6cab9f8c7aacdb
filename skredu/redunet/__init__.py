"""Deep networks built forward by maximising the rate reduction."""

from skredu.redunet._redunet import ReduNetClassifier, ReduNetTransformer

__all__ = ["ReduNetClassifier", "ReduNetTransformer"]
