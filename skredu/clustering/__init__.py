"""Clustering by coding length."""

from skredu.clustering._compression_clustering import CompressionClustering

__all__ = ["CompressionClustering"]
