"""Scores of segmentations, by their regions and by their boundaries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow
from scipy.spatial import KDTree
from sklearn.utils import assert_all_finite

from skredu._checks import as_float, check_numbers, naming


def probabilistic_rand_index(labels_true: Any, labels_pred: Any) -> float:
    """Compute the share of pairs of pixels on which segmentations agree.

    Two segmentations agree on a pair of pixels if both of them have it in the same
    segment, or both in different ones. With several true segmentations, this is the
    mean over them.

    Parameters
    ----------
    labels_true : array-like of shape (...) or (m, ...)
        The true segmentation, with the shape of ``labels_pred``, or ``m`` of them.
    labels_pred : array-like of shape (...)
        Segment of each pixel: numbers, strings or other sortable values. Any number of
        dimensions is allowed, so this may also be a vector of labels of samples.

    Returns
    -------
    score : float
        A number between 0 and 1. Higher is better, and 1 means that all segmentations
        are equal.

    Raises
    ------
    ValueError
        If the arrays are empty, if their shapes differ, or if labels are not finite or
        cannot be sorted.

    See Also
    --------
    sklearn.metrics.rand_score : The same for two vectors of labels.

    References
    ----------
    Unnikrishnan, Pantofaru and Hebert, "Toward objective evaluation of image
    segmentation algorithms", IEEE TPAMI 29(6), 2007.

    Examples
    --------
    >>> from skredu.metrics import probabilistic_rand_index
    >>> one, other = [[0, 0], [0, 1]], [[0, 0], [1, 1]]
    >>> probabilistic_rand_index(one, other)
    0.5
    >>> probabilistic_rand_index([one, other], other)
    0.75
    """
    return _mean_over(rand_index, labels_true, labels_pred)


def variation_of_information(labels_true: Any, labels_pred: Any) -> float:
    """Compute the bits per pixel that tell two segmentations apart.

    This is the conditional entropy of each segmentation given the other one, added. It
    is a metric in the space of segmentations. With several true segmentations, the mean
    over them is returned.

    Parameters
    ----------
    labels_true : array-like of shape (...) or (m, ...)
        The true segmentation, with the shape of ``labels_pred``, or ``m`` of them.
    labels_pred : array-like of shape (...)
        Segment of each pixel: numbers, strings or other sortable values. Any number of
        dimensions is allowed, so this may also be a vector of labels of samples.

    Returns
    -------
    bits : float
        A number of at least 0. Lower is better, and 0 means that all segmentations are
        equal.

    Raises
    ------
    ValueError
        If the arrays are empty, if their shapes differ, or if labels are not finite or
        cannot be sorted.

    References
    ----------
    Meila, "Comparing clusterings: an axiomatic view", ICML 2005.

    Examples
    --------
    >>> from skredu.metrics import variation_of_information
    >>> variation_of_information([[0, 0], [1, 1]], [[0, 1], [0, 1]])
    2.0
    >>> variation_of_information([[0, 0], [1, 1]], [["b", "b"], ["a", "a"]])
    0.0
    """
    return _mean_over(conditional_entropies, labels_true, labels_pred)


def segmentation_covering(labels_true: Any, labels_pred: Any) -> float:
    """Compute how well true segments are covered by the segments that were found.

    Each true segment is compared with the segment that overlaps best, by the number of
    common pixels divided by the number of pixels in any of both. This is averaged over
    the pixels, and over the true segmentations if there are several. The score is not
    symmetric.

    Parameters
    ----------
    labels_true : array-like of shape (...) or (m, ...)
        The true segmentation, with the shape of ``labels_pred``, or ``m`` of them.
    labels_pred : array-like of shape (...)
        Segment of each pixel: numbers, strings or other sortable values. Any number of
        dimensions is allowed, so this may also be a vector of labels of samples.

    Returns
    -------
    score : float
        A number between 0 and 1. Higher is better, and 1 means that all segmentations
        are equal.

    Raises
    ------
    ValueError
        If the arrays are empty, if their shapes differ, or if labels are not finite or
        cannot be sorted.

    References
    ----------
    Arbelaez, Maire, Fowlkes and Malik, "Contour detection and hierarchical image
    segmentation", IEEE TPAMI 33(5), 2011.

    Examples
    --------
    >>> from skredu.metrics import segmentation_covering
    >>> segmentation_covering([[0, 0, 0, 0]], [[0, 0, 1, 1]])
    0.5
    >>> segmentation_covering([[0, 0, 1, 1]], [[0, 0, 0, 0]])
    0.5
    >>> segmentation_covering([[0, 0, 1, 1]], [[0, 0, 0, 1]])  # 2/3 and 1/2
    0.58...
    """
    return _mean_over(covering, labels_true, labels_pred)


def global_consistency_error(labels_true: Any, labels_pred: Any) -> float:
    """Compute how far two segmentations are from one being a refinement of the other.

    The error of a pixel is the share of its segment that is not in its segment of the
    other segmentation. The mean is taken in that of both directions in which it is
    smaller, so a segmentation into single pixels or into one segment has no error.
    Compare segmentations with similar numbers of segments only. With several true
    segmentations, the mean over them is returned.

    Parameters
    ----------
    labels_true : array-like of shape (...) or (m, ...)
        The true segmentation, with the shape of ``labels_pred``, or ``m`` of them.
    labels_pred : array-like of shape (...)
        Segment of each pixel: numbers, strings or other sortable values. Any number of
        dimensions is allowed, so this may also be a vector of labels of samples.

    Returns
    -------
    error : float
        A number between 0 and 1. Lower is better.

    Raises
    ------
    ValueError
        If the arrays are empty, if their shapes differ, or if labels are not finite or
        cannot be sorted.

    References
    ----------
    Martin, Fowlkes, Tal and Malik, "A database of human segmented natural images and
    its application to evaluating segmentation algorithms and measuring ecological
    statistics", ICCV 2001.

    Examples
    --------
    >>> from skredu.metrics import global_consistency_error
    >>> global_consistency_error([[0, 0], [1, 1]], [[0, 1], [0, 1]])
    0.5
    >>> global_consistency_error([[0, 0], [1, 1]], [[0, 1], [2, 3]])  # a refinement
    0.0
    """
    return _mean_over(consistency_error, labels_true, labels_pred)


def boundary_f_score(
    labels_true: Any, labels_pred: Any, *, max_distance: float = 0.0075
) -> float:
    """Compute the F-score of the boundaries between segments.

    A pixel belongs to a boundary if the pixel below it, to its right, or below and to
    its right is in another segment; boundaries are thinned. Pixels of both
    segmentations are matched one to one within a maximal distance, such that as many as
    possible are matched. The score is the harmonic mean of the precision, which is the
    share of matched pixels among those found, and the recall, which is the share of
    matched pixels among true ones. With several true segmentations, a pixel that was
    found counts as matched if it is matched with a pixel of any of them, and the recall
    is that of all their pixels together.

    Parameters
    ----------
    labels_true : array-like of shape (height, width) or (m, height, width)
        The true segmentation, or ``m`` of them.
    labels_pred : array-like of shape (height, width)
        Segment of each pixel: numbers, strings or other sortable values.
    max_distance : float, default=0.0075
        Maximal distance of matched pixels, as a share of the diagonal.

    Returns
    -------
    score : float
        A number between 0 and 1. Higher is better. It is 1 if there are no boundaries
        at all.

    Raises
    ------
    ValueError
        If ``max_distance`` is negative or not finite, if the arrays are empty, if their
        shapes differ, or if labels are not finite or cannot be sorted.

    References
    ----------
    Martin, Fowlkes and Malik, "Learning to detect natural image boundaries using local
    brightness, color, and texture cues", IEEE TPAMI 26(5), 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from skredu.metrics import boundary_f_score
    >>> true, found = np.zeros((2, 100, 100), dtype=int)
    >>> true[:, 50:] = 1
    >>> found[:, 51:] = 1
    >>> boundary_f_score(true, found)
    1.0
    >>> boundary_f_score(true, found, max_distance=0.0)
    0.0
    """
    distance = as_float(max_distance)
    if not 0.0 <= distance < math.inf:
        raise ValueError(
            "Bad max_distance: must be a finite number of at least 0, found "
            f"{max_distance!r}."
        )
    truths, found = _checked(labels_true, labels_pred)
    if found.ndim != 2:
        raise ValueError(
            "Bad labels_pred: must be an image of shape (height, width), found the "
            f"shape {found.shape}."
        )
    recalled, n_true, matched, n_found = boundary_counts(truths, found, distance)
    if n_true == 0 and n_found == 0:
        return 1.0
    if recalled == 0:
        return 0.0
    precision, recall = matched / n_found, recalled / n_true
    return 2.0 * precision * recall / (precision + recall)


def boundary_counts(
    truths: Any, found: Any, max_distance: float
) -> tuple[int, int, int, int]:
    """Count matched and all boundary pixels: those of true ones, then those found.

    Parameters
    ----------
    truths : array of int of shape (m, height, width)
    found : array of int of shape (height, width)
    max_distance : float
        As a share of the diagonal.
    """
    reach = max_distance * math.hypot(*found.shape) + 1e-9
    pixels = np.argwhere(boundaries(found))
    matched, recalled, n_true = np.zeros(len(pixels), dtype=bool), 0, 0
    for truth in truths:
        others = np.argwhere(boundaries(truth))
        n_true += len(others)
        if len(others) and len(pixels):
            partners = _matched(others, pixels, reach)
            matched[partners] = True
            recalled += len(partners)
    return recalled, n_true, int(np.sum(matched)), len(pixels)


def _matched(A: Any, B: Any, reach: float) -> Any:
    """Return which rows of B are matched if as many as possible are, one to one.

    The matching is a maximal flow, which is found up to a hundred times as fast as by
    SciPy's function for matchings.
    """
    near = KDTree(A).sparse_distance_matrix(KDTree(B), reach, output_type="ndarray")
    source, sink = len(A) + len(B), len(A) + len(B) + 1
    b = len(A) + np.arange(len(B))
    tails = np.concatenate([near["i"], np.full(len(A), source), b])
    heads = np.concatenate(
        [len(A) + near["j"], np.arange(len(A)), np.full(len(B), sink)]
    )
    ones, shape = np.ones(len(tails), dtype=np.int32), (sink + 1, sink + 1)
    places = tails.astype(np.int32), heads.astype(np.int32)  # older SciPy needs these
    flow = maximum_flow(csr_array((ones, places), shape), source, sink).flow
    return flow[:, [sink]].nonzero()[0] - len(A)


def boundaries(labels: Any) -> Any:
    """Return the boundary pixels of a label image: those next to others, thinned."""
    found = np.zeros(labels.shape, dtype=bool)
    found[:-1] |= labels[:-1] != labels[1:]
    found[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    found[:-1, :-1] |= labels[:-1, :-1] != labels[1:, 1:]
    padded = np.pad(found, 1)
    pixels, left = padded.ravel(), np.flatnonzero(padded)  # a view, and places in it
    while True:
        before = len(left)
        for half in (0, 4):
            gone = _removable(pixels, left, padded.shape[1], half)
            pixels[left[gone]] = False
            left = left[~gone]
        if len(left) == before:
            return padded[1:-1, 1:-1]


def _removable(pixels: Any, places: Any, width: int, half: int) -> Any:
    """Return which pixels a half step of thinning removes (Guo and Hall 1989)."""
    # the neighbours in their order around the pixel, from the one above it
    around = [-width, 1 - width, 1, 1 + width, width, width - 1, -1, -1 - width]
    p = [pixels[places + step] for step in around]
    pairs = [p[i] | p[(i + 1) % 8] for i in range(8)]
    parts = sum((~p[i] & pairs[i + 1]).astype(int) for i in range(0, 8, 2))
    sizes = [sum(pair.astype(int) for pair in pairs[i::2]) for i in (0, 1)]
    least = np.minimum(*sizes)
    side = (pairs[half] | ~p[(half + 3) % 8]) & p[(half + 2) % 8]
    return (parts == 1) & (least >= 2) & (least <= 3) & ~side


# -- tables of two segmentations ------------------------------------------------------


def _mean_over(score: Any, labels_true: Any, labels_pred: Any) -> float:
    """Return the mean of a score over true segmentations.

    The score is a function of the numbers of `contingency`.
    """
    truths, found = _checked(labels_true, labels_pred)
    return float(np.mean([score(*contingency(truth, found)) for truth in truths]))


def contingency(truth: Any, found: Any) -> tuple[Any, Any, Any]:
    """Return the numbers of pixels in each pair of segments, and in all of both.

    Parameters
    ----------
    truth, found : array of int of shape (...)

    Returns
    -------
    table : sparse array of shape (k, m)
    rows : array of shape (k,)
    columns : array of shape (m,)
    """
    ends = truth.ravel(), found.ravel()
    table = csr_array((np.ones(found.size), ends)).tocoo()
    rows, columns = (np.bincount(end).astype(np.float64) for end in ends)
    return table, rows, columns


def rand_index(table: Any, rows: Any, columns: Any) -> float:
    """Return the share of pairs of pixels on which two segmentations agree."""
    n, pairs = np.sum(rows), rows @ rows + columns @ columns
    return float(
        1.0 - (pairs - 2.0 * table.data @ table.data) / max(n * (n - 1.0), 1.0)
    )


def conditional_entropies(table: Any, rows: Any, columns: Any) -> float:
    """Return the sum of the bits of each segmentation given the other one."""
    i, j = table.coords
    logs = np.log2(rows[i] / table.data) + np.log2(columns[j] / table.data)
    return float(table.data @ logs / np.sum(rows))


def covering(table: Any, rows: Any, columns: Any) -> float:
    """Return the mean overlap of the segments of the rows with their best columns."""
    i, j = table.coords
    best = np.zeros(len(rows))
    np.maximum.at(best, i, table.data / (rows[i] + columns[j] - table.data))
    return float(rows @ best / np.sum(rows))


def consistency_error(table: Any, rows: Any, columns: Any) -> float:
    """Return the mean error of refinement in the direction in which it is smaller."""
    i, j = table.coords
    n, shares = np.sum(rows), table.data * table.data
    return float(min(n - np.sum(shares / rows[i]), n - np.sum(shares / columns[j])) / n)


def _checked(labels_true: Any, labels_pred: Any) -> tuple[Any, Any]:
    """Return true segmentations (m, ...) and another one (...) as integers from 0."""
    found = _codes(labels_pred, "labels_pred")
    truths = _codes(labels_true, "labels_true")
    if found.ndim == truths.ndim:
        truths = truths[None]
    if truths.shape[1:] != found.shape:
        raise ValueError(
            "Bad labels_true: must have the shape of labels_pred, "
            f"{found.shape}, or a further dimension before it for several "
            f"segmentations, found the shape {np.shape(labels_true)}."
        )
    return truths, found


def _codes(labels: Any, name: str) -> Any:
    """Return labels of any shape as integers from 0, of which some may not occur."""
    check_numbers(labels, name, times=True)
    with naming(name):
        labels = np.asarray(labels)
        if labels.ndim == 0 or labels.size == 0:
            raise ValueError(
                f"must be a non-empty array of labels, found the shape {labels.shape}."
            )
        assert_all_finite(labels, input_name=name)
        if (
            labels.dtype.kind in "iu"
            and 0 <= labels.min() <= labels.max() < labels.size
        ):
            return labels.astype(np.intp)
        return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
