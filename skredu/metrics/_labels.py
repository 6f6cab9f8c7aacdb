"""Scores of labels of samples: clusterings, features, and wrong labels."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import assert_all_finite, column_or_1d

from skredu._checks import check_numbers, check_weights, naming, rows_and_weights
from skredu._compat import move_to, namespace
from skredu.classification import MICLClassifier
from skredu.coding._linalg import blocks_of_rows, on_sphere, widen
from skredu.rates import coding_length, partition_coding_length, rate_reduction


def clustering_accuracy(
    labels_true: Any, labels_pred: Any, *, sample_weight: Any = None
) -> float:
    """Compute the accuracy of a clustering after the best matching of the labels.

    Every predicted group is matched with at most one true label, and every true label
    with at most one group, such that as many samples as possible are correct. All
    samples of groups without a match are wrong. One minus the accuracy is the
    misclassification rate of the papers.

    The label -1 of outliers or noise is treated like any other label. To compute the
    accuracy of the inliers only, leave these samples out.

    Parameters
    ----------
    labels_true : array-like of shape (n,)
        True labels, which may be numbers, strings or other values that can be sorted.
    labels_pred : array-like of shape (n,)
        Labels of the groups that were found, which may be of another type.
    sample_weight : array-like of shape (n,), default=None
        Number of copies of each sample; fractions are allowed.

    Returns
    -------
    accuracy : float
        A number between 0 and 1, which is 1 only if both partitions are the same.

    Raises
    ------
    ValueError
        If the arrays are empty, not one-dimensional or of different lengths, if labels
        cannot be sorted, or if ``sample_weight`` is negative, all zero or not finite.

    See Also
    --------
    sklearn.metrics.adjusted_rand_score : Rand index adjusted for chance.

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
    rows = _codes(labels_true, "labels_true")
    columns = _codes(labels_pred, "labels_pred", len(rows), "labels_true")
    with naming("sample_weight"):
        weights = check_weights(sample_weight, np.ones((len(rows), 1)))
    if weights is not None:
        weights = weights / np.max(weights)  # so that no sum overflows
    k, m = np.max(rows) + 1, np.max(columns) + 1
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
    r"""Compute the share of bits that a partition saves compared with a single group.

    The score is

    .. math:: s = \frac{L_1 - L_k}{\max(L_1, L_k)},

    where :math:`L_1` is the coding length of all samples as one group, and :math:`L_k`
    is that of the groups, including their labels. A partition that takes a fifth of the
    bits has the score 0.8, a single group has the score 0, and a partition that takes
    five times as many bits has the score -0.8.

    The label -1 of outliers or noise is treated like any other label, so these samples
    are coded as a group. Scores can only be compared for the same samples and the same
    ``epsilon``.

    Parameters
    ----------
    X : array-like of shape (n, d)
        The samples.
    labels : array-like of shape (n,)
        Group of each sample: numbers, strings or other values that can be sorted.
    epsilon : float
        Distortion, a length in the units of ``X``. Published code uses its square.
    assume_centered : bool, default=False
        Whether to code linear subspaces through the origin instead of affine ones.
    sample_weight : array-like of shape (n,), default=None
        Number of copies of each sample; fractions are allowed.

    Returns
    -------
    score : float
        A number between -1 and 1. It is 0 if neither takes any bits, which is the case
        for one group of zeros.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive and finite, if ``X`` is not a finite
        two-dimensional array, or if ``labels`` or ``sample_weight`` are invalid or do
        not have one entry per sample.

    See Also
    --------
    skredu.rates.partition_coding_length : Compute the coding length of a partition.

    References
    ----------
    Ma, Derksen, Hong and Wright, "Segmentation of multivariate mixed data via lossy
    data coding and compression", IEEE TPAMI 29(9), 2007, for the coding lengths.

    Examples
    --------
    The true partition saves bits; a random one with groups of the same sizes does not:

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
    r"""Compute the rate reduction of samples that are projected to the unit sphere.

    Every sample is divided by its norm (zero vectors stay zero), and the rate reduction
    :math:`\Delta R` is returned. It is large if the classes lie along different
    directions and each class fills many of them. The norms of the samples do not
    matter. To compute the rate reduction without the projection, use
    `skredu.rates.rate_reduction`.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Samples or features.
    labels : array-like of shape (n,)
        Class or group of each sample: numbers, strings or other sortable values.
    epsilon : float, default=0.5
        Distortion, a length between samples of norm one. Published code uses its
        square.
    sample_weight : array-like of shape (n,), default=None
        Number of copies of each sample; fractions are allowed.

    Returns
    -------
    score : float
        Rate reduction in nats. It is never negative, and 0 for a single class.

    Raises
    ------
    ValueError
        If ``epsilon`` is not positive and finite, if ``X`` is not a finite
        two-dimensional array, or if ``labels`` or ``sample_weight`` are invalid or do
        not have one entry per sample.

    See Also
    --------
    skredu.rates.rate_reduction : Compute the rate reduction without projection.
    class_similarity : Compute the mean cosines between classes.

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
    Z = on_sphere(widen(X))
    return rate_reduction(Z, labels, epsilon=epsilon, weights=weights)


