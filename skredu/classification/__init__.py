"""Classifiers based on coding lengths."""

from skredu.classification._micl import MICLClassifier
from skredu.classification._nearest_subspace import NearestSubspaceClassifier

__all__ = ["MICLClassifier", "NearestSubspaceClassifier"]
