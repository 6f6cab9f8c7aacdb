"""LearnedLifting: filters that are learned by the loss of samples left out."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from skredu import ConvolutionalLifting
from skredu._base import all_or_nothing
from skredu._checks import check_rows, check_training
from skredu._compat import Interval, StrOptions
from skredu._progress import Progress, watched
from skredu._signals import channels_of, refuse_stacks
from skredu.coding._choose import evenly
from skredu.lifting._responses import SPARSE
from skredu.torch._bank import Bank
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
    objective : {"left_out", "codes"}, default="left_out"
        What is learned.

        - ``"left_out"``: the filters and the threshold, by the loss of samples left
          out.
        - ``"codes"``: the iterations for sparse codes (``activation="ista"`` or
          ``"fista"``) of a given dictionary, by the cost that the codes minimise: the
          filters of the gradient, and a step and a threshold per iteration. Fewer
          learned iterations come as close to the minimum (see the benchmarks of the
          project). The filters and the threshold stay as they are, and labels are not
          used.
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
        Mean cross-entropy of left-out samples in nats, or cost of the codes relative to
        that of zeros, before each step and after the last.
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
    :math:`k T F^2 (F + n)` complex operations and 15 n F T numbers of memory. With 16
    filters, 500 images of 8 x 8 points in 10 classes take about a sixth of a second per
    step on one core. Samples in single precision take half of the time and memory, and
    their loss differs from that in double precision by about :math:`10^{-6}`.

    Samples of a class without a second sample are not used. The distortion, the
    temperature and the label code are learned together with the filters and then
    forgotten: the classifier after the lifting chooses its own.

    References
    ----------
    Gregor and LeCun, "Learning fast approximations of sparse coding", ICML 2010, for
    learned iterations (LISTA).

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
        "objective": [StrOptions({"left_out", "codes"})],
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
        objective: str = "left_out",
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
        self.objective = objective
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.max_samples = max_samples

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.objective != "codes"
        tags.array_api_support = False
        return tags

    @all_or_nothing
    def fit(self, X: Any, y: Any = None) -> LearnedLifting:
        """Learn the filters and the threshold, or the iterations for codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training signals.
        y : array-like of shape (n_samples,)
            The class labels. Not used if the objective is ``"codes"``.

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
        if self.objective == "codes" and self.activation not in SPARSE:
            raise ValueError(
                "objective='codes' needs activation='ista' or 'fista', found "
                f"activation={self.activation!r}."
            )
        if self.objective == "codes":
            rows, labels = check_rows(self, X), None
        else:
            rows, labels, _ = check_training(self, X, y, None)
        grid = self._grid_for(X, rows.shape[1])
        n_channels = channels_of(grid, rows.shape[1], self._shape_name)
        with watched(self, X=X, y=y) as progress:
            self._learn(rows, grid, n_channels, progress)
            with progress.task("learn", self.max_iter) as task:
                self._improve(rows, labels, task)
        return self

    def _improve(self, rows: Any, labels: Any, progress: Progress) -> None:
        """Learn what the objective asks for, beginning with the fitted lifting."""
        dtype = torch.tensor(rows[:0]).dtype
        bank = Bank(
            self.filters_, self.signal_shape_, **self._nonlinearity, dtype=dtype
        )
        rate, self.loss_curve_ = float(self.learning_rate), np.zeros(0)
        loss = None
        if labels is None:
            some = rows[evenly([len(rows)], self.max_samples)[0]]
            loss, groups = _loss_of_codes(bank, _spectra_of(some, bank), rate)
        else:
            some, y = _some(rows, labels, self.max_samples)
            if len(np.unique(y)) > 1:
                X = _spectra_of(some, bank)
                loss, groups = _loss_left_out(bank, X, np.bincount(y).tolist(), rate)
        if loss is not None:
            self.loss_curve_ = _descend(loss, groups, self.max_iter, progress)
        self.n_iter_, dtype = max(0, len(self.loss_curve_) - 1), self.filters_.dtype
        self.filters_ = bank.filters.detach().numpy().astype(dtype)
        self.threshold_ = float(bank.threshold.detach().clamp(min=0.0))
        self._nonlinearity = {**self._nonlinearity, "threshold": self.threshold_}
        if labels is None:
            names = ("encoder", "steps", "thresholds")
            self._nonlinearity["learned"] = {
                name: getattr(bank, name).detach().numpy().astype(dtype)
                for name in names
            }


def _some(rows: Any, labels: Any, most: int) -> tuple[Any, Any]:
    """Return samples, sorted by class, of classes with at least two samples."""
    order = np.argsort(labels, kind="stable")
    sizes = np.unique(labels, return_counts=True)[1]
    chosen = order[evenly(sizes.tolist(), most)[0]]
    rows, codes = rows[chosen], np.unique(labels[chosen], return_inverse=True)[1]
    kept = np.bincount(codes)[codes] > 1
    return rows[kept], np.unique(codes[kept], return_inverse=True)[1]


def _spectra_of(rows: Any, bank: Bank) -> Tensor:
    """Return the spectra of signals, which are divided by a common factor.

    Neither features on the sphere nor codes depend on the factor.
    """
    signals = torch.tensor(rows).reshape(len(rows), -1, *bank.grid)
    largest = signals.abs().max().clamp(min=torch.finfo(signals.dtype).tiny)
    return torch.fft.rfftn(signals / largest, dim=bank.dims)


def _loss_left_out(
    bank: Bank, X: Tensor, sizes: list[int], rate: float
) -> tuple[Callable[[], Tensor], list[dict[str, Any]]]:
    """Return the cross-entropy of left-out samples, and what Adam changes."""
    with torch.no_grad():
        first = bank.lifted(X)
    blocks = blocks_of(bank.grid, first)
    decision = Decision(sizes, blocks)
    decision.start(spectra_on_sphere(first, blocks))
    groups = [
        {"params": [bank.filters], "lr": rate * _size(bank.filters)},
        {"params": list(decision.parameters()), "lr": rate},
    ]
    if bank.threshold > 0:
        groups.append({"params": [bank.threshold], "lr": rate})
    return lambda: decision(spectra_on_sphere(bank.lifted(X), blocks)), groups


def _loss_of_codes(
    bank: Bank, X: Tensor, rate: float
) -> tuple[Callable[[], Tensor], list[dict[str, Any]]]:
    """Return the mean cost of codes, and what Adam changes."""
    bank.requires_grad_(False)
    bank.encoder = bank.filters.clone()
    learned = [bank.encoder, bank.steps, bank.thresholds]
    for values in learned:
        values.requires_grad_()
    groups = [{"params": [v], "lr": rate * _size(v)} for v in learned]
    unit = 0.5 * torch.fft.irfftn(X, s=bank.grid, dim=bank.dims).square().sum()
    return lambda: bank.cost(X).sum() / unit.clamp(min=1e-300), groups


def _size(values: Tensor) -> float:
    """Return the root mean square of a tensor."""
    return values.detach().square().mean().sqrt().item()


def _descend(
    loss: Callable[[], Tensor],
    groups: list[dict[str, Any]],
    max_iter: int,
    progress: Progress,
) -> Any:
    """Lower a loss by Adam, and return it before each step and after the last."""
    optimizer, curve = torch.optim.Adam(groups), []
    for _ in range(max_iter):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        curve.append(value.item())
        optimizer.step()
        if progress.done("iteration"):
            break
    with torch.no_grad():
        return np.array([*curve, loss().item()])
