"""Clustering based on coding lengths."""

from skredu.clustering._compression_clustering import CompressionClustering

__all__ = ["CompressionClustering"]
