"""MCR2Classifier: a network that is trained by the rate reduction."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.metaestimators import available_if
from torch import Tensor, nn

from skredu import MICLClassifier
from skredu._compat import Interval, StrOptions
from skredu._signals import channels_of, shape_of
from skredu.coding._choose import evenly
from skredu.torch._loss import MCR2Loss
from skredu.torch._training import NetworkClassifier

# Number of samples to whose features `partial_fit` fits the head.
RECENT = 5000


def _head_has(name: str) -> Any:
    def check(estimator: MCR2Classifier) -> bool:
        head = getattr(estimator, "head_", estimator.head)
        return hasattr(MICLClassifier() if head is None else head, name)

    return check


class MCR2Classifier(NetworkClassifier):
    r"""Train a network by the rate reduction, and classify its features.

    The network maps samples to features on the unit sphere. It is trained by
    back-propagation to maximise the rate reduction of each batch: the features of
    different classes become orthogonal, and each class keeps several directions. A
    classifier in closed form is then fitted to the features of all training samples.

    Parameters
    ----------
    network : torch.nn.Module, default=None
        Maps a float32 tensor of shape (n_samples, n_features) to features of shape
        (n_samples, n_components). It is copied, and the copy is trained from its
        present parameters. None means a perceptron with one hidden layer, or a
        convolutional network if ``signal_shape`` is given.
    n_components : int, default=32
        Number of features of the default network.
    signal_shape : tuple of int, default=None
        Height and width of images in rows, one channel after the other, for the default
        convolutional network.
    loss : {"mcr2", "cross_entropy"}, default="mcr2"
        What is minimised: the negative rate reduction, or, for comparison, the
        cross-entropy of a linear layer on the features.
    epsilon : float, default=0.5**0.5
        Distortion of the rate reduction, a length on the unit sphere. Published code
        uses its square.
    head : classifier, default=None
        Classifier of the features, which is cloned. None means
        `~skredu.MICLClassifier`. For labels with many errors,
        `~skredu.NearestSubspaceClassifier` is more robust.
    max_iter : int, default=100
        Largest number of epochs.
    batch_size : int, default=500
        Number of samples in a batch. Each class should have at least about five samples
        in a batch.
    learning_rate : float, default=0.001
        Learning rate of Adam.
    early_stopping : bool, default=False
        Whether to leave out a share of the samples, evaluate the loss on them after
        each epoch, and keep the network with the best one.
    validation_fraction : float, default=0.1
        Share of each class that is left out for early stopping, rounded down to whole
        samples, but at least one sample of each class that has several.
    n_iter_no_change : int, default=10
        Number of epochs without a better loss after which the training stops, if
        ``early_stopping`` is true.
    warm_start : bool, default=False
        Whether to start from the network of the previous call.
    device : str, default="cpu"
        Device on which the network is trained, as in PyTorch. The fitted network is on
        the CPU.
    random_state : int, RandomState instance or None, default=None
        Determines the initial default network and the batches. Pass an int for
        reproducible output across multiple function calls.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    network_ : torch.nn.Module
        The trained network.
    head_ : classifier
        The fitted classifier of the features.
    loss_curve_ : list of float
        Mean loss of each epoch.
    validation_curve_ : list of float
        Loss of the samples that were left out, after each epoch, if ``early_stopping``
        is true.
    n_iter_ : int
        Number of epochs.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during fit. Defined only when ``X`` has feature names
        that are all strings.

    See Also
    --------
    skredu.torch.MCR2Loss : The loss, for a loop of your own.
    skredu.MCR2Transformer : Linear features of maximal rate reduction.
    skredu.MICLClassifier : A classifier of the samples themselves; compare with it.

    Notes
    -----
    The mean of each feature is subtracted from the samples, and all are divided by one
    number, the root mean square of what remains, before they enter the network.

    `partial_fit` changes the features of all samples. It keeps the last 5000 samples of
    its calls, and fits the head to their present features. Of a larger call, it keeps
    5000 samples that are spread evenly.

    A network need not predict better than its input: on tables and small images,
    `~skredu.MICLClassifier` is often more accurate, and takes a tenth of the time or
    less.

    References
    ----------
    Yu, Chan, You, Song and Ma, "Learning diverse and discriminative representations
    via the principle of maximal coding rate reduction", NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skredu.torch import MCR2Classifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MCR2Classifier(max_iter=30, random_state=0).fit(X[:1000], y[:1000])
    >>> model.score(X[1000:], y[1000:]) > 0.9
    True
    >>> model.transform(X).shape
    (1797, 32)
    """

    __module__ = "skredu.torch"
    _recent: tuple[Any, Any] | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NetworkClassifier._parameter_constraints,
        "network": [nn.Module, None],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "signal_shape": [tuple, list, None],
        "loss": [StrOptions({"mcr2", "cross_entropy"})],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "head": [BaseEstimator, None],
    }

    def __init__(
        self,
        network: Any = None,
        *,
        n_components: int = 32,
        signal_shape: Any = None,
        loss: str = "mcr2",
        epsilon: float = 0.5**0.5,
        head: Any = None,
        max_iter: int = 100,
        batch_size: int = 500,
        learning_rate: float = 0.001,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.network = network
        self.n_components = n_components
        self.signal_shape = signal_shape
        self.loss = loss
        self.epsilon = epsilon
        self.head = head
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state

    def predict(self, X: Any) -> Any:
        """Predict the classes of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The predicted class labels.
        """
        Z = self.transform(X)
        return self.head_.predict(Z)

    @available_if(_head_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Predict the probabilities of the classes, in the order of ``classes_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            The probabilities.
        """
        Z = self.transform(X)
        found = self.head_.predict_proba(Z)
        if found.shape[1] == len(self.classes_):
            return found
        # Some classes have not occurred in calls of `partial_fit` yet.
        probabilities = np.zeros((len(found), len(self.classes_)), found.dtype)
        seen = np.searchsorted(self.classes_, self.head_.classes_)
        probabilities[:, seen] = found
        return probabilities

    @property
    def _n_features_out(self) -> int:
        return int(self._n_out)

    def _new_network(self, n_features: int) -> nn.Module:
        if self.network is not None:
            return copy.deepcopy(self.network)
        if self.signal_shape is None:
            hidden = max(64, 2 * self.n_components)
            return nn.Sequential(
                nn.Linear(n_features, hidden),
                nn.ReLU(),
                nn.Linear(hidden, self.n_components),
            )
        shape = shape_of(self.signal_shape, "signal_shape")
        if len(shape) != 2:
            raise ValueError(
                "Bad signal_shape: must be the height and width of images, found "
                f"{self.signal_shape!r}."
            )
        return nn.Sequential(
            nn.Unflatten(1, (-1, *shape)),
            nn.Conv2d(channels_of(shape, n_features, "signal_shape"), 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(512, self.n_components),
        )

    def _loss(self, n_features: int) -> nn.Module:
        if self.loss == "mcr2":
            return MCR2Loss(self.epsilon)
        return _LinearCrossEntropy(n_features, len(self.classes_))

    def _fit_head(self, X: Any, y: Any) -> None:
        head = MICLClassifier() if self.head is None else clone(self.head)
        self.head_ = head.fit(self._features(X), y)
        self._recent = None

    def _update_head(self, X: Any, y: Any) -> None:
        some = evenly([len(X)], RECENT)[0]  # of all classes, if they are sorted
        X, y = X[some], y[some]
        if self._recent is not None:
            X, y = np.concatenate([self._recent[0], X]), np.append(self._recent[1], y)
        recent = X[-RECENT:], y[-RECENT:]
        self._fit_head(*recent)
        self._recent = recent

    def _features(self, X: Any) -> Any:
        """Return the features of valid samples, in their type."""
        Z = self._outputs(X, self.network_).double()
        Z = nn.functional.normalize(Z, dim=1).numpy()
        return Z.astype(X.dtype, copy=False)


class _LinearCrossEntropy(nn.Module):
    """Cross-entropy of a linear layer on features."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_features, n_classes)

    def forward(self, Z: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self.linear(Z), y)
