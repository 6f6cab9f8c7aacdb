"""BitsDisplay: how many bits each feature contributes to a decision."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array

from skredu._checks import is_integer, naming
from skredu._compat import to_numpy
from skredu.plotting import _looks
from skredu.plotting._display import Axes, Display, names_of


class BitsDisplay(Display):
    """Bits by which features speak for a class or a group, from ``explain``.

    A single sample is drawn as bars, one per feature and one for the base; many samples
    as a heat map with one row per sample. The features are those with the largest mean
    size, which comes first.

    Parameters
    ----------
    bits : array-like of shape (n, d)
        Bits of each feature for each sample.
    base : array-like of shape (n,)
        Bits that no feature contributes.
    names : array-like of shape (d,)
        Names of the features.
    n_features : int
        Largest number of features; the sum of the others is drawn last.

    Attributes
    ----------
    bars_ : matplotlib BarContainer or None
        The bars of a single sample.
    image_ : matplotlib AxesImage or None
        The heat map of many samples.
    {axes}

    See Also
    --------
    skredu.MICLClassifier.explain : Compute the bits for classes.
    skredu.CompressionClustering.explain : Compute the bits for groups.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skredu import MICLClassifier
    >>> from skredu.plotting import BitsDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = MICLClassifier().fit(X, y)
    >>> display = BitsDisplay.from_estimator(model, X[:1])
    >>> list(display.frame().columns[:2])
    ['sepal length (cm)', 'sepal width (cm)']
    """

    __module__ = "skredu.plotting"

    bars_: Any
    image_: Any

    def __init__(self, bits: Any, *, base: Any, names: Any, n_features: int) -> None:
        self.bits = bits
        self.base = base
        self.names = names
        self.n_features = n_features

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        target: Any = None,
        feature_names: Any = None,
        n_features: int = 12,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> BitsDisplay:
        """Draw the bits of features for the decision of a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted `skredu.MICLClassifier` with a linear kernel, or
            `skredu.CompressionClustering`, or a pipeline that ends with one of them.
        X : array-like of shape (n_samples, n_features)
            The samples to explain.
        target : label, default=None
            Class for which positive bits speak, compared with all classes, or group of
            a clustering, for which the bits are not compared. None compares the best
            class or group of each sample with the next one.
        feature_names : array-like of shape (n_features,), default=None
            Names of the features that reach the estimator. None uses those it has seen
            in ``fit``, those that the other steps of the pipeline return, or numbers.
        n_features : int, default=12
            Largest number of features; the sum of the others is drawn last.
        {with_options}
        """
        model, X = cls._last_step(estimator, X)
        cls._require(model, ["explain"], "the bits of features")
        found = model.explain(X)
        bits, base = to_numpy(found.bits), to_numpy(found.base)
        binary = base.ndim == 1
        if binary:  # half of the difference for, and against, the second class
            bits = np.stack([-0.5 * bits, 0.5 * bits], axis=2)
            base = np.stack([-0.5 * base, 0.5 * base], axis=1)
        groups, rows = np.arange(base.shape[1]), np.arange(len(base))
        classes = np.asarray(getattr(model, "classes_", groups))
        if target is None and len(classes) > 1:
            order = np.argsort(base + bits.sum(axis=1), axis=1)
            first, second = order[:, -1], order[:, -2:][:, 0]
            bits = bits[rows, :, first] - bits[rows, :, second]
            base = base[rows, first] - base[rows, second]
        else:
            index = groups if target is None else np.flatnonzero(classes == target)
            if not len(index):
                raise ValueError(
                    f"Bad target: must be one of the classes {classes.tolist()}, found "
                    f"{target!r}."
                )
            factor = 2.0 if binary else 1.0
            bits, base = factor * bits[:, :, index[0]], factor * base[:, index[0]]
        if feature_names is None:
            feature_names = getattr(model, "feature_names_in_", None)
        if feature_names is None:
            feature_names = _names_before(estimator, model)
        if feature_names is None:
            feature_names = [f"x{i}" for i in range(bits.shape[1])]
        options = {"feature_names": feature_names, "n_features": n_features}
        return cls.from_predictions(bits, base, **options, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        bits: Any,
        base: Any = None,
        *,
        feature_names: Any = None,
        n_features: int = 12,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> BitsDisplay:
        """Draw bits of features.

        Parameters
        ----------
        bits : array-like of shape (n_samples, n_features)
            Bits of each feature for each sample.
        base : array-like of shape (n_samples,), default=None
            Bits that no feature contributes; None means zero.
        feature_names : array-like of shape (n_features,), default=None
            Names of the features. None numbers them.
        n_features : int, default=12
            Largest number of features; the sum of the others is drawn last.
        {with_options}
        """
        with naming("bits"):
            bits = check_array(bits, dtype=np.float64, input_name="bits")
        base = np.zeros(len(bits)) if base is None else base
        with naming("base"):
            base = check_array(base, dtype=np.float64, ensure_2d=False)
            if base.shape != bits.shape[:1]:
                raise ValueError(
                    f"must have one entry for each of the {len(bits)} samples, found "
                    f"shape {base.shape}."
                )
        with naming("feature_names"):
            numbers = [f"x{i}" for i in range(bits.shape[1])]
            names = names_of(numbers, feature_names)
        if not (is_integer(n_features) and n_features >= 1):
            raise ValueError(
                f"Bad n_features: must be an integer of at least 1, found {n_features}."
            )
        display = cls(bits, base=base, names=names, n_features=int(n_features))
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> BitsDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        **kwargs : dict
            Properties of the bars or of the image, passed to matplotlib.

        {returns}
        """
        ax = self._axes(ax)
        bits, names = self._largest()
        self.bars_ = self.image_ = None
        places = np.arange(len(names))
        if len(bits) == 1:
            colors = np.where(bits[0] < 0.0, _looks.PALETTE[1], _looks.PALETTE[0])
            ours = {"color": colors, **kwargs}
            self.bars_ = ax.barh(places, bits[0], **ours)
            ax.axvline(0.0, color=_looks.text_color(ax), linewidth=0.8)
            ax.invert_yaxis()
            ax.set(xlabel="bits")
            _looks.label_axis(ax.yaxis, places, names)
            return self
        most = np.abs(bits).max() or 1.0
        ours = {"cmap": _looks.SIGNED_COLORMAP, "vmin": -most, "vmax": most}
        ours |= {"aspect": "auto", "interpolation": "nearest"}
        self.image_ = ax.imshow(bits, **_looks.style_of(ours, kwargs))
        ax.figure.colorbar(self.image_, ax=ax, label="bits")
        ax.set(ylabel="sample")
        _looks.label_axis(ax.xaxis, places, names)
        return self

    def _largest(self) -> tuple[Any, list[str]]:
        """Return the bits that are drawn, and their names."""
        bits, base = np.asarray(self.bits), np.asarray(self.base)
        order = np.argsort(-np.abs(bits).mean(axis=0), kind="stable")
        shown, rest = order[: self.n_features], order[self.n_features :]
        columns = [*bits[:, shown].T]
        names = [str(name) for name in np.asarray(self.names)[shown]]
        if len(rest):
            columns.append(bits[:, rest].sum(axis=1))
            names.append(f"{len(rest)} others")
        return np.stack([*columns, base], axis=1), [*names, "base"]

    def frame(self) -> Any:
        """Return the displayed numbers as a data frame.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_samples, n_features + 1)
            Bits of all features, in their order, and the ``base``.
        """
        columns = [*map(str, self.names), "base"]
        return self._frame(np.column_stack([self.bits, self.base]), columns=columns)


def _names_before(estimator: Any, model: Any) -> Any:
    """Return the names of features that the steps before a model return, or None."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        with suppress(AttributeError, ValueError):  # steps may not know their names
            if estimator[-1] is model:
                return estimator[:-1].get_feature_names_out()
    return None
