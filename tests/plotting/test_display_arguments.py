"""Displays reject numbers out of range, and given styles replace their own."""

import numpy as np
import pytest
from matplotlib.colors import Normalize, to_rgba

from skredu import CompressionClustering, ConvolutionalLifting, ReduNetTransformer
from skredu.datasets import make_subspaces
from skredu.plotting import (
    EpsilonPathDisplay,
    FilterDisplay,
    LabelQualityDisplay,
    MergeTreeDisplay,
    PrincipalSamplesDisplay,
    RateReductionDisplay,
    SimilarityDisplay,
    SubspaceSpectrumDisplay,
)

X, Y = make_subspaces(8, dimensions=(1, 1), noise=0.01, random_state=0)


@pytest.fixture(scope="module")
def models():
    return {
        "net": ReduNetTransformer(2, 0.5).fit(X, Y),
        "clustering": CompressionClustering(0.02, assume_centered=True).fit(X),
        "lifting": ConvolutionalLifting(3, 2, signal_shape=(1, 3)).fit(X),
    }


# Every number that a display takes: the display, the model, and what is too large.
NUMBERS = {
    "layer": (FilterDisplay, "net", 2),
    "channel": (FilterDisplay, "net", None),
    "n_columns": (FilterDisplay, "lifting", None),
    "n_groups": (MergeTreeDisplay, "clustering", 17),
    "max_leaves": (MergeTreeDisplay, "clustering", None),
    "n_components": (PrincipalSamplesDisplay, "net", None),
    "n_samples": (PrincipalSamplesDisplay, "net", None),
    "max_samples": (SimilarityDisplay, "net", None),
}
INDICES = {"layer", "channel"}


def draw(name, value, models):
    display, model, _ = NUMBERS[name]
    rows = (X, Y) if display in (PrincipalSamplesDisplay, SimilarityDisplay) else ()
    return display.from_estimator(models[model], *rows, **{name: value})


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_out_of_range_are_refused_by_name(name, models):
    too_many = NUMBERS[name][2]
    bad = [True, 1.5, "2", 2.0, *([] if too_many is None else [too_many])]
    for value in bad if name in INDICES else [*bad, 0, -1]:
        with pytest.raises(ValueError, match=f"Bad {name}: "):
            draw(name, value, models)


def test_one_group_and_one_leaf_are_drawn_as_the_last_merge(models):
    options = {"n_groups": 1, "max_leaves": 1}
    display = MergeTreeDisplay.from_estimator(models["clustering"], **options)
    assert len(display.links_) == 1
    display.figure_.canvas.draw()


@pytest.mark.parametrize("name", sorted(set(NUMBERS) - INDICES))
@pytest.mark.parametrize("value", [1, np.int64(16)])
def test_numbers_in_range_are_drawn(name, value, models):
    assert draw(name, value, models).ax_.has_data()


def path(models, **style):
    options = models["clustering"], X, [0.02, 1.0]
    return EpsilonPathDisplay.from_estimator(*options, **style)


LINES = {
    "rates": lambda m, **style: [
        *RateReductionDisplay.from_estimator(m["net"], **style).lines_.values()
    ],
    "spectra": lambda m, **style: (
        SubspaceSpectrumDisplay.from_predictions(X, Y, **style).lines_
    ),
    "qualities": lambda m, **style: (
        LabelQualityDisplay.from_predictions(np.linspace(0, 1, 16), Y, **style).lines_
    ),
    "tree": lambda m, **style: (
        MergeTreeDisplay.from_estimator(m["clustering"], **style).links_
    ),
    "path": lambda m, **style: [
        line for key, line in vars(path(m, **style)).items() if key in PATH_LINES
    ],
}
PATH_LINES = "line_", "bits_line_"
ALIASES = [
    {"c": "red", "lw": 3, "ls": ":", "ms": 7},
    {"color": "red", "linewidth": 3, "linestyle": ":", "markersize": 7},
]


@pytest.mark.parametrize("style", ALIASES, ids=["short", "long"])
@pytest.mark.parametrize("name", LINES)
def test_style_of_lines_replaces_ours_under_every_alias(name, style, models):
    for line in LINES[name](models, **style):
        assert to_rgba(line.get_color()) == to_rgba("red")
        assert line.get_linewidth() == 3
        assert line.get_linestyle() == ":"
        assert line.get_markersize() == 7


@pytest.mark.parametrize("name", LINES)
def test_a_property_that_is_given_twice_is_refused(name, models):
    with pytest.raises(TypeError, match="aliases"):
        LINES[name](models, color="red", c="blue")


@pytest.mark.parametrize(
    "draw",
    [
        lambda m, **style: FilterDisplay.from_estimator(m["lifting"], **style),
        lambda m, **style: SimilarityDisplay.from_predictions(X, Y, **style),
        lambda m, **style: PrincipalSamplesDisplay.from_predictions(X, Y, **style),
        lambda m, **style: PrincipalSamplesDisplay.from_predictions(
            X, Y, image_shape=(1, 3), **style
        ),
    ],
)
def test_style_of_images_replaces_ours(draw, models):
    norm = Normalize(-3, 3)
    image = draw(models, norm=norm, interpolation="bilinear", cmap="gray").im_
    assert image.norm is norm
    assert image.get_interpolation() == "bilinear"
    assert draw(models, vmin=-5).im_.get_clim()[0] == -5


def test_labels_of_the_axes_have_the_colour_of_the_lines(models):
    display = path(models, c="green")
    for axis in (display.ax_, display.bits_ax_):
        assert axis.yaxis.label.get_color() == "green"


def test_a_network_without_layers_has_its_rates_in_the_middle():
    display = RateReductionDisplay(R=[2.0], Rc=[1.5], delta_R=[0.5]).plot()
    assert display.ax_.get_xlim() == (-0.5, 0.5)
