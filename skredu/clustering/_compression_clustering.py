"""CompressionClustering: find the partition that takes the fewest bits."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClusterMixin, clone
from sklearn.utils.validation import check_is_fitted

from skredu._base import SkreduEstimator, all_or_nothing
from skredu._checks import check_integer, check_rows, check_weights, has_gaps
from skredu._compat import CallbackSupportMixin, Interval, StrOptions
from skredu._progress import watched
from skredu.clustering._epsilon import (
    EPSILONS,
    choose_epsilon,
    epsilon_path,
    spread_of,
    total_bits,
)
from skredu.clustering._gaps import filled, regrouped
from skredu.clustering._groups import FittedGroups
from skredu.clustering._partition import Partition, parts_of
from skredu.clustering._rows import Data, checked_epsilon, prepare
from skredu.clustering._search import Found, Request, not_in_tree
from skredu.clustering._tree import Tree, merge_greedily, numbered

# The arguments of `Cluster` that `predict` needs.
STATE = ("count", "mean", "eigenvalues", "basis", "mean_square", "bits")


class CompressionClustering(
    CallbackSupportMixin, ClusterMixin, FittedGroups, SkreduEstimator
):
    r"""Clustering by coding length: find the groups that take the fewest bits.

    Samples are coded group by group up to the distortion ``epsilon``. A group on a
    subspace, or in a small ball, takes few bits. Groups are merged greedily, always the
    two whose union costs the fewest extra bits, until every merge would add bits. Then
    samples move, and groups are merged and split, as long as the number of bits

    .. math::

        \sum_j L(X_j) + \sum_j n_j \bigl(-\log_2 (n_j / n)\bigr), \quad
        L(X) = \frac{n+d}{2} \log_2 \det\Bigl(I + \frac{d}{n\epsilon^2} S\Bigr)
               + \frac{d}{2} \log_2\Bigl(1 + \frac{\mu^T\mu}{\epsilon^2}\Bigr)

    decreases. The number of groups need not be known, because it follows from the
    distortion.

    Parameters
    ----------
    epsilon : float or "auto", default="auto"
        Distortion, a length in the units of ``X``. A good value is about the noise of a
        sample, ``sigma * d**0.5`` for a standard deviation ``sigma`` in each feature.
        Published code uses its square. ``"auto"`` tries distortions from 0.0024 to 2.5
        times the spread of the samples, on at most 1000 samples and in at most 32
        principal directions. Distortions below the noise that is caused by rounding to
        the steps of the features are not tried. Distortion and partition are chosen
        together; see Notes.
    n_clusters : int, default=None
        Number of groups, not counting outliers: a sample that does not fit into any of
        the groups may have the label -1. None means the number that takes the fewest
        bits if ``epsilon`` is given, and the number that describes the samples best
        with ``"auto"``; see Notes.
    assume_centered : bool, default=False
        Whether groups lie on linear subspaces through the origin instead of affine
        ones.
    connectivity : int, sparse array, array or callable, default=None
        Defines which samples are neighbours. Only groups that are neighbours are
        merged, so every group is connected. It may be a graph of shape (n_samples,
        n_samples), in which positive entries connect two samples, a function that
        computes such a graph from ``X``, or a number of nearest neighbours. Components
        that are not connected are joined at their nearest samples, with a warning.
        Equal samples of a graph are merged from the start if and only if they are
        neighbours. Samples do not move between groups if this parameter is used.
    min_cluster_size : int or "auto", default="auto"
        Groups smaller than this are outliers, with the label -1. With ``"auto"`` and
        ``n_clusters``, each group has at least ``min(n / (3 * k), max(10, 3 * d))``
        samples, for ``k`` groups of ``n`` samples with ``d`` features. With ``"auto"``
        otherwise, a single sample is an outlier. Groups of any size count if
        ``connectivity`` is used, and if most samples would be outliers.
    refine : bool, default=True
        Whether to continue the search after greedy merging. With a given ``epsilon``,
        it never increases the number of bits.
    label_order : {"position", "size"}, default="position"
        Order in which groups are numbered: ``"position"`` is that of their smallest
        samples (by the first feature, then the second, ...), and ``"size"`` begins with
        the group of the greatest total weight, and orders equal weights by position.
    n_jobs : int, default=None
        Number of distortions that are processed in parallel; None means 1, and -1 means
        all processors.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Group of each sample, -1 for outliers. Groups are numbered as ``label_order``
        says.
    n_clusters_ : int
        Number of groups, not counting outliers.
    epsilon_ : float
        The distortion that is used.
    coding_length_ : float
        Coding length of the partition in bits, including the labels.
    greedy_coding_length_ : float
        Coding length at which greedy merging stops or has ``n_clusters`` groups.
    children_ : ndarray of shape (n_samples - 1, 2)
        Tree of greedy merging. Numbers below ``n_samples`` are samples, and merge ``i``
        forms the node ``n_samples + i``. Equal samples are merged first (with a graph,
        equal neighbours), and samples of weight zero with the nearest sample.
    merge_costs_ : ndarray of shape (n_samples - 1,)
        Bits that each merge adds; negative costs save bits.
    cluster_sizes_ : ndarray of shape (n_clusters,)
        Total weight of each group.
    cluster_means_ : ndarray of shape (n_clusters, n_features)
        Weighted mean of each group, also with ``assume_centered``.
    cluster_dimensions_ : ndarray of shape (n_clusters,)
        Effective dimension :math:`\mathrm{tr}\, S(S + n_j\epsilon^2/d\, I)^{-1}`.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    MICLClassifier : Uses the same principle with labels.
    skredu.metrics.coding_length_score : Compares partitions by their coding lengths.

    Notes
    -----
    For up to 10 000 distinct samples, all pairs are considered. This takes
    :math:`O(n^2 d)` operations if there are few groups of several samples at a time
    (which is usual), and at most :math:`8 n (3d/2 + d^2/2)` bytes and 5 MiB. There is
    no table of pairs, except for the distances of at most 1000 samples if the search
    starts from Ward's groups. More samples are first gathered in 256 cells, which are
    formed by repeatedly cutting the widest cell across its principal axis, and the
    cells are merged exactly. The search afterwards takes :math:`O(n k d^2)` operations
    per round, with at most 50 rounds if it starts from 32 groups. If ``n < d``, all
    computations take place in the span of the samples.

    **With "auto"**, weights count relative to their median over the distinct samples,
    also in the reported numbers of bits, because copies of all samples are no evidence
    of precision. With a graph, equal neighbours are such evidence if every sample has
    one, and if less than a quarter of the links join different values. For every
    distortion, the search starts from Ward's groups (1, 2, 3, ... of them) and from
    small cells. In the description of a partition, each group is Gaussian, and its
    covariance is integrated out with an inverse Wishart prior with the scale
    :math:`\psi I` and :math:`\nu` degrees of freedom, which takes

    .. math::

        \frac{\nu + m}{2} \sum_{i \le r} \log_2 (\psi + s_i)
        - \frac{\nu r}{2} \log_2 \psi
        - \log_2 \frac{\Gamma_r((\nu + m) / 2)}{\Gamma_r(\nu / 2)}
        + \frac{r + 2}{2} \log_2 n - n_j \log_2 \frac{n_j}{n}

    bits up to a constant, with the eigenvalues :math:`s_i` of the scatter,
    :math:`m = n_j - 1`, and the best :math:`\psi` and :math:`\nu`, in the ``r``
    directions in which samples differ. The partition with the fewest of these bits is
    chosen, and all other samples are assigned to the groups in which they cost the
    fewest bits. Among distortions with the same partition, the one with the fewest bits
    after adding :math:`n r \log_2 \epsilon` is chosen.

    With ``n_clusters``, the search starts from Ward's groups, from those of k-means,
    and from cells that are merged down to ``n_clusters``. It never takes more bits than
    a cut of the tree with the same number of large enough groups that contain nine
    tenths of the samples.

    NaN in ``X`` marks missing features. For the search, they are replaced by means over
    the five nearest samples. Then groups are those of expected scatters, which
    expectation-maximisation finds, and samples move once to the group in which the
    features that they have cost the fewest bits, unless there is a graph. Groups also
    code new samples on the features that these have; see the user guide.

    Callbacks of scikit-learn observe three tasks: the choice of ``epsilon`` with one
    part per distortion, greedy merging in at most 100 parts, and the rounds of the
    search. If a callback asks to stop, the distortions and rounds so far determine the
    result; greedy merging still completes the tree.

    References
    ----------
    Ma, Derksen, Hong and Wright, "Segmentation of multivariate mixed data via lossy
    data coding and compression", IEEE TPAMI 29(9), 2007.

    Fraley and Raftery, "Bayesian regularization for normal mixture estimation and
    model-based clustering", Journal of Classification 24(2), 2007, for the prior in
    the description of groups.

    Examples
    --------
    >>> from skredu import CompressionClustering
    >>> from skredu.datasets import make_subspaces
    >>> from skredu.metrics import clustering_accuracy
    >>> X, y = make_subspaces(100, dimensions=(1, 1, 2), noise=0.005, random_state=0)
    >>> model = CompressionClustering(epsilon=0.05, assume_centered=True).fit(X)
    >>> model.n_clusters_
    3
    >>> model.cluster_dimensions_.round().astype(int).tolist()
    [1, 1, 2]
    >>> bool(clustering_accuracy(y, model.labels_) > 0.9)
    True
    """

    __module__ = "skredu"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "epsilon": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "n_clusters": [None, Interval(Integral, 1, None, closed="left")],
        "assume_centered": ["boolean"],
        "connectivity": [
            None,
            Interval(Integral, 1, None, closed="left"),
            "array-like",
            "sparse matrix",
            callable,
        ],
        "min_cluster_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "refine": ["boolean"],
        "label_order": [StrOptions({"position", "size"})],
        "n_jobs": [None, Integral],
    }
    _codes: dict[str, Any]
    labels_: Any

    def __init__(
        self,
        epsilon: float | str = "auto",
        *,
        n_clusters: int | None = None,
        assume_centered: bool = False,
        connectivity: Any = None,
        min_cluster_size: int | str = "auto",
        refine: bool = True,
        label_order: str = "position",
        n_jobs: int | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.n_clusters = n_clusters
        self.assume_centered = assume_centered
        self.connectivity = connectivity
        self.min_cluster_size = min_cluster_size
        self.refine = refine
        self.label_order = label_order
        self.n_jobs = n_jobs

    @all_or_nothing
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> CompressionClustering:
        """Cluster the samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples to cluster. NaN marks missing features.
        y : None
            Not used, present here for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each sample; fractions are allowed, and zero means
            absent. With ``epsilon="auto"``, only the ratios of the weights matter.

        Returns
        -------
        self : CompressionClustering
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is invalid.
        """
        given, data, request = self._check(X, sample_weight)
        centered = self.assume_centered
        with watched(self, 3, X=X) as progress:
            with progress.task("choose epsilon", None) as task:
                if isinstance(self.epsilon, str):
                    watch: Any = partial(task.done, "distortion")
                    choice = choose_epsilon(data, centered, self.n_jobs, request, watch)
                else:
                    choice = checked_epsilon(self.epsilon, data), None
            self.epsilon_, chosen = choice
            watch = partial(progress.follow, "merge")
            greedy = merge_greedily(data, self.epsilon_, centered, watch)
            with progress.task("refine", None) as task:
                refined, watch = not progress.stopped, partial(task.done, "round")
                found = request.find(greedy, chosen, refined=refined, watch=watch)
        request.check(found, greedy, self.epsilon_)
        if data.missing is not None:
            data, found = regrouped(data, found, self.epsilon_, request)
        self.children_ = greedy.tree.children
        self.merge_costs_ = greedy.tree.costs * data.scale
        self.greedy_coding_length_ = total_bits(data, found[0])
        self.coding_length_ = total_bits(data, found[1])
        self._describe(found, data, request, given)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "labels_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def labels_at(self, n_clusters: int) -> Any:
        """Cut the tree of greedy merging at another number of groups.

        The groups of a cut are not refined and may be single samples. They differ from
        those of a fit with ``n_clusters``.

        Parameters
        ----------
        n_clusters : int
            Number of groups, not counting those below a given ``min_cluster_size``.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Group of each sample, -1 for outliers.

        Raises
        ------
        ValueError
            If ``n_clusters`` is not a positive integer, or if the tree has no cut with
            this number of groups.
        """
        check_is_fitted(self)
        n_clusters = check_integer(n_clusters, "n_clusters", 1)
        codes, tree = self._codes, self._tree
        weights, least = codes["weights"], codes["least"]
        n_large, _ = tree.count_large(weights, least)
        cuts = np.flatnonzero(n_large == n_clusters)
        if len(cuts) == 0:
            raise ValueError(
                not_in_tree(n_clusters, codes["min_cluster_size"], n_large)
            )
        labels = tree.cut(int(cuts[-1]))
        order = np.argsort(codes["names"], kind="stable")
        found = np.empty_like(labels)
        counting = np.bincount(labels, weights) >= least
        sizes = weights[order] if codes["by_size"] else None
        found[order] = numbered(labels[order], counting, sizes)
        return found

    def linkage(self) -> Any:
        """Return the tree of greedy merging in the format of SciPy.

        The costs of successive merges are not monotone. The height of a merge is
        therefore the number of bits that all merges up to this one have saved or added,
        as a sum of absolute values. Merges that save bits come first, and lie below the
        height at which greedy merging stops.

        Returns
        -------
        Z : ndarray of shape (n_samples - 1, 4)
            Linkage matrix, for instance for `scipy.cluster.hierarchy.dendrogram`.

        Raises
        ------
        ValueError
            If the estimator is not fitted.
        """
        check_is_fitted(self)
        tree = self._tree
        sizes = tree.sizes(np.ones(tree.n_leaves))[tree.n_leaves :]
        heights = np.cumsum(np.abs(tree.costs))
        return np.column_stack([tree.children, heights, sizes]).astype(float)

    def epsilon_path(
        self, X: Any, epsilons: Any = None, sample_weight: Any = None
    ) -> Any:
        r"""Cluster the samples with several distortions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples to cluster.
        epsilons : array-like of shape (n_epsilons,), default=None
            Distortions, in the units of ``X``. None means 11 values from 0.0024 to 2.5
            times the root mean square distance of the samples from their mean, or from
            the origin with ``assume_centered``.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each sample. As in `fit`, only the ratios of the weights
            matter with ``epsilon="auto"``.

        Returns
        -------
        path : dict of ndarrays of shape (n_epsilons,)
            ``epsilon``, ``n_clusters`` (not counting outliers), ``coding_length`` in
            bits, and ``description_length``, the bits by which ``"auto"`` chooses, up
            to a constant. It can be passed to `pandas.DataFrame`.

        Raises
        ------
        ValueError
            If a distortion is not positive and finite, or if an array is invalid.
        """
        _, data, request = clone(self)._check(X, sample_weight)
        centered = self.assume_centered
        if epsilons is None:
            epsilons = EPSILONS * spread_of(data, centered)
        values = [checked_epsilon(epsilon, data) for epsilon in np.ravel(epsilons)]
        return epsilon_path(data, values, centered, self.n_jobs, request)

    def _check(self, X: Any, sample_weight: Any) -> tuple[Data, Data, Request]:
        """Validate the input; return the samples as given and as used, and the request.

        Equal samples are merged. With ``epsilon="auto"``, only the ratios of the
        weights matter.
        """
        self._validate_params()
        X, gaps = check_rows(self, X), None
        weights = check_weights(sample_weight, X)
        if has_gaps(X):
            gaps, X = np.isnan(X), filled(X.astype(np.float64), weights)
        data = prepare(X, weights, self.connectivity)
        if gaps is not None:  # one of several equal samples may have a feature
            missing, present = np.ones(data.X.shape, bool), data.sample_weights > 0
            np.logical_and.at(missing, data.codes[present], gaps[present])
            data = replace(data, missing=missing)
        if self.n_clusters is not None and self.n_clusters > len(data.X):
            raise ValueError(
                f"n_clusters={self.n_clusters} must be at most the number of distinct "
                "samples of positive weight (with a graph as connectivity, equal "
                f"samples that are not neighbours are distinct), found {len(data.X)}."
            )
        if self.n_clusters is not None and not isinstance(self.min_cluster_size, str):
            needed = self.n_clusters * int(self.min_cluster_size)
            total = float(np.sum(data.weights)) * data.unit
            if needed > total * (1.0 + 1e-9):
                raise ValueError(
                    f"n_clusters={self.n_clusters} groups of "
                    f"min_cluster_size={self.min_cluster_size} samples each need "
                    f"{needed} samples, but X has n_samples={len(data.codes)} samples "
                    f"with a total weight of {total:g}."
                )
        used = data.evened() if isinstance(self.epsilon, str) else data
        request = Request(used, self.n_clusters, self.min_cluster_size, self.refine)
        return data, used, request

    def _describe(
        self, found: Found, data: Data, request: Request, given: Data
    ) -> None:
        """Store the attributes of the groups, and what `predict` needs."""
        _, partition, counting = found
        weights, by_size = given.weights * given.unit, self.label_order == "size"
        labels = numbered(partition.labels, counting, weights if by_size else None)
        self.n_clusters_ = k = int(labels.max()) + 1
        # outliers come last, with one code per group of them
        order = np.where(labels < 0, k + partition.labels, labels)
        known = None if data.missing is None else partition  # of expected scatters
        rows = data.scaled(
            self.epsilon_,
            self.assume_centered,
            span=False,
            origin=None if known is None else known.rows.origin,
        )
        groups = Partition(rows, order, known).groups
        # a sample next to a single outlier costs about as few bits alone
        groups = groups[:k] + [g for g in groups[k:] if len(g.members) > 1]
        outliers = bool(np.any(labels < 0)) if request.auto else request.least > 0.0
        parts = parts_of(rows, labels, weights, known)
        self._codes = {
            "groups": [{name: getattr(g, name) for name in STATE} for g in groups],
            "parts": parts,
            "origin": rows.origin,
            "assume_centered": bool(self.assume_centered),
            "total": float(np.sum(rows.weights)),
            "weights": data.sample_weights,
            "names": data.codes,
            "min_cluster_size": self.min_cluster_size,
            "by_size": by_size,
            "least": 0.0 if request.auto else request.least,
            "outliers": outliers,
        }
        inside = parts["label"] >= 0
        self.cluster_sizes_ = parts["size"][inside]
        self.cluster_dimensions_ = parts["dimension"][inside]
        unit = self.epsilon_ / rows.n_features**0.5
        self.cluster_means_ = (parts["means"][inside] + rows.origin) * unit
        self.labels_ = labels[data.codes]

    @property
    def _tree(self) -> Tree:
        return Tree(self.children_, self.merge_costs_, len(self.labels_))
