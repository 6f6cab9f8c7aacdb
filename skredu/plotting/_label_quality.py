"""LabelQualityDisplay: how probable the labels of training samples are."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d

from skredu._checks import naming
from skredu._compat import to_numpy
from skredu.plotting import _looks
from skredu.plotting._display import Axes, Display, names_of


class LabelQualityDisplay(Display):
    """Share of the labels of each class up to every probability.

    The probability of a label is predicted from all other samples; see
    `skredu.metrics.label_quality`. Lines that rise on the left belong to classes with
    labels that the other samples contradict; lines that stay low until they reach the
    right belong to classes whose labels are certain.

    Parameters
    ----------
    quality : array-like of shape (n,)
        Probability of the label of each sample. Samples with NaN are left out.
    labels : array-like of shape (n,)
        Class of each sample, or the name of the class.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One line per class, in sorted order.
    {axes}

    See Also
    --------
    skredu.metrics.label_quality : Compute the probabilities.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skredu import MICLClassifier
    >>> from skredu.plotting import LabelQualityDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MICLClassifier().fit(X, y)
    >>> display = LabelQualityDisplay.from_estimator(model, X, y)
    >>> display.frame().shape
    (150, 2)
    """

    __module__ = "skredu.plotting"

    lines_: Any

    def __init__(self, quality: Any, *, labels: Any) -> None:
        self.quality = quality
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, **kwargs: Any
    ) -> LabelQualityDisplay:
        """Draw the probabilities of the training labels of a fitted classifier.

        Parameters
        ----------
        estimator : estimator instance
            Fitted `skredu.MICLClassifier`, or a pipeline that ends with it.
        X : array-like of shape (n_samples, n_features)
            The training data; only their number is used.
        y : array-like of shape (n_samples,)
            The training labels, in the order of ``fit``.
        {to_predictions}

        {returns_or_raises}
        """
        model, _ = cls._last_step(estimator)
        what = "the quality of labels, which fit finds if it chooses parameters"
        cls._require(model, ["label_quality_"], what)
        with naming("X and y"):
            check_consistent_length(X, y, model.label_quality_)
        return cls.from_predictions(to_numpy(model.label_quality_), y, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        quality: Any,
        y: Any,
        *,
        display_labels: Any = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> LabelQualityDisplay:
        """Draw the probabilities of labels.

        Parameters
        ----------
        quality : array-like of shape (n_samples,)
            Probability of the label of each sample, from
            `skredu.metrics.label_quality`. Samples with NaN are left out.
        {y}
        {display_labels}
        {with_lines}
        """
        with naming("quality"):
            quality = column_or_1d(np.asarray(quality, dtype=np.float64))
            if not len(quality):
                raise ValueError("must contain at least one probability, found none.")
            if np.any(quality < 0.0) or np.any(quality > 1.0):
                raise ValueError("must contain probabilities, or NaN.")
        with naming("y"):
            labels = column_or_1d(np.asarray(y))
            check_consistent_length(quality, labels)
            classes, codes = np.unique(labels, return_inverse=True)
        names = names_of(classes, display_labels)
        return cls(quality, labels=names[codes]).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> LabelQualityDisplay:
        """Draw the display.

        {draw_lines}
        """
        ax = self._axes(ax)
        quality, labels = np.asarray(self.quality), np.asarray(self.labels)
        names, codes = np.unique(labels, return_inverse=True)
        self.lines_ = []
        for j, color in enumerate(_looks.class_colors(len(names))):
            own = quality[codes == j]
            values = np.sort(own[np.isfinite(own)])
            shares = np.arange(len(values) + 1) / max(len(values), 1)
            label = _looks.shorten(names[j], _looks.MAX_NAME_IN_LEGEND)
            ours = {"color": color, "label": label, "drawstyle": "steps-post"}
            style = _looks.style_of(ours, kwargs)
            self.lines_ += ax.plot([0.0, *values, 1.0], [*shares, 1.0], **style)
        if len(names) <= len(_looks.PALETTE):
            ax.legend(frameon=False)
        else:
            _looks.add_class_colorbar(ax, names)
        ax.set(xlabel="probability of the label", ylabel="share of the samples")
        ax.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0))
        return self

    def frame(self) -> Any:
        """Return the displayed numbers as a data frame.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_samples, 2)
            ``label`` and ``quality`` of each sample, in their order.
        """
        return self._frame({"label": self.labels, "quality": self.quality})
