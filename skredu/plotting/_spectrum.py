"""SubspaceSpectrumDisplay: how many directions each class takes up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skredu.plotting._support import (
    LONGEST_IN_LEGEND,
    PALETTE,
    Display,
    add_scale,
    colors_of,
    data_frame,
    features_of,
    ink,
    labelled,
    last_step,
    names_of,
    pyplot,
    short,
    styled,
    whole_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = ("o", "s", "^", "D", "v", "P")


class SubspaceSpectrumDisplay(Display):
    r"""Singular values of each class, before and after.

    The singular values :math:`\sigma_i` of the rows of a class, relative to
    :math:`(\sum_i \sigma_i^2)^{1/2}`: their squares are shares of the sum of squares.
    A class on a subspace of dimension r has r of them above the noise.

    Parameters
    ----------
    singular_values : sequence of n_classes arrays
        Relative singular values of each class, falling.
    before : sequence of n_classes arrays, default=None
        The same of the rows before they were transformed.
    labels : array-like of shape (n_classes,), default=None
        Class, or its name; None: 0, 1, ...
    dimensions : array-like of shape (n_classes,), default=None
        Dimension of the subspace of each class, marked on its line.

    Attributes
    ----------
    lines_ : list of n_classes matplotlib Line2D
        The line of each class.
    before_lines_ : list of matplotlib Line2D
        The lines before, empty if there are none.
    marks_ : matplotlib PathCollection or None
        The marks of the dimensions.
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    skredu.NearestSubspaceClassifier : Cuts the spectra at a share of the sum of
        squares, or at a dimension.

    References
    ----------
    Yu, Chan, You, Song and Ma, "Learning diverse and discriminative representations
    via the principle of maximal coding rate reduction", NeurIPS 2020, for figures of
    this kind.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skredu import ReduNetTransformer
    >>> from skredu.plotting import SubspaceSpectrumDisplay
    >>> wine = load_wine()
    >>> net = make_pipeline(StandardScaler(), ReduNetTransformer(5))
    >>> net = net.fit(wine.data, wine.target)
    >>> display = SubspaceSpectrumDisplay.from_estimator(
    ...     net, wine.data, wine.target, display_labels=wine.target_names
    ... )
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
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        display_labels: Any = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> SubspaceSpectrumDisplay:
        """Draw the spectra of the features of rows.

        A network is shown beside the rows on the sphere that enter its first layer,
        another transformer beside the rows it gets. Of a
        `skredu.NearestSubspaceClassifier` the rows are shown relative to the means, and
        the dimensions of its subspaces are marked.

        Parameters
        ----------
        estimator : estimator instance
            Fitted transformer or nearest subspace classifier, or a pipeline that ends
            with one.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Class labels.
        display_labels : array-like of shape (n_classes,), default=None
            Names to show for the classes, which are in sorted order.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        **kwargs : dict
            Properties of the lines.

        Returns
        -------
        display : SubspaceSpectrumDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator has no features, is not fitted, or the rows do not fit it.
        """
        pyplot(cls, "from_estimator")
        model, X = last_step(estimator, X)
        Z, before, dimensions = features_of(model, X, y, cls), None, None
        if hasattr(model, "staged_transform"):
            before = next(model.staged_transform(X))
        elif hasattr(model, "transform"):
            before = X
        else:
            kept = np.isin(model.classes_, np.asarray(y))
            sizes = np.array([len(basis) for basis in model.components_])
            dimensions = sizes[kept]
        return cls.from_predictions(
            Z,
            y,
            before=before,
            dimensions=dimensions,
            display_labels=display_labels,
            ax=ax,
            **kwargs,
        )

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
        """Draw the spectra of rows or features.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features)
            Rows, or features as ``transform`` returns them.
        y : array-like of shape (n_samples,)
            Classes, as labels or as a clustering predicts them.
        before : array-like of shape (n_samples, n_features), default=None
            The rows that became the features.
        dimensions : array-like of shape (n_classes,), default=None
            Dimension of the subspace of each class, marked on its line.
        display_labels : array-like of shape (n_classes,), default=None
            Names to show for the classes, which are in sorted order.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        **kwargs : dict
            Properties of the lines.

        Returns
        -------
        display : SubspaceSpectrumDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the features, labels or names cannot be used.
        """
        pyplot(cls, "from_predictions")
        values, classes = _spectra(Z, y, "Z")
        display = cls(
            values,
            before=None if before is None else _spectra(before, y, "before")[0],
            labels=names_of(classes, display_labels),
            dimensions=dimensions,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> SubspaceSpectrumDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        **kwargs : dict
            Properties of the lines.

        Returns
        -------
        display : SubspaceSpectrumDisplay
            The display itself.
        """
        ax = self._open(ax)
        names = self._names()
        few = len(names) <= len(PALETTE)
        colors = colors_of(len(names))
        self.before_lines_ = [
            _line(
                ax,
                values,
                color=color if few else ink(ax),
                linestyle="--",
                alpha=0.6 if few else 0.4,
            )
            for values, color in zip(self.before or (), colors, strict=False)
        ]
        self.lines_ = []
        for j, (values, color) in enumerate(
            zip(self.singular_values, colors, strict=True)
        ):
            mark = {"marker": MARKS[j], "markersize": 4} if few else {"linewidth": 1.0}
            label = short(names[j], LONGEST_IN_LEGEND)
            ours = {"color": color, "linestyle": "-", "label": label, **mark}
            self.lines_.append(_line(ax, values, **styled(ours, kwargs)))
        self.marks_ = self._mark(ax, colors)
        self._explain(ax, names, few)
        ax.set(xlabel="component", ylabel="relative singular value", ylim=(0, None))
        whole_numbers(ax.xaxis)
        return self

    def frame(self) -> Any:
        """Return the numbers.

        Returns
        -------
        frame : pandas.DataFrame
            One line for each singular value: ``stage`` (``"before"`` or ``"after"``),
            ``class``, ``component`` (from 1) and ``value``.
        """
        stages = [("before", self.before or ()), ("after", self.singular_values)]
        columns = ["stage", "class", "component", "value"]
        lines = [
            (stage, name, component, float(value))
            for stage, spectra in stages
            for name, values in zip(self._names(), spectra, strict=False)
            for component, value in enumerate(np.asarray(values), 1)
        ]
        return data_frame(self, lines, columns=columns)

    def _names(self) -> Any:
        if self.labels is None:
            return np.arange(len(self.singular_values))
        return np.asarray(self.labels)

    def _mark(self, ax: Any, colors: Any) -> Any:
        """Mark the dimension of each class on its line."""
        if self.dimensions is None:
            return None
        x = np.asarray(self.dimensions)
        spectra = zip(self.singular_values, x, strict=True)
        # a class of zeros has no direction
        y = [values[r - 1] if r else 0.0 for values, r in spectra]
        style = {"s": 70, "facecolors": "none", "edgecolors": colors, "zorder": 3}
        return ax.scatter(x, y, label="dimension", **style)

    def _explain(self, ax: Any, names: Any, few: bool) -> None:
        """Say which line is which."""
        from matplotlib.lines import Line2D

        handles = list(self.lines_) if few else []
        if not few:
            add_scale(ax, names)
        if self.before_lines_:
            color = ink(ax)
            handles.append(Line2D([], [], color=color, ls="--", label="before"))
            if not few:
                handles.append(Line2D([], [], color=colors_of(7)[3], label="after"))
        if self.marks_ is not None:
            style: dict[str, Any] = {"marker": "o", "ls": "", "ms": 8, "mfc": "none"}
            mark = Line2D([], [], color=ink(ax), label="dimension", **style)
            handles.append(mark)
        if handles:
            ax.legend(handles=handles, frameon=False)


def _line(ax: Any, values: Any, **style: Any) -> Any:
    """One spectrum over the number of the component, from 1."""
    return ax.plot(np.arange(1, len(values) + 1), np.asarray(values), **style)[0]


def _spectra(Z: Any, y: Any, name: str) -> tuple[list[Any], Any]:
    """Relative singular values of each class, and the classes."""
    Z, classes, codes = labelled(Z, y, name)
    spectra = []
    for j in range(len(classes)):
        values = np.linalg.svdvals(Z[codes == j])
        length = np.linalg.norm(values)
        spectra.append(values / length if length > 0 else values)
    return spectra, classes
