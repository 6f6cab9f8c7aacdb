"""CompressionClustering: the partition of rows that takes the fewest bits."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClusterMixin, clone
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from skredu._base import SkreduEstimator, all_or_nothing
from skredu._checks import check_rows, check_weights, distortion
from skredu._compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
)
from skredu._progress import Progress, watched
from skredu.clustering._epsilon import EPSILONS, elect, path, spread_of, total_bits
from skredu.clustering._partition import Group, Partition, Watch
from skredu.clustering._rows import Data, Rows, prepare
from skredu.clustering._search import Found, Solution, Tree, Wanted, named, solve
from skredu.coding._linalg import BLOCK
from skredu.coding._rows import check_reach, unit_of

# What is kept of each group.
FIELDS = ("count", "mean", "squares", "V", "mean_square", "bits")
# No distortion is smaller: rows that lie closer are the same.
SMALLEST = 1e-300


class CompressionClustering(CallbackSupportMixin, ClusterMixin, SkreduEstimator):
    r"""Clustering by coding length: the groups that take the fewest bits.

    Rows are coded group by group up to the distortion ``epsilon``; a group on a
    subspace, or in a small ball, is cheap. Groups merge greedily, always the two whose
    union costs the fewest extra bits, until every merge would add bits; then rows move,
    and groups merge and split, while the bits

    .. math::

        \sum_j L(X_j) + \sum_j n_j \bigl(-\log_2 (n_j / n)\bigr), \quad
        L(X) = \frac{n+d}{2} \log_2 \det\Bigl(I + \frac{d}{n\epsilon^2} S\Bigr)
               + \frac{d}{2} \log_2\Bigl(1 + \frac{\mu^T\mu}{\epsilon^2}\Bigr)

    still fall. The number of groups need not be known: it follows from the distortion.

    Parameters
    ----------
    epsilon : float or "auto", default="auto"
        Distortion, a length in the units of ``X``: about the noise in a row,
        ``sigma * d**0.5`` for a standard deviation ``sigma`` in each feature. Code
        published with the papers passes its square. ``"auto"`` tries distortions from
        0.0024 to 2.5 times the spread of the rows, none below the noise that rounding
        to the steps of features leaves, on at most 1000 rows and in at most 32
        principal directions. It chooses distortion and partition together, see Notes.
    n_clusters : int, default=None
        Number of groups, outliers not counted: a row that fits in none of the groups
        may have the label -1. None: with a given ``epsilon`` as many
        as take the fewest bits; with ``"auto"`` as many as describe the rows best, see
        Notes.
    assume_centered : bool, default=False
        Groups on linear subspaces through the origin instead of affine ones.
    connectivity : int, sparse array, array or callable, default=None
        Which rows are neighbours; only groups with neighbours merge, so that every
        group is connected. A graph of shape (n_samples, n_samples), whose entries
        above zero make two rows neighbours, a function that makes one from ``X``, or a
        number of nearest neighbours. Parts that are not connected are joined where
        their rows are nearest, with a warning. Equal rows of a graph are one from the
        start where they are neighbours, and only there. Rows do not move between
        groups then.
    min_cluster_size : int or "auto", default="auto"
        Smaller groups are outliers, with the label -1. ``"auto"``: with ``n_clusters``
        each group has at least a third of the rows of an even group; otherwise a row
        alone is an outlier. Every group counts where rows have neighbours, and where
        most rows would be outliers.
    refine : bool, default=True
        Search on after greedy merging. With a given ``epsilon`` the bits never rise.
    n_jobs : int, default=None
        Distortions for which rows merge at a time; None means 1, -1 all processors.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Group of each row, -1 for outliers. Groups are numbered by their smallest
        rows (the smallest first feature, then the second, ...).
    n_clusters_ : int
        Number of groups, outliers not counted.
    epsilon_ : float
        The distortion.
    coding_length_ : float
        Bits of the partition, labels included.
    greedy_coding_length_ : float
        Bits where greedy merging stops, or has ``n_clusters`` groups.
    children_ : ndarray of shape (n_samples - 1, 2)
        Tree of greedy merging: rows below ``n_samples``, merge ``i`` makes the node
        ``n_samples + i``. Equal rows merge first (with a graph, equal neighbours),
        and rows of weight zero with the nearest row.
    merge_costs_ : ndarray of shape (n_samples - 1,)
        Bits that each merge adds; negative ones save bits.
    cluster_sizes_ : ndarray of shape (n_clusters,)
        Weight of each group.
    cluster_dimensions_ : ndarray of shape (n_clusters,)
        Effective dimension :math:`\mathrm{tr}\, S(S + n_j\epsilon^2/d\, I)^{-1}`.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    MICLClassifier : The same principle with labels.
    skredu.metrics.coding_length_score : Compares partitions by their bits.

    Notes
    -----
    Up to 10 000 distinct rows all pairs are looked at: :math:`O(n^2 d)` operations
    where few groups of several rows are there at a time (the usual course), and at most
    :math:`8 n (3d/2 + d^2/2)` bytes and 5 MiB; no table of pairs, but for distances of
    at most 1000 rows where Ward's groups are a start. More rows first join
    256 cells, made by cutting the widest cell across its principal axis again and
    again, and the cells merge exactly. The search afterwards costs
    :math:`O(n k d^2)` a round, with at most 50 rounds for 32 groups to begin with.
    With ``n < d`` everything happens in the span of the rows.

    **With "auto"**, weights count relative to their median over the distinct rows, in
    bits as well: copies of all rows are no evidence of precision, and bits are those of
    rows that weigh one. For every distortion, groups are looked for from Ward's groups
    (1, 2, 3, ... of them) and from small cells. Each partition is described by groups
    that are Gaussian, with a variance in each of their ``q`` principal directions and
    one in all others,

    .. math::

        \frac{n_j}{2} \Bigl(\sum_{i \le q} \log_2 \lambda_i
        + (r - q) \log_2 \sigma^2\Bigr) + \frac{p_q}{2} \log_2 n
        - n_j \log_2 \frac{n_j}{n}

    bits with :math:`p_q` parameters and the best ``q``, in the ``r`` directions in
    which rows differ. The partition with the fewest is taken, and all other rows join
    the groups where they cost least. Of distortions with the same partition, that with
    the fewest bits after adding :math:`n r \log_2 \epsilon` is taken; these bits choose
    where ``n_clusters`` is given.

    With ``n_clusters`` the search starts at Ward's groups, those of k-means, and cells
    merged down to ``n_clusters``; it never takes more bits than a cut of the tree with
    as many large enough groups that hold nine tenths of the rows.

    Callbacks of scikit-learn see three tasks: the choice of ``epsilon`` with a part for
    each distortion, greedy merging in at most 100 parts, and the search in rounds.
    Where one asks to stop, the distortions and rounds so far decide; greedy merging
    still completes the tree.

    References
    ----------
    Ma, Derksen, Hong and Wright, "Segmentation of multivariate mixed data via lossy
    data coding and compression", IEEE TPAMI 29(9), 2007.

    Tipping and Bishop, "Mixtures of probabilistic principal component analysers",
    Neural Computation 11(2), 1999, and Schwarz, "Estimating the dimension of a model",
    Annals of Statistics 6(2), 1978, for the description of groups.

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
        n_jobs: int | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.n_clusters = n_clusters
        self.assume_centered = assume_centered
        self.connectivity = connectivity
        self.min_cluster_size = min_cluster_size
        self.refine = refine
        self.n_jobs = n_jobs

    @all_or_nothing
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> CompressionClustering:
        """Find the groups.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.
        y : None
            Not used, present here for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each sample; fractions are allowed, and zero means
            absent. With ``epsilon="auto"`` only their ratios count.

        Returns
        -------
        self : CompressionClustering
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is invalid.
        """
        given = self._check(X, sample_weight)
        data = given.evened() if isinstance(self.epsilon, str) else given
        with watched(self, 3, X=X) as progress:
            found = self._search(data, progress)
        solution, partitions = found
        self.children_ = solution.tree.children
        self.merge_costs_ = solution.tree.costs * data.scale
        self.greedy_coding_length_ = total_bits(data, partitions[0])
        self.coding_length_ = total_bits(data, partitions[1])
        self._describe(solution, partitions, given)
        return self

    def _search(self, data: Data, progress: Progress) -> tuple[Solution, Found]:
        """Choose a distortion, merge, and refine the groups."""
        with progress.task("choose epsilon", None) as task:
            watch = partial(task.done, "distortion")
            self.epsilon_, elected = self._choose_epsilon(data, watch)
        merging = partial(progress.follow, "merge")
        solution = solve(data, self.epsilon_, self.assume_centered, merging)
        with progress.task("refine", None) as task:
            watch, refined = partial(task.done, "round"), not progress.stopped
            found = self._wanted.find(solution, elected, refined=refined, watch=watch)
        return solution, found

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "labels_")

    def predict(self, X: Any) -> Any:
        """Group that each row would cost the fewest extra bits in.

        A row that is cheaper on its own, or with outliers, is one, if there are any in
        ``labels_`` or ``min_cluster_size`` is a number above 1.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Group of each row, -1 for outliers.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        X = X.astype(np.float64, copy=False)
        check_reach(X, 1.0, self.epsilon_)
        labels = np.empty(len(X), dtype=np.intp)
        for block in gen_batches(len(X), max(1, BLOCK // X.shape[1])):
            labels[block] = self._nearest(X[block])
        return labels

    def labels_at(self, n_clusters: int) -> Any:
        """Cut the tree of greedy merging at another number of groups.

        Groups of a cut are not refined and may be single rows; they are not those of a
        fit with ``n_clusters``.

        Parameters
        ----------
        n_clusters : int
            Number of groups, those below a given ``min_cluster_size`` not counted.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Group of each row, -1 for outliers.

        Raises
        ------
        ValueError
            If the tree has no such number of groups.
        """
        check_is_fitted(self)
        codes, tree = self._codes, self._tree
        wanted = Wanted(n_clusters, codes["min_cluster_size"], refine=False)
        weights, least = codes["weights"], codes["least"]
        labels = wanted.cut(tree, weights, n_clusters, least)
        order = np.argsort(codes["names"], kind="stable")
        names = np.empty_like(labels)
        names[order] = named(labels[order], np.bincount(labels, weights) >= least)
        return names

    def linkage(self) -> Any:
        """Tree of greedy merging in the format of SciPy.

        Greedy costs are not monotone, so the height of a merge is the number of bits
        that all merges up to it have saved or added, in sum of absolute values: merges
        that save bits come first and lie below the height at which greedy merging
        stops.

        Returns
        -------
        Z : ndarray of shape (n_samples - 1, 4)
            Linkage matrix, for `scipy.cluster.hierarchy.dendrogram` and the like.

        Raises
        ------
        ValueError
            If the estimator is not fitted.
        """
        check_is_fitted(self)
        return self._tree.linkage()

    def epsilon_path(
        self, X: Any, epsilons: Any = None, sample_weight: Any = None
    ) -> Any:
        r"""Find the groups and bits of rows at every one of some distortions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.
        epsilons : array-like of shape (n_epsilons,), default=None
            Distortions, in the units of ``X``. None: 11 from 0.0024 to 2.5 times the
            root mean square distance of the rows to their mean, or to the origin with
            ``assume_centered``.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each row; as in `fit`, only ratios count with
            ``epsilon="auto"``.

        Returns
        -------
        path : dict of ndarrays of shape (n_epsilons,)
            ``epsilon``, ``n_clusters`` (outliers not counted), ``coding_length`` in
            bits and ``description_length``, the bits by which ``"auto"`` chooses, up to
            a constant; `pandas.DataFrame` takes it.

        Raises
        ------
        ValueError
            If a distortion is not positive and finite, or an array is out of range.
        """
        estimator = clone(self)
        data = estimator._check(X, sample_weight)
        if isinstance(self.epsilon, str):
            data = data.evened()
        if epsilons is None:
            epsilons = EPSILONS * spread_of(data, self.assume_centered)
        values = [_in_reach(epsilon, data) for epsilon in np.ravel(epsilons)]
        return path(data, values, self.assume_centered, self.n_jobs, self._wanted)

    def _check(self, X: Any, sample_weight: Any) -> Data:
        """Rows that are known to be good, equal ones once."""
        self._validate_params()
        X = check_rows(self, X)
        weights = check_weights(sample_weight, X)
        data = prepare(X, weights, self.connectivity)
        if self.n_clusters is not None and self.n_clusters > len(data.X):
            raise ValueError(
                f"n_clusters={self.n_clusters} must be at most the number of distinct "
                "rows of positive weight (with a graph as connectivity, equal rows "
                f"that are no neighbours are distinct), found {len(data.X)}."
            )
        if self.n_clusters is not None and not self._wanted.auto:
            needed = self.n_clusters * int(self.min_cluster_size)
            total = float(np.sum(data.weights)) * data.unit
            if needed > total * (1.0 + 1e-9):
                raise ValueError(
                    f"n_clusters={self.n_clusters} groups of "
                    f"min_cluster_size={self.min_cluster_size} rows each need {needed} "
                    f"rows, but X has n_samples={len(data.leaves)} rows of a total "
                    f"weight of {total:g}."
                )
        return data

    def _choose_epsilon(self, data: Data, watch: Watch) -> tuple[float, Any]:
        """Distortion, and labels of the partition that it was chosen for."""
        if isinstance(self.epsilon, str):
            unit = unit_of(data.X)
            data = replace(data, X=data.X / unit)
            epsilon, elected = elect(
                data, self.assume_centered, self.n_jobs, self._wanted, watch
            )
            if epsilon * unit < SMALLEST:
                return SMALLEST, None
            return epsilon * unit, elected
        return _in_reach(self.epsilon, data), None

    def _describe(self, solution: Solution, found: Found, given: Data) -> None:
        """Keep what describes the groups, and what `predict` needs."""
        self._wanted.check(found, solution, self.epsilon_)
        (_, partition, large), data = found, solution.data
        labels = named(partition.labels, large)
        self.n_clusters_ = k = int(labels.max()) + 1
        # outliers come last, each group of them with its own code
        order = np.where(labels < 0, k + partition.labels, labels)
        rows = data.scaled(self.epsilon_, self.assume_centered, span=False)
        groups = Partition(rows, order).groups
        wanted, outliers = self._wanted, bool(np.any(labels < 0))
        self._codes = {
            "groups": [{name: getattr(g, name) for name in FIELDS} for g in groups],
            "origin": rows.origin,
            "assume_centered": bool(self.assume_centered),
            "weights": data.leaves,
            "names": data.names,
            "min_cluster_size": wanted.min_cluster_size,
            "least": 0.0 if wanted.auto else wanted.least(data),
            "outliers": outliers if wanted.auto else wanted.min_cluster_size > 1,
        }
        self.cluster_sizes_ = np.bincount(order, given.weights)[:k] * given.unit
        shares = [g.squares / (g.squares + g.count) for g in groups[:k]]
        self.cluster_dimensions_ = np.array([float(np.sum(s)) for s in shares])
        self.labels_ = labels[data.names]

    @property
    def _tree(self) -> Tree:
        return Tree(self.children_, self.merge_costs_, len(self.labels_))

    @property
    def _wanted(self) -> Wanted:
        return Wanted(self.n_clusters, self.min_cluster_size, self.refine)

    def _nearest(self, X: Any) -> Any:
        """Labels of rows by their extra bits."""
        codes, d = self._codes, X.shape[1]
        X = X * (d**0.5 / self.epsilon_) - codes["origin"]
        ones, centred = np.ones(len(X)), codes["assume_centered"]
        rows = Rows(X, ones, codes["origin"], d, centred)
        groups = [Group(rows, **code) for code in codes["groups"]]
        costs = np.stack([group.change(rows, 1.0) for group in groups], axis=1)
        if self._codes["outliers"]:
            costs = np.column_stack([costs, rows.alone])
        else:
            costs = costs[:, : self.n_clusters_]
        best = np.argmin(costs, axis=1)
        return np.where(best < self.n_clusters_, best, -1)


def _in_reach(epsilon: Any, data: Data) -> float:
    """Return a given distortion as a float; refuse one that is too small."""
    value = distortion(epsilon)
    if value < SMALLEST:
        raise ValueError(
            f"epsilon={value} is too small: it must be at least {SMALLEST}."
        )
    unit_of(data.X, value)  # refuses one that is too small beside the rows
    return value
