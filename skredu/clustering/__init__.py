"""Clustering by coding length."""
