"""LearnedLifting: filters that are learned by the loss of samples left out."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch

from skredu import ConvolutionalLifting
from skredu._base import all_or_nothing
from skredu._checks import check_training
from skredu._compat import Interval
from skredu._progress import Progress, watched
from skredu._signals import channels_of, refuse_stacks
from skredu.coding._choose import evenly
from skredu.torch._bank import Bank, descend, relative
from skredu.torch._left_out import Decision, blocks_of, spectra_on_sphere


class LearnedLifting(ConvolutionalLifting):
    r"""Lift signals by filters that are learned for classes of all their shifts.

    The lifting is that of `~skredu.ConvolutionalLifting`. Its filters and threshold are
    learned by back-propagation, so that `~skredu.InvariantReduNetClassifier` without
    layers predicts each training sample from the others. The classes stay in closed
    form: a step codes them anew, leaves out every sample with all of its shifts, and
    lowers the cross-entropy of the labels. Since no sample is predicted by itself, the
    loss cannot be lowered by remembering samples.

    Only ``fit`` uses PyTorch. There are a few hundred parameters, one for each number
    in the filters, and predictions stay invariant to shifts.

    Parameters
    ----------
    n_filters : int, default=16
        Number of filters.
    kernel_size : int, tuple of int or "auto", default="auto"
        Size of the filters along the axes; see `~skredu.ConvolutionalLifting`.
    signal_shape : int, tuple of int or None, default=None
        Shape of the grid of the samples; see `~skredu.ConvolutionalLifting`.
    filters : {"auto", "gaussian", "pca", "kmeans", "dct"} or array-like, default="auto"
        The initial filters; see `~skredu.ConvolutionalLifting`.
    activation : {"relu", "soft", "split", "ista", "fista"} or None, default="relu"
        The nonlinearity; see `~skredu.ConvolutionalLifting`.
    threshold : float, default=0.5
        The initial threshold, relative to the root mean square of the responses. 0
        stays 0.
    pooling : float or None, default=0.1
        How responses are pooled; see `~skredu.ConvolutionalLifting`.
    n_iter : int, default=20
        Number of iterations for sparse codes, as in `~skredu.ConvolutionalLifting`.
    max_iter : int, default=40
        Number of steps of Adam, each with all samples that are used.
    learning_rate : float, default=0.1
        Learning rate, relative to the root mean square of the filters.
    max_samples : int, default=1000
        Largest number of samples that are used, spread evenly over each class.
    random_state : int, RandomState instance or None, default=None
        Source of randomness of the initial filters. Pass an int for reproducible
        filters.

    Attributes
    ----------
    filters_ : ndarray of shape (n_filters, n_channels, *kernel)
        The learned filters.
    threshold_ : float
        The learned threshold.
    loss_curve_ : ndarray of shape (n_iter_ + 1,)
        Mean cross-entropy of left-out samples in nats, before each step and after the
        last.
    n_iter_ : int
        Number of steps of Adam.
    signal_shape_, coarse_shape_, n_channels_, n_features_in_, feature_names_in_
        As in `~skredu.ConvolutionalLifting`.

    See Also
    --------
    skredu.ConvolutionalLifting : The lifting with given filters, without PyTorch:
        ``ConvolutionalLifting(filters=learned.filters_, threshold=learned.threshold_)``
        with the same activation and pooling gives the same result.
    skredu.InvariantReduNetClassifier : The classifier after it, with ``n_layers=0``.

    Notes
    -----
    With F filters, k classes and n samples on T points, a step takes about
    :math:`k T F^2 (F + n)` complex operations and 25 n F T numbers of memory. With 16
    filters, 500 images of 8 x 8 points in 10 classes take about a sixth of a second per
    step on one core. Samples in single precision take half of the time and memory, and
    their loss differs from that in double precision by about :math:`10^{-6}`.

    Samples of a class without a second sample are not used. The distortion, the
    temperature and the label code are learned together with the filters and then
    forgotten: the classifier after the lifting chooses its own.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skredu.torch import LearnedLifting
    >>> X, y = load_digits(return_X_y=True)
    >>> lifting = LearnedLifting(4, 3, signal_shape=(8, 8), max_iter=5, random_state=0)
    >>> lifting.fit(X[:100], y[:100]).transform(X[100:]).shape
    (1697, 256)
    >>> bool(lifting.loss_curve_[-1] < lifting.loss_curve_[0])
    True
    """

    __module__ = "skredu.torch"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ConvolutionalLifting._parameter_constraints,
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_samples": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        n_filters: int = 16,
        kernel_size: Any = "auto",
        *,
        signal_shape: Any = None,
        filters: Any = "auto",
        activation: str | None = "relu",
        threshold: float = 0.5,
        pooling: float | None = 0.1,
        n_iter: int = 20,
        max_iter: int = 40,
        learning_rate: float = 0.1,
        max_samples: int = 1000,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            n_filters,
            kernel_size,
            signal_shape=signal_shape,
            filters=filters,
            activation=activation,
            threshold=threshold,
            pooling=pooling,
            n_iter=n_iter,
            random_state=random_state,
        )
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.max_samples = max_samples

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.array_api_support = False
        return tags

    @all_or_nothing
    def fit(self, X: Any, y: Any = None) -> LearnedLifting:
        """Learn the filters and the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training signals.
        y : array-like of shape (n_samples,)
            The class labels.

        Returns
        -------
        self : LearnedLifting
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is out of range, or if ``X`` or ``y`` is invalid.
        """
        self._validate_params()
        refuse_stacks(X, self._shape_name)
        rows, labels, _ = check_training(self, X, y, None)
        grid = self._grid_for(X, rows.shape[1])
        n_channels = channels_of(grid, rows.shape[1], self._shape_name)
        with watched(self, X=X, y=y) as progress:
            self._learn(rows, grid, n_channels, progress)
            with progress.task("learn", self.max_iter) as task:
                self._improve(rows, labels, task)
        return self

    def _improve(self, rows: Any, labels: Any, progress: Progress) -> None:
        """Learn filters and threshold, beginning with those of the fitted lifting."""
        bank, self.loss_curve_ = Bank.of(self), np.zeros(0)
        some, sizes = _some(rows, labels, self.max_samples)
        if len(sizes) > 1:
            self.loss_curve_ = self._descend(
                bank, bank.spectra_of(some), sizes, progress
            )
        self.n_iter_ = max(0, len(self.loss_curve_) - 1)
        self.filters_ = bank.filters.detach().numpy()
        self.threshold_ = float(bank.threshold.detach().clamp(min=0.0))
        self._nonlinearity = {**self._nonlinearity, "threshold": self.threshold_}

    def _descend(
        self, bank: Bank, X: torch.Tensor, sizes: list[int], progress: Progress
    ) -> Any:
        """Lower the cross-entropy of left-out samples, and return it step by step."""
        rate = float(self.learning_rate)
        with torch.no_grad():
            first = bank.lifted(X)
        blocks = blocks_of(bank.grid, first)
        decision = Decision(sizes, blocks)
        decision.start(spectra_on_sphere(first, blocks))
        groups = [
            relative(bank.filters, rate),
            {"params": list(decision.parameters()), "lr": rate},
        ]
        if bank.threshold > 0:
            groups.append({"params": [bank.threshold], "lr": rate})

        def loss() -> torch.Tensor:
            return decision(spectra_on_sphere(bank.lifted(X), blocks))

        return descend(loss, groups, self.max_iter, progress)


def _some(rows: Any, labels: Any, most: int) -> tuple[Any, list[int]]:
    """Return samples of classes with at least two, sorted by class, and the sizes."""
    order = np.argsort(labels, kind="stable")
    sizes = np.unique(labels, return_counts=True)[1]
    chosen = order[evenly(sizes.tolist(), most)[0]]
    _, codes, sizes = np.unique(labels[chosen], return_inverse=True, return_counts=True)
    return rows[chosen[sizes[codes] > 1]], sizes[sizes > 1].tolist()
