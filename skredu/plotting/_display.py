"""Base classes of the displays, and the parts that their docstrings share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from textwrap import indent
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from skredu._checks import naming, rows_and_weights
from skredu._compat import to_numpy
from skredu._lazy import data_frame
from skredu.coding._linalg import widen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:  # matplotlib is imported on use
    Axes = Any

__all__ = ["Axes", "Display", "FeatureDisplay", "check_labelled", "names_of"]

# In the docstrings of displays, a line {name} is replaced by the text of that name.
TEXTS = {
    "axes": """\
ax_ : matplotlib Axes
    The axes of the plot.
figure_ : matplotlib Figure
    The figure with the axes.""",
    "transformer": """\
estimator : estimator instance
    Fitted transformer or nearest subspace classifier, or a pipeline that ends with
    one. For a nearest subspace classifier, the class means are subtracted.""",
    "numbers": """\
n_components : int, default=8
    Number of components per class.
n_samples : int, default=1
    Number of samples per component.""",
    "max_samples": """\
max_samples : int, default=1000
    Largest number of samples. If there are more, evenly spaced ones are shown, and
    at least one per class.""",
    "X": """\
X : array-like of shape (n_samples, n_features)
    The data.""",
    "Z": """\
Z : array-like of shape (n_samples, n_features)
    The data, or features as ``transform`` returns them.""",
    "y": """\
y : array-like of shape (n_samples,)
    Class labels.""",
    "groups": """\
y : array-like of shape (n_samples,)
    Class labels, or the labels of clusters.""",
    "display_labels": """\
display_labels : array-like of shape (n_classes,), default=None
    Names of the classes, in sorted order. None shows the class labels.""",
    "image_shape": """\
image_shape : tuple, default=None
    (height, width) or (height, width, 3) of images whose pixels are the features.
    None draws samples as the lines of a heat map.""",
    "name": """\
name : str, default=None
    Name of the data in the legend.""",
    "bits": """\
bits : {"description_length", "coding_length"}, default="description_length"
    Which bits to draw.""",
    "ax": """\
ax : matplotlib Axes, default=None
    Axes to draw on. None makes a new figure.""",
    "lines": """\
**kwargs : dict
    Properties of the lines, passed to matplotlib.""",
    "image": """\
**kwargs : dict
    Properties of the image, such as ``cmap``, passed to matplotlib.""",
    "options": """\
**kwargs : dict
    Keyword arguments passed to `plot`.""",
    "to_predictions": """\
**kwargs : dict
    Keyword arguments passed to `from_predictions`.""",
    "returns": """\
Returns
-------
display : Display
    The display, which has been drawn.""",
    "chan_2022": """\
Chan, Yu, You, Qi, Wright and Ma, "ReduNet: a white-box deep network from the
principle of maximizing rate reduction", JMLR 23, 2022, contains such figures.""",
    "yu_2020": """\
Yu, Chan, You, Song and Ma, "Learning diverse and discriminative representations
via the principle of maximal coding rate reduction", NeurIPS 2020, contains such
figures.""",
}
TEXTS["returns_or_raises"] = f"""\
{TEXTS["returns"]}

Raises
------
ValueError
    If an argument has a wrong shape or is out of range, or if the estimator is
    not fitted or has nothing to display."""
for _name in ("lines", "image", "options"):
    _last = f"{TEXTS['ax']}\n{TEXTS[_name]}\n\n"
    TEXTS[f"with_{_name}"] = _last + TEXTS["returns_or_raises"]
    TEXTS[f"draw_{_name}"] = f"""\
Parameters
----------
{_last}{TEXTS["returns"]}"""


