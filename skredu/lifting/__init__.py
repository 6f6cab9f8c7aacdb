"""Transformers that prepare signals and images for shift-invariant networks."""

from typing import TYPE_CHECKING

from skredu._lazy import lazy
from skredu._signals import Signals

if TYPE_CHECKING:
    from skredu.lifting._convolution import ConvolutionalLifting
    from skredu.lifting._dilated import DilatedKernelTransformer
    from skredu.lifting._polar import PolarTransformer
    from skredu.lifting._scattering import ScatteringTransformer

__all__ = [
    "ConvolutionalLifting",
    "DilatedKernelTransformer",
    "PolarTransformer",
    "ScatteringTransformer",
    "Signals",
]

__getattr__ = lazy(
    __name__,
    {
        "ConvolutionalLifting": "_convolution",
        "DilatedKernelTransformer": "_dilated",
        "PolarTransformer": "_polar",
        "ScatteringTransformer": "_scattering",
    },
)
