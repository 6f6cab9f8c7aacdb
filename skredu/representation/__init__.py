"""Features for the classes: maps of maximal rate reduction, and selection."""

from skredu.representation._coding_gain import CodingGainSelector
from skredu.representation._mcr2 import MCR2Transformer

__all__ = ["CodingGainSelector", "MCR2Transformer"]
