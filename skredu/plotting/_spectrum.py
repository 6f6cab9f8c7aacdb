"""SubspaceSpectrumDisplay: singular values of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skredu.plotting import _looks
from skredu.plotting._display import Axes, FeatureDisplay, check_labelled, names_of

MARKERS = ("o", "s", "^", "D", "v", "P")


class SubspaceSpectrumDisplay(FeatureDisplay):
    r"""Singular values of each class, before and after a transformation.

    The display shows the singular values :math:`\sigma_i` of the samples of each class,
    divided by :math:`(\sum_i \sigma_i^2)^{1/2}`, so their squares are shares of the sum
    of squares. If a class lies on a subspace of dimension r, r of them are above the
    noise.

    The features of a network are compared with the samples on the sphere that enter its
    first layer, and those of another transformer with its input. For a
    `skredu.NearestSubspaceClassifier`, the dimensions of its subspaces are marked.

    Parameters
    ----------
    singular_values : sequence of n_classes arrays
        Relative singular values of each class, in decreasing order.
    before : sequence of n_classes arrays, default=None
        Relative singular values of the samples before the transformation.
    labels : array-like of shape (n_classes,), default=None
        Class labels, or their names. None means 0, 1, ...
    dimensions : array-like of shape (n_classes,), default=None
        Dimension of the subspace of each class, marked on its line.

    Attributes
    ----------
    lines_ : list of n_classes matplotlib Line2D
        The line of each class.
    before_lines_ : list of matplotlib Line2D
        The lines of the singular values before the transformation, if there are any.
    marks_ : matplotlib PathCollection or None
        The marks of the dimensions.
    {axes}

    See Also
    --------
    skredu.NearestSubspaceClassifier : Truncates the spectra at a share of the sum of
        squares, or at a dimension.

    References
    ----------
    {yu_2020}

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.preprocessing import scale
    >>> from skredu import ReduNetTransformer
    >>> from skredu.plotting import SubspaceSpectrumDisplay
    >>> X, y = load_wine(return_X_y=True)
    >>> net = ReduNetTransformer(5).fit(scale(X), y)
    >>> display = SubspaceSpectrumDisplay.from_estimator(net, scale(X), y)
    >>> frame = display.frame()
    >>> first = frame[frame.component == 1].groupby("stage").value.mean()
    >>> bool(first["after"] > first["before"])
    True
    """

    __module__ = "skredu.plotting"

    lines_: list[Any]
    before_lines_: list[Any]
    marks_: Any

    def __init__(
        self,
        singular_values: Sequence[Any],
        *,
        before: Sequence[Any] | None = None,
        labels: Any = None,
        dimensions: Any = None,
    ) -> None:
        self.singular_values = singular_values
        self.before = before
        self.labels = labels
        self.dimensions = dimensions

    @classmethod
    def from_predictions(
        cls,
        Z: Any,
        y: Any,
        *,
        before: Any = None,
        dimensions: Any = None,
        display_labels: Any = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> SubspaceSpectrumDisplay:
        """Draw the spectra of samples or features.

        Parameters
        ----------
        {Z}
        {groups}
        before : array-like of shape (n_samples, n_features), default=None
            The samples that were transformed to the features.
        dimensions : array-like of shape (n_classes,), default=None
            Dimension of the subspace of each class, marked on its line.
        {display_labels}
        {with_lines}
        """
        values, classes = _spectra(Z, y, "Z")
        display = cls(
            values,
            before=None if before is None else _spectra(before, y, "before")[0],
            labels=names_of(classes, display_labels),
            dimensions=dimensions,
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def _known(cls, model: Any, X: Any, entered: Any, y: Any) -> dict[str, Any]:
        """Return the input of the transformation, or the dimensions of subspaces."""
        if hasattr(model, "staged_transform"):
            return {"before": next(model.staged_transform(entered))}
        if hasattr(model, "transform"):
            return {"before": entered}
        kept = np.isin(model.classes_, np.asarray(y))
        dimensions = np.array([len(basis) for basis in model.components_])
        return {"dimensions": dimensions[kept]}

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> SubspaceSpectrumDisplay:
        """Draw the display.

        {draw_lines}
        """
        ax = self._axes(ax)
        names = self._names()
        few = len(names) <= len(_looks.PALETTE)
        colors = _looks.class_colors(len(names))
        self.before_lines_, self.lines_ = [], []
        for values, color in zip(self.before or (), colors, strict=False):
            style = {"color": color if few else _looks.text_color(ax), "ls": "--"}
            self.before_lines_ += _line(ax, values, alpha=0.6 if few else 0.4, **style)
        spectra = zip(self.singular_values, colors, strict=True)
        for j, (values, color) in enumerate(spectra):
            label = _looks.shorten(names[j], _looks.MAX_NAME_IN_LEGEND)
            ours = {"color": color, "linestyle": "-", "label": label}
            ours |= (
                {"marker": MARKERS[j], "markersize": 4} if few else {"linewidth": 1.0}
            )
            self.lines_ += _line(ax, values, **_looks.style_of(ours, kwargs))
        self.marks_ = self._mark_dimensions(ax, colors)
        self._add_legend(ax, names, few)
        ax.set(xlabel="component", ylabel="relative singular value", ylim=(0, None))
        _looks.use_integer_ticks(ax.xaxis)
        return self

    def frame(self) -> Any:
        """Return the displayed numbers as a data frame.

        Returns
        -------
        frame : pandas.DataFrame
            One row per singular value: ``stage`` (``"before"`` or ``"after"``),
            ``class``, ``component`` (counted from 1) and ``value``.
        """
        stages = [("before", self.before or ()), ("after", self.singular_values)]
        columns = ["stage", "class", "component", "value"]
        lines = [
            (stage, name, component, float(value))
            for stage, spectra in stages
            for name, values in zip(self._names(), spectra, strict=False)
            for component, value in enumerate(np.asarray(values), 1)
        ]
        return self._frame(lines, columns=columns)

    def _names(self) -> Any:
        """Return the names of the classes."""
        if self.labels is None:
            return np.arange(len(self.singular_values))
        return np.asarray(self.labels)

    def _mark_dimensions(self, ax: Any, colors: Any) -> Any:
        """Mark the dimension of each class on its line."""
        if self.dimensions is None:
            return None
        x = np.asarray(self.dimensions)
        spectra = zip(self.singular_values, x, strict=True)
        # the subspace of a class of zeros has dimension 0
        y = [values[r - 1] if r else 0.0 for values, r in spectra]
        style = {"s": 70, "facecolors": "none", "edgecolors": colors, "zorder": 3}
        return ax.scatter(x, y, label="dimension", **style)

    def _add_legend(self, ax: Any, names: Any, few: bool) -> None:
        """Explain the lines by a legend or, for many classes, by a colour bar."""
        from matplotlib.lines import Line2D

        handles, color = list(self.lines_) if few else [], _looks.text_color(ax)
        if not few:
            _looks.add_class_colorbar(ax, names)
        if self.before_lines_:
            handles.append(Line2D([], [], color=color, ls="--", label="before"))
            if not few:
                middle = _looks.class_colors(7)[3]
                handles.append(Line2D([], [], color=middle, label="after"))
        if self.marks_ is not None:
            style: dict[str, Any] = {"marker": "o", "ls": "", "ms": 8, "mfc": "none"}
            handles.append(Line2D([], [], color=color, label="dimension", **style))
        if handles:
            ax.legend(handles=handles, frameon=False)


def _line(ax: Any, values: Any, **style: Any) -> list[Any]:
    """Draw one spectrum as a function of the number of the component, from 1."""
    return ax.plot(np.arange(1, len(values) + 1), np.asarray(values), **style)


def _spectra(Z: Any, y: Any, name: str) -> tuple[list[Any], Any]:
    """Return relative singular values of each class, and the classes."""
    Z, classes, codes = check_labelled(Z, y, name)
    spectra = []
    for j in range(len(classes)):
        values = np.linalg.svdvals(Z[codes == j])
        length = np.linalg.norm(values)
        spectra.append(values / length if length > 0 else values)
    return spectra, classes
