"""Segmentation of images by compression.

Superpixels are computed by scikit-image (``pip install "skredu[image]"``), unless they
are given.
"""

from __future__ import annotations

from skredu.image._segmenter import CompressionSegmenter, compression_segmenter

__all__ = ["CompressionSegmenter", "compression_segmenter"]