class Display:
    """Base class of all displays.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the plot.
    figure_ : matplotlib Figure
        The figure with the axes.
    """

    ax_: Any
    figure_: Any

    def __init_subclass__(cls) -> None:
        """Write the shared texts into the docstrings of a display."""
        for member in (cls, *vars(cls).values()):
            owner = getattr(member, "__func__", member)  # for class methods
            doc = getattr(owner, "__doc__", None)
            if doc and (owner is cls or callable(owner)):  # not with python -OO
                owner.__doc__ = re.sub(
                    r"^( *)\{(\w+)\}$",
                    lambda line: indent(TEXTS[line[2]], line[1]),
                    doc,
                    flags=re.MULTILINE,
                )

    @classmethod
    def _require_matplotlib(cls, method: str) -> Any:
        """Return matplotlib.pyplot, or explain how to install it."""
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                f"{cls.__name__}.{method} needs matplotlib. Install it with: "
                'pip install "skredu[plot]"'
            ) from error
        return plt

    def _axes(self, ax: Any, figsize: tuple[float, float] | None = None) -> Any:
        """Return the axes to draw on: those given, or those of a new figure."""
        plt = self._require_matplotlib("plot")
        if ax is None:
            ax = plt.subplots(figsize=figsize, layout="compressed")[1]
        self.ax_, self.figure_ = ax, ax.figure
        return ax

    def _frame(self, *args: Any, **options: Any) -> Any:
        """Return a pandas.DataFrame, or explain how to install pandas."""
        return data_frame(f"{type(self).__name__}.frame", *args, **options)

    @classmethod
    def _last_step(
        cls, estimator: Any, X: Any = None, *, fitted: bool = True
    ) -> tuple[Any, Any]:
        """Return the last step of a pipeline or of a search, and the data it gets."""
        cls._require_matplotlib("from_estimator")
        estimator = getattr(estimator, "best_estimator_", estimator)
        if isinstance(estimator, Pipeline):
            if len(estimator) > 1 and X is not None:
                X = estimator[:-1].transform(X)
            return cls._last_step(estimator[-1], X, fitted=fitted)
        if fitted:
            check_is_fitted(estimator)
        return estimator, X

    @classmethod
    def _require(cls, estimator: Any, names: Sequence[str], what: str) -> None:
        """Raise an error if the estimator lacks an attribute that a display shows."""
        missing = [name for name in names if not hasattr(estimator, name)]
        if missing:
            raise ValueError(
                f"{cls.__name__}.from_estimator shows {what}; "
                f"{type(estimator).__name__} has no attribute {missing[0]}."
            )


class FeatureDisplay(Display):
    """Base class of displays of features."""

    from_predictions: ClassVar[Callable[..., Any]]

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, **kwargs: Any) -> Self:
        """Draw the features that an estimator computes.

        Parameters
        ----------
        {transformer}
        {X}
        {y}
        {to_predictions}

        {returns_or_raises}
        """
        model, entered = cls._last_step(estimator, X)
        Z, known = cls._features(model, entered, y), cls._known(model, X, entered, y)
        return cls.from_predictions(Z, y, **known, **kwargs)

    @classmethod
    def _known(cls, model: Any, X: Any, entered: Any, y: Any) -> dict[str, Any]:
        """Return arguments of `from_predictions` that follow from an estimator."""
        return {}

    @classmethod
    def _features(cls, estimator: Any, X: Any, y: Any) -> Any:
        """Return features; for a nearest subspace classifier, data minus the means."""
        if hasattr(estimator, "transform"):
            return estimator.transform(X)
        cls._require(estimator, ["means_", "components_"], "features or subspaces")
        X, classes, codes = check_labelled(X, y, "X")
        unknown = np.setdiff1d(classes, estimator.classes_)
        if len(unknown):
            raise ValueError(
                f"Bad y: class {unknown[0]} was not seen when the estimator was fitted."
            )
        means = to_numpy(estimator.means_)
        return X - means[np.searchsorted(estimator.classes_, classes)[codes]]


def check_labelled(Z: Any, y: Any, name: str = "Z") -> tuple[Any, Any, Any]:
    """Return data (n, d), sorted classes, and the index of the class of each sample."""
    Z, _ = rows_and_weights(Z, None, name)
    with naming("y"):
        labels = column_or_1d(to_numpy(y) if hasattr(y, "device") else np.asarray(y))
        check_consistent_length(Z, labels)
        assert_all_finite(labels, input_name="y")
        classes, codes = np.unique(labels, return_inverse=True)
    return to_numpy(widen(Z)), classes, codes


def names_of(classes: Any, display_labels: Any) -> Any:
    """Return the names of the classes that a display shows."""
    if display_labels is None:
        return np.asarray(classes)
    names = np.asarray(display_labels)
    if names.shape != np.shape(classes):
        raise ValueError(
            f"Bad display_labels: must be {len(classes)} names, one per class, "
            f"found an array of shape {names.shape}."
        )
    return names
