"""What the displays share: optional packages, axes, colours, names, and rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from skredu._checks import naming, rows_and_weights
from skredu._compat import to_numpy
from skredu.coding._linalg import widen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, told apart by colour-blind people and on both light and dark
# paper; without yellow and black, which vanish on one of them.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Scale of more classes than that, and of values from small to large; its ends would be
# hard to see as lines, on dark and on light paper.
SCALE, SCALE_ENDS = "viridis", (0.2, 0.92)
# Scale of values of both signs.
SIGNED_SCALE = "RdBu_r"
# Characters of a name on an axis, and in a legend.
LONGEST_NAME, LONGEST_IN_LEGEND = 18, 32


class Display:
    """Axes and figure of a display.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure with the axes.
    """

    ax_: Any
    figure_: Any

    def _open(self, ax: Axes | None, figsize: tuple[float, float] | None = None) -> Any:
        """Axes to draw on: those given, or those of a new figure."""
        plt = pyplot(type(self), "plot")
        if ax is None:
            ax = plt.subplots(figsize=figsize, layout="compressed")[1]
        self.ax_, self.figure_ = ax, ax.figure
        return ax


def pyplot(display: type, method: str) -> Any:
    """Return matplotlib.pyplot, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{display.__name__}.{method} needs matplotlib. Install it with: "
            'pip install "skredu[plot]"'
        ) from error
    return plt


def data_frame(display: Display, *args: Any, **options: Any) -> Any:
    """Return a pandas.DataFrame, or say how to install pandas."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__}.frame needs pandas. Install it with: "
            "pip install pandas"
        ) from error
    return pd.DataFrame(*args, **options)


# -- arguments ------------------------------------------------------------------------


def styled(defaults: dict[str, Any], given: dict[str, Any]) -> Any:
    """Properties of lines or images: those given replace ours under any alias."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    given = normalize_kwargs(given, Line2D)
    if given.get("norm") is not None:  # it has limits of its own
        defaults = {k: v for k, v in defaults.items() if k not in ("vmin", "vmax")}
    return {**defaults, **given}


# -- looks ----------------------------------------------------------------------------


def ink(ax: Any) -> Any:
    """Colour of the text on axes: black on light, white on dark paper."""
    return ax.xaxis.label.get_color()


def colors_of(n: int) -> list[Any]:
    """One colour for each of ``n`` classes in their order."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    import matplotlib as mpl

    return list(mpl.colormaps[SCALE](np.linspace(*SCALE_ENDS, n)))


def short(name: Any, longest: int = LONGEST_NAME) -> str:
    """Name that is not too long for an axis."""
    name = str(name)
    return name if len(name) <= longest else name[: longest - 1] + "…"


def label_axis(
    axis: Any,
    positions: Any,
    names: Any,
    *,
    fold: bool = False,
    longest: int = LONGEST_NAME,
) -> None:
    """Put names at positions of an axis, as many as there is room for.

    Names that are too long for a horizontal axis stand upright, or, with ``fold``,
    where the other axis has the same ones, are left out.
    """
    across = axis.axis_name == "x"
    axis.axes.apply_aspect()
    box = axis.axes.get_window_extent()
    em = _font_size(across)
    length = (box.width if across else box.height) / axis.axes.figure.dpi * 72 / em
    shown = np.arange(0, len(names), -(-len(names) // max(2, int(length / 1.25))))
    texts = [short(names[i], longest) for i in shown]
    # a character is about 0.65 em wide
    crowded = across and 0.65 * sum(len(text) + 2 for text in texts) > length
    if crowded and fold:
        shown, texts = shown[:0], []
    axis.set_ticks([positions[i] for i in shown], texts)
    axis.set_tick_params(length=0, rotation=90 if crowded else 0)


def _font_size(across: bool) -> float:
    """Size of the labels at the ticks of an axis, in points."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    size = rcParams["xtick.labelsize" if across else "ytick.labelsize"]
    return float(FontProperties(size=size).get_size_in_points())


def add_scale(ax: Any, names: Any) -> Any:
    """Colour bar that says which colour is which of many classes."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    n = len(names)
    norm = BoundaryNorm(np.arange(n + 1) - 0.5, n)
    scale = ScalarMappable(norm, ListedColormap(colors_of(n)))
    bar = ax.figure.colorbar(scale, ax=ax, drawedges=False)
    bar.ax.minorticks_off()
    bar.ax.invert_yaxis()
    label_axis(bar.ax.yaxis, np.arange(n), names)
    return bar


def whole_numbers(axis: Any) -> None:
    """Put ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def bare(ax: Any) -> None:
    """Remove the frame of axes that hold pictures."""
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


# -- rows and estimators --------------------------------------------------------------


def labelled(Z: Any, y: Any, name: str = "Z") -> tuple[Any, Any, Any]:
    """Rows of shape (n, d), classes in sorted order, and class index of each row."""
    Z, _ = rows_and_weights(Z, None, name)
    with naming("y"):
        labels = column_or_1d(to_numpy(y) if hasattr(y, "device") else np.asarray(y))
        check_consistent_length(Z, labels)
        assert_all_finite(labels, input_name="y")
        classes, codes = np.unique(labels, return_inverse=True)
    return to_numpy(widen(Z)), classes, codes


def names_of(classes: Any, display_labels: Any) -> Any:
    """Names to show for the classes."""
    if display_labels is None:
        return np.asarray(classes)
    names = np.asarray(display_labels)
    if names.shape != np.shape(classes):
        raise ValueError(
            f"Bad display_labels: must be {len(classes)} names, one for each class, "
            f"found an array of shape {names.shape}."
        )
    return names


def last_step(estimator: Any, X: Any = None, *, fitted: bool = True) -> tuple[Any, Any]:
    """Last step of a pipeline or the best model of a search, and the rows it gets."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, Pipeline):
        if len(estimator) > 1 and X is not None:
            X = estimator[:-1].transform(X)
        return last_step(estimator[-1], X, fitted=fitted)
    if fitted:
        check_is_fitted(estimator)
    return estimator, X


def require(estimator: Any, names: Sequence[str], display: type, what: str) -> None:
    """Refuse an estimator without what a display shows."""
    missing = [name for name in names if not hasattr(estimator, name)]
    if missing:
        raise ValueError(
            f"{display.__name__}.from_estimator shows {what}; "
            f"{type(estimator).__name__} has no {missing[0]}."
        )


def features_of(estimator: Any, X: Any, y: Any, display: type) -> Any:
    """Features of rows; of a nearest subspace classifier, relative to the means."""
    if hasattr(estimator, "transform"):
        return estimator.transform(X)
    require(estimator, ["means_", "components_"], display, "features or subspaces")
    rows, classes, codes = labelled(X, y, "X")
    unknown = np.setdiff1d(classes, estimator.classes_)
    if len(unknown):
        raise ValueError(
            f"Bad y: class {unknown[0]} was not there when the estimator was fitted."
        )
    means = to_numpy(estimator.means_)
    return rows - means[np.searchsorted(estimator.classes_, classes)[codes]]
