"""Scores for clusterings, features, labels and segmentations of images.

Higher is better for all scores but two, `variation_of_information` and
`global_consistency_error`, which compare segmentations. A sample weight is a number of
copies.

`clustering_accuracy` compares two labelings, so ``make_scorer(clustering_accuracy)`` is
a scorer for every clusterer that has a ``predict`` method. The other scores need
samples and labels, like `sklearn.metrics.silhouette_score`. To use them as scorers,
wrap them in a function of an estimator and data. This function scores the features that
a transformer or pipeline learns::

    def scoring(transformer, X, y):
        return rate_reduction_score(transformer.transform(X), y)

This function scores a clustering without true labels::

    def scoring(clusterer, X, y=None):
        return coding_length_score(X, clusterer.predict(X), epsilon=0.1)
"""

from __future__ import annotations

from skredu.metrics._labels import (
    class_similarity,
    clustering_accuracy,
    coding_length_score,
    label_quality,
    rate_reduction_score,
)
from skredu.metrics._segmentation import (
    boundary_f_score,
    global_consistency_error,
    probabilistic_rand_index,
    segmentation_covering,
    variation_of_information,
)

__all__ = [
    "boundary_f_score",
    "class_similarity",
    "clustering_accuracy",
    "coding_length_score",
    "global_consistency_error",
    "label_quality",
    "probabilistic_rand_index",
    "rate_reduction_score",
    "segmentation_covering",
    "variation_of_information",
]

for _name in __all__:
    globals()[_name].__module__ = __name__
