"""Outliers: samples that take many bits given the others."""

from skredu.outliers._detector import CompressionOutlierDetector

__all__ = ["CompressionOutlierDetector"]