def class_similarity(X: Any, labels: Any, *, sample_weight: Any = None) -> Any:
    r"""Compute the mean absolute cosine between the samples of every two classes.

    The similarity of class i and class j is

    .. math::

        s_{ij} = \frac{1}{n_i n_j} \sum_{a \in i} \sum_{b \in j}
                 \frac{|x_a^T x_b|}{\|x_a\| \|x_b\|} .

    Off the diagonal, 0 means that two classes are orthogonal. On the diagonal, 1 means
    that all samples of a class lie along one direction; pairs of a sample with itself
    are included. The cosine with a zero vector is 0.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Samples or features.
    labels : array-like of shape (n,)
        Class or group of each sample: numbers, strings or other sortable values.
    sample_weight : array-like of shape (n,), default=None
        Number of copies of each sample; fractions are allowed.

    Returns
    -------
    similarity : array of shape (k, k)
        Symmetric matrix of numbers between 0 and 1 in double precision, with the
        classes in sorted order. The similarities of a class whose weights are all zero
        are 0.

    Raises
    ------
    ValueError
        If ``X`` is not a finite two-dimensional array, or if ``labels`` or
        ``sample_weight`` are invalid or do not have one entry per sample.

    See Also
    --------
    sklearn.metrics.pairwise.cosine_similarity : Compute the cosines of all pairs.

    References
    ----------
    Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
    principle of maximizing rate reduction", JMLR 23, 2022, for heat maps of cosines,
    which this matrix summarises.

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
    Z, xp, n = on_sphere(widen(X)), namespace(X), X.shape[0]
    (members,) = move_to(X, np.eye(int(np.max(labels)) + 1)[labels])
    if weights is not None:
        weights = widen(weights)
        members = members * (weights / xp.max(weights))[:, None]
    totals = xp.sum(members, axis=0)
    shares = members / xp.where(totals > 0.0, totals, xp.ones_like(totals))
    similarity: Any = 0.0
    for rows in blocks_of_rows(n, n):
        cosines = xp.abs(Z[rows, :] @ Z.T)
        similarity = similarity + shares[rows, :].T @ (cosines @ shares)
    return xp.clip(0.5 * (similarity + similarity.T), 0.0, 1.0)


def label_quality(
    X: Any, labels: Any, *, estimator: Any = None, sample_weight: Any = None
) -> Any:
    """Compute the probability of each label, predicted from all other samples.

    Small values suggest that a label is wrong. The classifier is fitted once; leaving
    out a sample, together with those that are equal to it, is then a closed formula.

    Parameters
    ----------
    X : array-like of shape (n, d)
        The samples.
    labels : array-like of shape (n,)
        Class of each sample: numbers, strings or other sortable values.
    estimator : MICLClassifier or Pipeline, default=None
        The classifier, which is cloned, or a pipeline that ends with it, whose other
        steps are fitted to all samples. None means ``MICLClassifier()``.
    sample_weight : array-like of shape (n,), default=None
        Number of copies of each sample; fractions are allowed.

    Returns
    -------
    quality : array of shape (n,)
        Probabilities in double precision. They are 0 for a class without other samples,
        and NaN for samples of weight zero.

    Raises
    ------
    ValueError
        If the estimator is of another kind, or if it raises an error for these samples,
        labels and weights.

    See Also
    --------
    skredu.plotting.LabelQualityDisplay : Draw the qualities of each class.

    Notes
    -----
    For at most 5 000 samples, this takes as long as the fit, and the result is the
    attribute ``label_quality_`` of the fitted classifier. For more samples, all others
    are left out with the chosen distortion, which takes a few times as long as
    predicting them.

    References
    ----------
    Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset
    labels", JAIR 70, 2021, who rank labels by probabilities from cross-validation.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skredu.metrics import label_quality
    >>> X, y = load_iris(return_X_y=True)
    >>> y[[3, 60]] = 2  # two wrong labels
    >>> sorted(label_quality(X, y).argsort()[:2].tolist())
    [3, 60]
    """
    if labels is None:
        raise ValueError("Bad labels: must be the labels to judge, found None.")
    model = MICLClassifier() if estimator is None else estimator
    with suppress(TypeError):  # others are refused below
        model = clone(model)
    if isinstance(model, Pipeline):
        X = model[:-1].fit_transform(X, labels) if len(model) > 1 else X
        model = model[-1]
    if not isinstance(model, MICLClassifier):
        raise ValueError(
            "Bad estimator: must be a MICLClassifier or a pipeline that ends with one, "
            f"found {estimator!r}."
        )
    return model._fit(X, labels, sample_weight, everything=True).label_quality_


def _labelled_rows(X: Any, labels: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """Validate samples, labels and weights, and encode the labels as integers."""
    X, _ = rows_and_weights(X, None)
    codes = _codes(labels, "labels", X.shape[0], "X")
    with naming("sample_weight"):
        return X, codes, check_weights(sample_weight, X)


def _codes(labels: Any, name: str, n: int | None = None, other: str = "") -> Any:
    """Encode sorted labels, one for each of ``n`` rows of another, as integers."""
    check_numbers(labels, name, times=True)
    with naming(name):
        labels = column_or_1d(np.asarray(labels))
        if not len(labels):
            raise ValueError("must contain at least one label, found none.")
        assert_all_finite(labels, input_name=name)
        codes = np.unique(labels, return_inverse=True)[1]
        if n is not None and len(codes) != n:
            raise ValueError(
                f"must have one entry for each of the {n} rows of {other}, found "
                f"{len(codes)}."
            )
    return codes
