"""What all networks share: parameters, fit and transform."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from copy import deepcopy
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from skredu._base import SkreduEstimator, all_or_nothing
from skredu._checks import check_rows, check_training
from skredu._compat import (
    ARRAY_API_SUPPORT,
    FIT_FRAMES,
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_same_namespace,
    namespace,
    with_callbacks,
)
from skredu.classification._training import Training
from skredu.classification._weights import weights_to_fit
from skredu.coding._linalg import BLOCK
from skredu.redunet._memberships import KINDS
from skredu.redunet._network import Grown, Step, grow, staged, through
from skredu.redunet._sphere import MODERATE

if TYPE_CHECKING:
    from skredu.redunet._protocols import Built, Rule

RATES = ("R", "Rc", "delta_R")


class BaseNet(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    SkreduEstimator,
):
    """A network that is built forward.

    Subclasses say how rows enter it and leave it, and by which rule layers are made.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_layers": [Interval(Integral, 0, None, closed="left")],
        "epsilon": [MODERATE, StrOptions({"auto"})],
        "eta": [MODERATE],
        "step": [StrOptions({"relative", "published"})],
        "membership": [StrOptions(set(KINDS))],
        "inverse_temperature": [MODERATE],
        "construction": [StrOptions({"left_out", "estimated", "labels"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
    }
    _reference: ClassVar[str] = "class_count_"

    n_layers: int
    epsilon: float | str
    eta: float
    step: str
    membership: str
    inverse_temperature: float
    construction: str
    tol: float
    warm_start: bool
    _n_features_out: int

    @abstractmethod
    def _enter(self, X: Any) -> tuple[Any, Any]:
        """Return rows as they leave again without layers, and as layers take them."""

    @abstractmethod
    def _leave(self, start: Any, Z: Any, stage: int = -1) -> Any:
        """Features (n, n_features_out) of rows behind a layer, the last by default."""

    @abstractmethod
    def _steps(self) -> list[tuple[Any, float]]:
        """Layers and their steps."""

    @abstractmethod
    def _place(self, rows: Training) -> Any:
        """Prepare the training rows for layers, and choose the distortion.

        A decision that has been fitted to them on the way is kept by `_keep_decision`.
        """

    @abstractmethod
    def _rule(self, rows: Training) -> Rule:
        """By which rule layers are made."""

    @abstractmethod
    def _fit_decision(self, rows: Training, Z: Any) -> dict[str, Any]:
        """Fit a decision to features; its state as arrays, numbers and containers."""

    @abstractmethod
    def _decision_scores(self, decision: dict[str, Any], Z: Any) -> Any:
        """Minus the extra bits of features in every class, label included, (n, k)."""

    def _marked(self, Z: Any) -> Any:
        """Features as they are returned."""
        return Z

    @property
    def _decides(self) -> bool:
        """Whether there is a decision behind every layer."""
        return False

    @property
    def _width(self) -> int:
        """Entries that one row takes on its way."""
        return 8 * self._n_features_out

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.array_api_support = ARRAY_API_SUPPORT
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @all_or_nothing
    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Build layer after layer from the training rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of copies of each row; fractions are allowed, zero means absent.
            Weights that sum to less than the number of classes or a tenth of that of
            the rows are multiplied to have mean one, with a warning.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an array is out of range or, with ``warm_start``, if rows,
            labels, weights or parameters but ``n_layers`` are not those of the last
            call, or there are more layers already.
        """
        if not self._continues:
            self._forget()
        self._validate_params()
        rows = self._training_rows(X, y, sample_weight)
        if self.warm_start:
            origin = self._origin_of(rows)
            if self._continues:
                self._check_continued(origin)
            self._origin = origin
        self._grow(X, y, rows)
        return self

    def transform(self, X: Any) -> Any:
        """Move rows through all layers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features_out)
            Features.

        Raises
        ------
        ValueError
            If ``X`` does not fit the training rows.
        """
        X = self._check_rows(X, "transform")
        xp, n = namespace(X), X.shape[0]
        layers, shape = self._steps(), (n, self._n_features_out)
        features = xp.empty(shape, dtype=X.dtype, device=X.device)
        for block in self._blocks(n):
            start, Z = self._enter(X[block, :])
            features[block, :] = self._leave(start, through(layers, Z))
        return self._marked(features)

    def staged_transform(self, X: Any) -> Iterator[Any]:
        """Move rows through the layers, one by one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Yields
        ------
        Z : ndarray of shape (n_samples, n_features_out)
            Features, before the first layer and after each.

        Raises
        ------
        ValueError
            If ``X`` does not fit the training rows.
        """
        X = self._check_rows(X, "staged_transform")
        start, Z = self._enter(X)
        for stage, moved in enumerate(staged(self._steps(), Z)):
            yield self._marked(self._leave(start, moved, stage))

    def _blocks(self, n: int) -> Any:
        """Slices of rows of which one at a time is in work."""
        return gen_batches(n, max(1, BLOCK // self._width))

    @property
    def n_iter_(self) -> int:
        """Number of layers."""
        return len(self._layers)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_layers")

    @property
    def _continues(self) -> bool:
        return bool(self.warm_start) and hasattr(self, "_features")

    def _training_rows(
        self, X: Any, y: Any, sample_weight: Any, frames: int = 1 + FIT_FRAMES
    ) -> Training:
        """Rows known to be good, sorted by class; ``frames``: see `weights_to_fit`."""
        reset = not self._continues
        X, y, weights = check_training(self, X, y, sample_weight, reset=reset)
        class_weight = getattr(self, "class_weight", None)
        weights = weights_to_fit(X, y, weights, class_weight, frames=frames)
        return Training.of(X, y, weights).merged()

    def _check_rows(self, X: Any, method: str) -> Any:
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        check_same_namespace(X, self, attribute=self._reference, method=method)
        return X

    def _begin(self, rows: Training) -> Any:
        """Place the training rows, and forget the layers of another fit."""
        self._decisions: list[dict[str, Any]] = []
        self.rates_ = {name: np.empty(0) for name in RATES}
        Z = self._place(rows)
        self._begin_anew(rows, rows.counts, len(rows.index))
        return Z

    def _begin_anew(self, rows: Training, counts: list[float], n_rows: int) -> None:
        """Be a network without layers for rows with these weights of the classes."""
        xp, device = namespace(rows.source), rows.source.device
        self.class_count_ = xp.asarray(counts, dtype=xp.float64, device=device)
        self.classes_, self._n_rows = rows.classes, n_rows
        self._layers: list[dict[str, Any]] = []

    def _forget(self) -> None:
        """Be as if never fitted."""
        for name in ("_layers", "_features", "_origin"):
            self.__dict__.pop(name, None)

    def _origin_of(self, rows: Training) -> dict[str, Any]:
        """Return what layers follow from: rows, where they live, and parameters."""
        parameters = deepcopy(self.get_params(deep=False))
        del parameters["n_layers"], parameters["warm_start"]
        place = f"{namespace(rows.source).__name__} {rows.source.device}"
        return {"rows": f"{place} {rows.fingerprint()}", "parameters": parameters}

    def _check_continued(self, origin: dict[str, Any]) -> None:
        """Whether the layers of the call before can go on."""
        if self.n_layers < self.n_iter_:
            raise ValueError(
                f"n_layers={self.n_layers} must be at least n_iter_={self.n_iter_} "
                "when warm_start=True."
            )
        anew = "Call set_params(warm_start=False) to start anew."
        if origin["rows"] != self._origin["rows"]:
            raise ValueError(
                "X, y and sample_weight must be the training rows of the last call, in "
                f"the same order, when warm_start=True. {anew}"
            )
        for name, before in self._origin["parameters"].items():
            if not np.array_equal(origin["parameters"][name], before):
                raise ValueError(
                    f"{name}={origin['parameters'][name]!r} was {before!r} in the last "
                    f"call: only n_layers may change when warm_start=True. {anew}"
                )

    def _grow(self, X: Any, y: Any, rows: Training) -> None:
        """Add layers, each a task that callbacks see."""
        missing = self.n_layers - (self.n_iter_ if self._continues else 0)
        root = self._init_callback_context(max_subtasks=missing)
        root.call_on_fit_task_begin(estimator=self, X=X, y=y)
        network = self._network(rows)
        for _ in range(missing):
            task = root.subcontext(task_name="layer")
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
            grown = next(network, None)
            enough = grown is None or self._append(grown, rows)
            stop = task.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=self._fitted
            )
            if stop or enough:
                break
        self._finish()
        root.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=self._fitted
        )

    def _network(self, rows: Training) -> Iterator[Grown]:
        """Layers that are built from the training features, one after the other.

        Nobody else holds the features: those before a layer go when it is there.
        """
        Z = self._features if self._continues else self._begin(rows)
        rule = self._rule(rows)
        built = rule.build(Z)
        if len(self.rates_["R"]) == 0:  # not where all layers have been dropped
            self._start(built, Z, rows)
        eta = float(self.eta)
        last = self._layers[-1]["step"] if self._layers else eta
        step = Step(eta, self.step == "published")
        return grow(rule, built, Z, step, tol=float(self.tol), last=last)

    def _start(self, built: Built, Z: Any, rows: Training) -> None:
        """Record what there is before the first layer."""
        self._record(built.layer.rates())
        self._keep(Z)
        if self._decides and not self._decisions:
            self._keep_decision(self._fit_decision(rows, Z))

    def _append(self, grown: Grown, rows: Training) -> bool:
        """Keep a layer; say whether there are enough."""
        layer = {"layer": grown.layer.plain(), "step": grown.step}
        self._layers = [*self._layers, layer]
        self._record(grown.rates)
        self._keep(grown.Z)
        if self._decides:
            self._keep_decision(self._fit_decision(rows, grown.Z))
        return False

    def _keep_decision(self, decision: dict[str, Any]) -> None:
        """Keep what was fitted to the features behind the last layer."""
        if self._decides:
            self._decisions = [*self._decisions, decision]

    def _keep(self, Z: Any) -> None:
        """Keep the features for another call."""
        if self.warm_start:
            self._features = Z

    def _record(self, rates: tuple[float, float, float]) -> None:
        self.rates_ = {
            name: np.append(self.rates_[name], rate)
            for name, rate in zip(RATES, rates, strict=True)
        }

    def _finish(self) -> None:
        """Tidy up after the last layer; warn where there is none."""
        if not self._layers and self.n_layers > 0:
            self._warn_of_no_step()

    def _warn_of_no_step(self) -> None:
        warnings.warn(
            f"{type(self).__name__} has no layer (n_iter_=0), as no step raises the "
            f"rate reduction of the training rows at epsilon={self.epsilon_:.3g}. "
            "Try another epsilon; n_layers=0 asks for no layers.",
            stacklevel=4 + FIT_FRAMES,
        )

    def _fitted(self) -> dict[str, Any]:
        """Return what grows with the layers, for a callback that wants a copy."""
        grown = ("_layers", "_decisions", "rates_")
        return {name: vars(self)[name] for name in grown}
