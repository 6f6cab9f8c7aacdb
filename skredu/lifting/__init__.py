"""Signals and images made ready for networks that are indifferent to shifts."""

from skredu.lifting._convolution import ConvolutionalLifting
from skredu.lifting._polar import PolarTransformer

__all__ = ["ConvolutionalLifting", "PolarTransformer"]
