"""Properties of all displays."""

import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from displays import Layered, Stranger, many
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import MICLClassifier, ReduNetTransformer
from skredu.image import CompressionSegmenter
from skredu.plotting import (
    BitsDisplay,
    EpsilonPathDisplay,
    FilterDisplay,
    LabelQualityDisplay,
    MergeTreeDisplay,
    PrincipalSamplesDisplay,
    RateReductionDisplay,
    SegmentationPathDisplay,
    SimilarityDisplay,
    SparseRateReductionDisplay,
    SubspaceSpectrumDisplay,
)

# -- all of them ----------------------------------------------------------------------

FROM_ESTIMATOR = {
    BitsDisplay: ("micl", "X"),
    EpsilonPathDisplay: ("clustering", "X"),
    FilterDisplay: ("net",),
    LabelQualityDisplay: ("micl", "X", "y"),
    MergeTreeDisplay: ("clustering",),
    PrincipalSamplesDisplay: ("net", "X", "y"),
    RateReductionDisplay: ("net",),
    SegmentationPathDisplay: ("segmenter", "image"),
    SimilarityDisplay: ("net", "X", "y"),
    SparseRateReductionDisplay: ("transformer", "X"),
    SubspaceSpectrumDisplay: ("net", "X", "y"),
}


@pytest.fixture(scope="module")
def arguments(net, wine, lines):
    X, y = wine
    values = {"net": net, "X": X, "y": y, "clustering": lines[2]}
    values["image"] = np.kron(np.eye(2), np.ones((10, 12)))
    squares = np.arange(16).reshape(4, 4).repeat(5, axis=0).repeat(6, axis=1)
    segmenter = CompressionSegmenter(superpixels=squares)
    values["segmenter"] = segmenter.fit(values["image"])
    values["transformer"] = Layered().fit(X)
    values["micl"] = make_pipeline(StandardScaler(), MICLClassifier()).fit(X, y)
    found = {
        display: [values[name] for name in names]
        for display, names in FROM_ESTIMATOR.items()
    }
    found[EpsilonPathDisplay] = [lines[2], lines[0], [0.02, 1.0]]
    return found


@pytest.fixture(params=list(FROM_ESTIMATOR))
def display(request):
    return request.param


def test_display_draws_on_given_axes_and_again_on_new_ones(display, arguments):
    figure, (left, right) = plt.subplots(1, 2)
    drawn = display.from_estimator(*arguments[display], ax=right)
    assert drawn.ax_ is right
    assert drawn.figure_ is figure
    assert not left.has_data()
    assert drawn.plot() is drawn
    assert drawn.figure_ is not figure
    assert drawn.ax_ in drawn.figure_.axes
    drawn.figure_.canvas.draw()  # the layout finds room for everything


def test_display_refuses_what_is_not_fitted_or_has_nothing_to_show(display, arguments):
    rest = arguments[display][1:]
    with pytest.raises(ValueError, match=f"{display.__name__}.*Stranger has no "):
        display.from_estimator(Stranger().fit(None), *rest)
    if display is not EpsilonPathDisplay:  # it fits anew
        with pytest.raises(NotFittedError):
            display.from_estimator(ReduNetTransformer(), *rest)


def test_display_says_how_to_install_what_is_missing(display, arguments, monkeypatch):
    drawn = display.from_estimator(*arguments[display])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=f"{display.__name__}.frame .* pip install"):
        drawn.frame()
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'plot needs .* install "skredu\[plot\]"'):
        drawn.plot()
    with pytest.raises(ImportError, match=f"{display.__name__}.from_estimator needs"):
        display.from_estimator(*arguments[display])


def test_search_and_pipeline_stand_for_their_last_step(net, wine):
    X, y = wine
    scoring = {"scoring": lambda model, X, y: 1.0, "cv": 2}
    model = make_pipeline(make_pipeline(StandardScaler(), PCA(3)))
    search = GridSearchCV(model, {"pipeline__pca__whiten": [True]}, **scoring)
    search.fit(X, y)
    drawn = SimilarityDisplay.from_estimator(search, X, y)
    Z = search.transform(X)
    assert_allclose(
        drawn.similarity, SimilarityDisplay.from_predictions(Z, y).similarity
    )


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_neutral_colours_are_those_of_the_paper(style, lines, wine):
    with plt.style.context(style):
        ink = mpl.rcParams["text.color"]
        tree = MergeTreeDisplay.from_estimator(lines[2])
        path = EpsilonPathDisplay.from_estimator(lines[2], lines[0], [0.02])
        spectrum = SubspaceSpectrumDisplay.from_predictions(*many(9), before=many(9)[0])
    assert tree.cut_line_.get_color() == path.chosen_line_.get_color() == ink
    assert {line.get_color() for line in spectrum.before_lines_} == {ink}
