"""Linear features that are learned by maximising the rate reduction."""

from skredu.representation._mcr2 import MCR2Transformer

__all__ = ["MCR2Transformer"]
