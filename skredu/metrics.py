"""Scores for clusterings and features, usable as scorers.

Greater is better in all scores, and a sample weight is a number of copies.

`clustering_accuracy` compares labels with labels, so
``make_scorer(clustering_accuracy)`` is a scorer for every clusterer with a ``predict``
method. The other scores look at rows and labels, like
`sklearn.metrics.silhouette_score`. As scorers they go into a function of an estimator
and data. Of the features that a transformer or pipeline learns::

    def scoring(transformer, X, y):
        return rate_reduction_score(transformer.transform(X), y)

Of a clustering, without the truth::

    def scoring(clusterer, X, y=None):
        return coding_length_score(X, clusterer.predict(X), epsilon=0.1)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.utils import assert_all_finite, column_or_1d, gen_batches

from skredu._checks import check_weights, naming, rows_and_weights
from skredu._compat import move_to, namespace
from skredu.coding._linalg import BLOCK, widen
from skredu.rates import coding_length, partition_coding_length, rate_reduction

__all__ = [
    "class_similarity",
    "clustering_accuracy",
    "coding_length_score",
    "rate_reduction_score",
]


def clustering_accuracy(
    labels_true: Any, labels_pred: Any, *, sample_weight: Any = None
) -> float:
    """Share of rows with the right label after the best one-to-one renaming.

    Every predicted group is given at most one true label and every true label to at
    most one group, so that as many rows as possible are right. The rows of surplus
    groups are wrong. One minus this is the misclassification rate of the papers.

    The label -1 of outliers or noise is a label like any other. Leave such rows out
    for the accuracy of the inliers.

    Parameters
    ----------
    labels_true : array-like of shape (n,)
        True labels: numbers, strings or other values that can be sorted.
    labels_pred : array-like of shape (n,)
        Groups found; their names need not be of the same type.
    sample_weight : array-like of shape (n,), default=None
        Number of copies of each row; fractions are allowed.

    Returns
    -------
    accuracy : float
        From 0 to 1, and 1 only for the same partition.

    Raises
    ------
    ValueError
        If the arrays are empty, not one-dimensional or of different lengths, if labels
        cannot be sorted, or if ``sample_weight`` is negative, all zero or not finite.

    See Also
    --------
    sklearn.metrics.adjusted_rand_score : Agreement of pairs, corrected for chance.

    References
    ----------
    Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics
    Quarterly 2, 1955.

    Examples
    --------
    >>> from skredu.metrics import clustering_accuracy
    >>> clustering_accuracy(["a", "a", "b", "b"], [1, 1, 0, 0])
    1.0
    >>> clustering_accuracy(["a", "a", "b", "b"], [1, 1, 0, 2])
    0.75
    """
    rows, k = _codes(labels_true, "labels_true")
    columns, m = _codes(labels_pred, "labels_pred")
    _check_length(columns, "labels_pred", len(rows), "labels_true")
    weights = _weights(sample_weight, np.ones((len(rows), 1)))
    if weights is not None:
        weights = weights / np.max(weights)  # so that no sum overflows
    table = np.bincount(rows * m + columns, weights, minlength=k * m).reshape(k, m)
    right = table[linear_sum_assignment(table, maximize=True)]
    return float(np.sum(right) / np.sum(table))


def coding_length_score(
    X: Any,
    labels: Any,
    *,
    epsilon: float,
    assume_centered: bool = False,
    sample_weight: Any = None,
) -> float:
    r"""Share of the bits that a partition saves over one group of all rows.

    .. math:: s = \frac{L_1 - L_k}{\max(L_1, L_k)}

    with the bits :math:`L_1` of all rows as one group and the bits :math:`L_k` of the
    groups with their labels. So a partition with a fifth of the bits scores 0.8, one
    group scores 0, and a partition that costs five times as many bits scores -0.8.

    The label -1 of outliers or noise is a label like any other: such rows are coded as
    a group. Scores of other rows or another ``epsilon`` cannot be compared.

    Parameters
    ----------
    X : array-like of shape (n, d)
        The rows.
    labels : array-like of shape (n,)
        Group of each row: numbers, strings or other values that can be sorted.
    epsilon : float
        Distortion, a length in the units of ``X`` (published code passes its square).
    assume_centered : bool, default=False
        Code linear subspaces through the origin instead of affine ones.
    sample_weight : array-like of shape (n,), default=None
        Number of copies of each row; fractions are allowed.

    Returns
    -------
    score : float
        From -1 to 1; 0 if neither costs anything, that is, for one group of zeros.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive and finite, ``X`` is not a finite two-dimensional
        array, ``labels`` or ``sample_weight`` do not fit it or cannot be used.

    See Also
    --------
    skredu.rates.partition_coding_length : Bits of a partition.

    References
    ----------
    Ma, Derksen, Hong and Wright, "Segmentation of multivariate mixed data via lossy
    data coding and compression", IEEE TPAMI 29(9), 2007, for the coding lengths.

    Examples
    --------
    The true partition saves bits, a random one of the same sizes costs some.

    >>> import numpy as np
    >>> from skredu.datasets import make_subspaces
    >>> from skredu.metrics import coding_length_score
    >>> X, y = make_subspaces(random_state=0)
    >>> coding_length_score(X, y, epsilon=0.05) > 0.1
    True
    >>> random = np.random.RandomState(0).permutation(y)
    >>> coding_length_score(X, random, epsilon=0.05) < 0
    True
    """
    X, labels, weights = _labelled_rows(X, labels, sample_weight)
    options = {"epsilon": epsilon, "weights": weights}
    whole = coding_length(X, assume_centered=assume_centered, **options)
    parts = partition_coding_length(
        X, labels, assume_centered=assume_centered, **options
    )
    most = max(whole, parts)
    return (whole - parts) / most if most > 0.0 else 0.0


def rate_reduction_score(
    X: Any, labels: Any, *, epsilon: float = 0.5, sample_weight: Any = None
) -> float:
    r"""Rate reduction of rows on the unit sphere: how separate and rich classes are.

    Every row is divided by its norm, rows of zeros stay zero, and the rate reduction
    :math:`\Delta R` of the rows is returned. It is large where classes lie along
    different directions and each fills many of them. The norms of the rows do not
    matter. For rows as they are, call `skredu.rates.rate_reduction`.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows or features.
    labels : array-like of shape (n,)
        Class or group of each row: numbers, strings or other values that can be sorted.
    epsilon : float, default=0.5
        Distortion, a length between rows of norm one (published code passes its
        square).
    sample_weight : array-like of shape (n,), default=None
        Number of copies of each row; fractions are allowed.

    Returns
    -------
    score : float
        Rate reduction in nats, 0 or more, and 0 for one class.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive and finite, ``X`` is not a finite two-dimensional
        array, ``labels`` or ``sample_weight`` do not fit it or cannot be used.

    See Also
    --------
    skredu.rates.rate_reduction : The rate reduction of rows as they are.
    class_similarity : Cosines between the rows of classes.

    References
    ----------
    Yu, Chan, You, Song and Ma, "Learning diverse and discriminative representations
    via the principle of maximal coding rate reduction", NeurIPS 2020, equation (6).

    Examples
    --------
    >>> import numpy as np
    >>> from skredu.metrics import rate_reduction_score
    >>> X = np.array([[3.0, 0.0], [0.1, 0.0], [0.0, 1.0], [0.0, -2.0]])
    >>> round(rate_reduction_score(X, ["a", "a", "b", "b"], epsilon=0.1**0.5), 4)
    0.8756
    >>> round(rate_reduction_score(X, ["a", "b", "a", "b"], epsilon=0.1**0.5), 4)
    0.0
    """
    X, labels, weights = _labelled_rows(X, labels, sample_weight)
    score = rate_reduction(_on_sphere(X), labels, epsilon=epsilon, weights=weights)
    return max(0.0, score)


def class_similarity(X: Any, labels: Any, *, sample_weight: Any = None) -> Any:
    r"""Mean absolute cosine between the rows of every two classes.

    .. math::

        s_{ij} = \frac{1}{n_i n_j} \sum_{a \in i} \sum_{b \in j}
                 \frac{|x_a^T x_b|}{\|x_a\| \|x_b\|}

    Off the diagonal, 0 means orthogonal classes. On the diagonal, 1 means that all
    rows of a class lie along one direction; pairs of a row with itself are counted. The
    cosine with a row of zeros is 0.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows or features.
    labels : array-like of shape (n,)
        Class or group of each row: numbers, strings or other values that can be sorted.
    sample_weight : array-like of shape (n,), default=None
        Number of copies of each row; fractions are allowed.

    Returns
    -------
    similarity : array of shape (k, k)
        Symmetric, from 0 to 1, in double precision; classes in sorted order. Classes
        whose weights are all zero have the value 0.

    Raises
    ------
    ValueError
        If ``X`` is not a finite two-dimensional array, ``labels`` or ``sample_weight``
        do not fit it or cannot be used.

    See Also
    --------
    sklearn.metrics.pairwise.cosine_similarity : Cosines of all pairs of rows.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022, for the heat maps of cosines
    of which this is the summary.

    Examples
    --------
    >>> import numpy as np
    >>> from skredu.metrics import class_similarity
    >>> X = np.array([[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> class_similarity(X, [0, 0, 1, 1]).round(3)
    array([[1. , 0.3],
           [0.3, 0.9]])
    """
    X, labels, weights = _labelled_rows(X, labels, sample_weight)
    Z, xp, n = _on_sphere(X), namespace(X), X.shape[0]
    (members,) = move_to(X, np.eye(int(np.max(labels)) + 1)[labels])
    if weights is not None:
        weights = widen(weights)
        members = members * (weights / xp.max(weights))[:, None]
    totals = xp.sum(members, axis=0)
    shares = members / xp.where(totals > 0.0, totals, xp.ones_like(totals))
    similarity: Any = 0.0
    for rows in gen_batches(n, max(1, BLOCK // n)):
        cosines = xp.abs(Z[rows, :] @ Z.T)
        similarity = similarity + shares[rows, :].T @ (cosines @ shares)
    return xp.clip(0.5 * (similarity + similarity.T), 0.0, 1.0)


def _labelled_rows(X: Any, labels: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Rows, labels as integers from 0, and weights or None, checked."""
    X, _ = rows_and_weights(X, None)
    codes, _ = _codes(labels, "labels")
    _check_length(codes, "labels", X.shape[0], "X")
    return X, codes, _weights(sample_weight, X)


def _codes(labels: Any, name: str) -> tuple[Any, int]:
    """Labels as integers from 0, in sorted order, and how many there are."""
    with naming(name):
        labels = column_or_1d(np.asarray(labels))
        if not len(labels):
            raise ValueError("must hold one label or more, found none.")
        assert_all_finite(labels, input_name=name)
        values, codes = np.unique(labels, return_inverse=True)
    return codes, len(values)


def _check_length(codes: Any, name: str, n: int, other: str) -> None:
    if len(codes) != n:
        raise ValueError(
            f"Bad {name}: must have one entry for each of the {n} rows of {other}, "
            f"found {len(codes)}."
        )


def _weights(sample_weight: Any, X: Any) -> Any:
    with naming("sample_weight"):
        return check_weights(sample_weight, X)


def _on_sphere(X: Any) -> Any:
    """Rows of norm one, or zero where a row is zero, at any scale of the rows."""
    xp, X = namespace(X), widen(X)
    for order in (xp.inf, 2):  # the largest entry first, so that no square overflows
        norms = xp.linalg.vector_norm(X, axis=1, keepdims=True, ord=order)
        X = X / xp.where(norms > 0.0, norms, xp.ones_like(norms))
    return X
