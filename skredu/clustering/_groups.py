"""Methods of a fitted clustering that use the codes of its groups."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted

from skredu._checks import check_integer, check_rows, has_gaps
from skredu._lazy import data_frame
from skredu.clustering._costs import Cluster
from skredu.clustering._gaps import blocks_with_gaps
from skredu.clustering._partition import parts_of
from skredu.clustering._rows import Samples
from skredu.coding._classes import nats_by_feature
from skredu.coding._group import Group, vector_blocks
from skredu.coding._linalg import BLOCK
from skredu.coding._missing import denoised
from skredu.coding._rows import check_reach


class FittedGroups:
    """Mixin of `CompressionClustering` for new samples, and for what groups are like.

    ``_codes`` contains plain arrays in units of ``epsilon_ / sqrt(d)``.
    """

    _codes: dict[str, Any]
    n_clusters_: int
    epsilon_: float

    def predict(self, X: Any) -> Any:
        """Predict the group in which each sample costs the fewest extra bits.

        A sample that costs fewer bits alone, or in a group of outliers, is an outlier,
        if there are outliers in ``labels_`` or if ``min_cluster_size`` is a number
        greater than 1.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Group of each sample, -1 for outliers.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        return self._labels_of(self._checked(X))

    def score_samples(self, X: Any) -> Any:
        """Return minus the extra bits that each sample costs in its best group.

        These are the bits by which the coding length of the clustering increases if the
        sample joins the group in which it costs the fewest, including its label. The
        lower the score, the more unusual the sample. If all training samples are
        outliers, they are the bits of a new group. Samples with missing features (NaN)
        take the bits of those that they have, so compare samples with equal gaps only.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the number of bits.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        X = self._checked(X)
        scores = np.empty(len(X))
        for block, rows, groups in self._blocks(X):
            best = rows.alone if self.n_clusters_ == 0 else np.inf
            for group in groups[: self.n_clusters_]:
                best = np.minimum(best, group.change(rows.X, rows.weights, 1.0))
            scores[block] = -self._label_bits - best
        return scores

    def explain(self, X: Any) -> Bunch:
        """Divide the bits of samples in each group between their features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Returns
        -------
        explanation : Bunch
            - ``bits``: ndarray of shape (n_samples, n_features, n_clusters). The bits
              by which each feature speaks for a group: minus the bits that it adds if
              the sample joins the group, given the other features.
            - ``base``: ndarray of shape (n_samples, n_clusters). What no feature
              contributes: the label, and the size of the group. The sum of the bits
              over all features plus the base is minus the number of extra bits of the
              sample in the group; the largest of these is `score_samples`.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data or contains NaN, or if all
            training samples are outliers.

        See Also
        --------
        skredu.plotting.BitsDisplay : Shows an explanation.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from sklearn.preprocessing import StandardScaler
        >>> from skredu import CompressionClustering
        >>> X = StandardScaler().fit_transform(load_wine().data)
        >>> model = CompressionClustering().fit(X)
        >>> found = model.explain(X)
        >>> scores = found.bits.sum(axis=1) + found.base
        >>> bool((scores.argmax(axis=1) == model.predict(X)).all())
        True
        >>> bool(abs(scores.max(axis=1) - model.score_samples(X)).max() < 1e-9)
        True
        """
        X = self._checked(X)
        if has_gaps(X):
            raise ValueError(
                "X contains NaN: explain needs all features of a sample. Complete them "
                "first, such as by denoise, which leaves outliers as they are."
            )
        if not self.n_clusters_:
            raise ValueError(
                "explain has no groups to compare: all training samples are outliers."
            )
        bits = np.empty((*X.shape, self.n_clusters_))
        base = np.empty((len(X), self.n_clusters_))
        for block, rows, groups in self._blocks(X):
            for j, group in enumerate(groups[: self.n_clusters_]):
                bits[block, :, j] = own = _bits_by_feature(rows, group)
                added = group.change(rows.X, rows.weights, 1.0) + self._label_bits
                base[block, j] = -added - np.sum(own, axis=1)
        return Bunch(bits=bits, base=base)

    def denoise(self, X: Any) -> Any:
        r"""Project each sample on the subspace of its group.

        The subspace passes through the mean of the group, or through the origin with
        ``assume_centered``. It contains the principal directions in which the variance
        of the group exceeds :math:`\epsilon^2 / d`; variations in all other directions
        are smaller than the distortion. Missing features are first replaced by their
        means given the observed ones, in a group with the covariance
        :math:`S/n + (\epsilon^2 / d) I`. Outliers are not changed, so
        their missing features stay NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The input samples.

        Returns
        -------
        X_denoised : ndarray of shape (n_samples, n_features)
            The projections on the subspaces of the groups that `predict` returns.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data.
        """
        X = self._checked(X)
        labels = self._labels_of(X)
        projected, unit = X.copy(), self._unit
        for j, code in enumerate(self._codes["groups"][: self.n_clusters_]):
            about = code["mean"], code["eigenvalues"], code["basis"]
            Z = self._samples(X[labels == j]).X
            # in this unit, noise has the variance one
            Z = denoised(Z, code["count"], *about, noise=1.0)
            projected[labels == j] = (Z + self._codes["origin"]) * unit
        return projected

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[Any, Any]:
        """Draw random samples from the groups.

        A group is drawn with a probability that is proportional to its size, and the
        sample from the Gaussian with its mean and covariance (about the origin with
        ``assume_centered``). A group with few samples has no spread in some directions.
        Outliers are not drawn.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        random_state : int, RandomState instance or None, default=None
            Source of randomness. Pass an int for reproducible samples.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The samples, ordered by group.
        labels : ndarray of shape (n_samples,)
            Group of each sample.

        Raises
        ------
        ValueError
            If ``n_samples`` is not a positive integer, or if all training samples are
            outliers.
        """
        check_is_fitted(self)
        n_samples = check_integer(n_samples, "n_samples", 1)
        random, codes = check_random_state(random_state), self._codes
        groups = codes["groups"][: self.n_clusters_]
        if not groups:
            raise ValueError(
                "No samples can be drawn: all training samples are outliers."
            )
        counts = np.array([code["count"] for code in groups])
        numbers = random.multinomial(n_samples, counts / np.sum(counts))
        found = []
        for code, number in zip(groups, numbers, strict=True):
            deviations = np.sqrt(code["eigenvalues"] / code["count"])
            normal = random.standard_normal((number, len(deviations)))
            found.append(code["mean"] + (normal * deviations) @ code["basis"].T)
        labels = np.repeat(np.arange(len(groups)), numbers)
        return (np.concatenate(found) + codes["origin"]) * self._unit, labels

    def summary(self, X: Any = None) -> Any:
        r"""Return a table of the groups, and of what sets each of them apart.

        A feature sets a group apart if its values in the group are coded with fewer
        bits by the Gaussian of the group than by that of all samples. With the mean
        :math:`m_j` and the variance :math:`v_j` of a feature in a group, those of all
        samples (:math:`m` and :math:`v`), and :math:`\epsilon^2 / d` added to each
        variance, these are

        .. math::

            \frac12 \log_2 \frac{v}{v_j}
            + \frac{\log_2 e}{2} \Bigl(\frac{v_j + (m_j - m)^2}{v} - 1\Bigr)

        bits per sample, which are zero if the distributions are equal. The table has
        this number for each feature on its own, with a minus sign if the mean of the
        group is below that of all samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            The samples to describe, with the groups that `predict` returns. None means
            the training samples with ``labels_``.

        Returns
        -------
        table : pandas.DataFrame
            A row per group that occurs, and one with the label -1 if there are
            outliers. The columns are ``size`` (total weight), ``share``, ``dimension``
            (effective dimension as in ``cluster_dimensions_``; outliers are considered
            as one group), ``bits`` (per sample, including its label; outliers are coded
            one by one), and a column per feature.

        Raises
        ------
        ValueError
            If ``X`` is inconsistent with the training data, or contains NaN.
        ImportError
            If pandas is not installed.
        """
        check_is_fitted(self)
        parts = self._codes["parts"]
        if X is not None:
            X = self._checked(X)
            if has_gaps(X):
                raise ValueError(
                    "X contains NaN: summary needs all features of a sample. Impute "
                    "them (sklearn.impute), or pass denoise(X) without outliers, "
                    "which it leaves as they are."
                )
            rows = self._samples(X)
            parts = parts_of(rows, self._labels_of(X), rows.weights)
        shares = parts["size"] / np.sum(parts["size"])
        means, variances = parts["means"], parts["variances"] + 1.0
        mean = shares @ means
        variance = shares @ (variances + (means - mean) ** 2)
        bits = 0.5 * np.log2(variance / variances)
        ratios = (variances + (means - mean) ** 2) / variance
        bits += 0.5 / math.log(2.0) * (ratios - 1.0)
        signed = np.where(means < mean, -1.0, 1.0) * np.maximum(bits, 0.0) + 0.0
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{j}" for j in range(means.shape[1])]
        columns = {"size": parts["size"], "share": shares}
        columns |= {name: parts[name] for name in ("dimension", "bits")}
        names = [f"{name}_feature" if name in columns else name for name in names]
        columns |= dict(zip(names, signed.T, strict=True))
        caller = f"{type(self).__name__}.summary"
        return data_frame(caller, columns, parts["label"]).rename_axis("label")

    @property
    def _unit(self) -> float:
        return self.epsilon_ / len(self._codes["origin"]) ** 0.5

    @property
    def _label_bits(self) -> float:
        """Bits of the label of another sample, apart from the size of its group."""
        n: float = self._codes["total"]
        return math.log2(n + 1.0) + n * math.log1p(1.0 / n) / math.log(2.0)

    def _checked(self, X: Any) -> Any:
        """Return validated samples of double precision."""
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        X = X.astype(np.float64, copy=False)
        check_reach(X, 1.0, self.epsilon_)
        return X

    def _labels_of(self, X: Any) -> Any:
        """Return the groups of validated samples, -1 for outliers."""
        labels = np.empty(len(X), dtype=np.intp)
        for block, rows, groups in self._blocks(X):
            costs = [group.change(rows.X, rows.weights, 1.0) for group in groups]
            if self._codes["outliers"]:
                costs.append(rows.alone)
            best = np.argmin(np.stack(costs, axis=1), axis=1)
            labels[block] = np.where(best < self.n_clusters_, best, -1)
        return labels

    def _samples(self, X: Any) -> Samples:
        """Return new samples in the units of the codes."""
        d, origin = X.shape[1], self._codes["origin"]
        Z = X * (d**0.5 / self.epsilon_) - origin
        return Samples(Z, np.ones(len(Z)), origin, d, self._codes["assume_centered"])

    def _blocks(self, X: Any) -> Iterator[tuple[Any, Samples, list[Cluster]]]:
        """Yield blocks of samples, and all groups, on the features that they have."""
        if has_gaps(X):
            rows = self._samples(X)
            groups = [Cluster(rows, **code) for code in self._codes["groups"]]
            yield from blocks_with_gaps(rows.X, rows, groups)
            return
        for block in gen_batches(len(X), max(1, BLOCK // X.shape[1])):
            rows = self._samples(X[block])
            yield block, rows, [Cluster(rows, **code) for code in self._codes["groups"]]


def _bits_by_feature(rows: Samples, group: Cluster) -> Any:
    """Return minus the extra bits of samples in a group, for each feature (b, d)."""
    d, mean = rows.n_features, None if rows.assume_centered else group.mean
    eigenvectors = group.eigenvalues[None, ...], group.basis[None, ...]
    coded = Group(group.count, vector_blocks(d, rows.X), *eigenvectors, mean)
    # in this unit, the squared distortion is the number of features
    nats = nats_by_feature(coded, rows.X.T[None, ...], math.sqrt(d), rows.origin)
    return nats / -math.log(2.0)
