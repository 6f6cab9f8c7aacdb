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


# Every number that a display takes: how to draw with it, and what may be too large.
NUMBERS = {
    "layer": (lambda m, n: FilterDisplay.from_estimator(m["net"], layer=n), 2),
    "channel": (lambda m, n: FilterDisplay.from_estimator(m["net"], channel=n), None),
    "n_columns": (
        lambda m, n: FilterDisplay.from_estimator(m["lifting"], n_columns=n),
        None,
    ),
    "n_groups": (
        lambda m, n: MergeTreeDisplay.from_estimator(m["clustering"], n_groups=n),
        17,
    ),
    "max_leaves": (
        lambda m, n: MergeTreeDisplay.from_estimator(m["clustering"], max_leaves=n),
        None,
    ),
    "n_components": (
        lambda m, n: PrincipalSamplesDisplay.from_predictions(X, Y, n_components=n),
        None,
    ),
    "n_samples": (
        lambda m, n: PrincipalSamplesDisplay.from_estimator(
            m["net"], X, Y, n_samples=n
        ),
        None,
    ),
    "max_samples": (
        lambda m, n: SimilarityDisplay.from_predictions(X, Y, max_samples=n),
        None,
    ),
}
INDICES = {"layer", "channel"}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_out_of_range_are_refused_by_name(name, models):
    draw, too_many = NUMBERS[name]
    bad = [True, 1.5, "2", 2.0]
    bad += [] if name in INDICES else [0, -1]
    bad += [] if too_many is None else [too_many]
    for value in bad:
        with pytest.raises(ValueError, match=f"Bad {name}: "):
            draw(models, value)


def test_one_group_and_one_leaf_are_drawn_as_the_last_merge(models):
    display = MergeTreeDisplay.from_estimator(
        models["clustering"], n_groups=1, max_leaves=1
    )
    assert len(display.links_) == 1
    display.figure_.canvas.draw()


@pytest.mark.parametrize("name", sorted(set(NUMBERS) - INDICES))
@pytest.mark.parametrize("value", [1, np.int64(16)])
def test_numbers_in_range_are_drawn(name, value, models):
    draw, _ = NUMBERS[name]
    assert draw(models, value).ax_.has_data()


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
        (
            display := EpsilonPathDisplay.from_estimator(
                m["clustering"], X, [0.02, 1.0], **style
            )
        ).line_,
        display.bits_line_,
    ],
}
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
    display = EpsilonPathDisplay.from_estimator(
        models["clustering"], X, [0.02, 1.0], c="green"
    )
    for axis in (display.ax_, display.bits_ax_):
        assert axis.yaxis.label.get_color() == "green"


def test_a_network_without_layers_has_its_rates_in_the_middle():
    display = RateReductionDisplay(R=[2.0], Rc=[1.5], delta_R=[0.5]).plot()
    assert display.ax_.get_xlim() == (-0.5, 0.5)
