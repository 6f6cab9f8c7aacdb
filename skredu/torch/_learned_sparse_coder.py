"""LearnedSparseCoder: few iterations that come close to sparse codes of signals."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch

from skredu import ConvolutionalLifting
from skredu._compat import Interval, StrOptions
from skredu._progress import Progress
from skredu._signals import Shape
from skredu.coding._choose import evenly
from skredu.lifting._responses import SPARSE
from skredu.torch._bank import Bank, descend, relative


class LearnedSparseCoder(ConvolutionalLifting):
    r"""Find sparse codes of signals by iterations that are learned (LISTA).

    The codes are those of `~skredu.ConvolutionalLifting` with ``activation="ista"`` or
    ``"fista"``: the filters at all points of the grid reconstruct the signal. ISTA has
    the same step, the same threshold and the same filters of the gradient in each
    iteration. Here, all of these are learned by back-propagation, so that a few
    iterations lower the cost of the codes of the training samples as far as possible.
    Fewer learned iterations come as close to the minimum for new samples, too. The
    dictionary and the cost stay as they are, and labels are not used.

    Only ``fit`` uses PyTorch. A cyclic shift of a signal shifts its codes.

    Parameters
    ----------
    n_filters : int, default=16
        Number of filters, the atoms of the dictionary.
    kernel_size : int, tuple of int or "auto", default="auto"
        Size of the filters along the axes; see `~skredu.ConvolutionalLifting`.
    signal_shape : int, tuple of int or None, default=None
        Shape of the grid of the samples; see `~skredu.ConvolutionalLifting`.
    filters : {"auto", "gaussian", "pca", "kmeans", "dct"} or array-like, default="auto"
        The dictionary; see `~skredu.ConvolutionalLifting`.
    activation : {"ista", "fista"}, default="ista"
        Whether the iterations have momentum, which is not learned.
    threshold : float, default=0.5
        Weight of the sparsity; see `~skredu.ConvolutionalLifting`.
    pooling : float or None, default=None
        Width of the local average of the square roots of the codes; None returns the
        codes. See `~skredu.ConvolutionalLifting`.
    n_iter : int, default=5
        Number of iterations.
    max_iter : int, default=60
        Number of steps of Adam, each with all samples that are used.
    learning_rate : float, default=0.1
        Learning rate, relative to the root mean square of the parameters.
    max_samples : int, default=1000
        Largest number of samples that are used, spread evenly.
    random_state : int, RandomState instance or None, default=None
        Source of randomness of the filters. Pass an int for reproducible filters.

    Attributes
    ----------
    filters_ : ndarray of shape (n_filters, n_channels, *kernel)
        The dictionary.
    encoder_ : ndarray of shape (n_filters, n_channels, *kernel)
        The filters of the gradient, which are ``filters_`` in ISTA.
    steps_ : ndarray of shape (n_iter,)
        Length of the step of each iteration, relative to that of ISTA.
    thresholds_ : ndarray of shape (n_iter,)
        Threshold of each iteration, relative to that of ISTA.
    loss_curve_ : ndarray of shape (n_iter_ + 1,)
        Cost of the codes relative to that of zeros, before each step of Adam and after
        the last.
    n_iter_ : int
        Number of steps of Adam.
    signal_shape_, coarse_shape_, n_channels_, n_features_in_, feature_names_in_
        As in `~skredu.ConvolutionalLifting`.

    See Also
    --------
    skredu.ConvolutionalLifting : The same codes by iterations that are not learned.
    LearnedLifting : Learns the filters themselves, for classes.

    References
    ----------
    Gregor and LeCun, "Learning fast approximations of sparse coding", ICML 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skredu.torch import LearnedSparseCoder
    >>> X = load_digits().data
    >>> coder = LearnedSparseCoder(
    ...     4, 3, signal_shape=(8, 8), max_iter=9, random_state=0
    ... )
    >>> coder.fit(X[:50]).transform(X[50:60]).shape
    (10, 256)
    >>> bool(coder.loss_curve_[-1] < coder.loss_curve_[0])
    True
    """

    __module__ = "skredu.torch"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ConvolutionalLifting._parameter_constraints,
        "activation": [StrOptions(set(SPARSE))],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_samples": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_filters: int = 16,
        kernel_size: Any = "auto",
        *,
        signal_shape: Any = None,
        filters: Any = "auto",
        activation: str = "ista",
        threshold: float = 0.5,
        pooling: float | None = None,
        n_iter: int = 5,
        max_iter: int = 60,
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
        tags.array_api_support = False
        return tags

    def _learn(self, X: Any, grid: Shape, n_channels: int, progress: Progress) -> None:
        super()._learn(X, grid, n_channels, progress)
        with progress.task("learn", self.max_iter) as task:
            self._improve(X[evenly([len(X)], self.max_samples)[0]], task)

    def _improve(self, rows: Any, progress: Progress) -> None:
        """Learn the iterations, beginning with those of the method."""
        bank = Bank.of(self).requires_grad_(False)
        bank.encoder = bank.filters.clone()
        learned = bank.encoder, bank.steps, bank.thresholds
        groups = [relative(v.requires_grad_(), self.learning_rate) for v in learned]
        X = bank.spectra_of(rows)
        signals = torch.fft.irfftn(X, s=bank.grid, dim=bank.dims)
        unit = 0.5 * signals.square().sum().clamp(min=torch.finfo(signals.dtype).tiny)
        self.loss_curve_ = descend(
            lambda: bank.cost(X).sum() / unit, groups, self.max_iter, progress
        )
        self.n_iter_ = len(self.loss_curve_) - 1
        self.encoder_, self.steps_, self.thresholds_ = (
            values.detach().numpy() for values in learned
        )
        self._nonlinearity["learned"] = {
            "encoder": self.encoder_,
            "steps": self.steps_,
            "thresholds": self.thresholds_,
        }
