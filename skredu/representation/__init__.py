"""Linear features of maximal rate reduction."""

from skredu.representation._mcr2 import MCR2Transformer

__all__ = ["MCR2Transformer"]
