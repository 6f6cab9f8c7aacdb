"""Signals and images made ready for networks that are indifferent to shifts."""

from typing import TYPE_CHECKING

from skredu._lazy import lazy

if TYPE_CHECKING:
    from skredu.lifting._convolution import ConvolutionalLifting
    from skredu.lifting._polar import PolarTransformer
    from skredu.lifting._signals import Signals

__all__ = ["ConvolutionalLifting", "PolarTransformer", "Signals"]

# Networks know what a grid is without loading these.
__getattr__ = lazy(
    __name__,
    {
        "ConvolutionalLifting": "_convolution",
        "PolarTransformer": "_polar",
        "Signals": "_signals",
    },
)
