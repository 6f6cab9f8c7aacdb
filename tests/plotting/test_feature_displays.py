"""Displays of features: their data and labels, not pixels."""

import numpy as np
import pytest
from displays import LONG, Stranger, legend, many, texts
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skredu import NearestSubspaceClassifier
from skredu.metrics import class_similarity
from skredu.plotting import (
    RateReductionDisplay,
    SimilarityDisplay,
    SubspaceSpectrumDisplay,
)
from skredu.rates import class_coding_rate, coding_rate, rate_reduction

# -- rates ----------------------------------------------------------------------------


def test_rates_are_those_of_the_network(net):
    drawn = RateReductionDisplay.from_estimator(net, name="training", linestyle=":")
    for key, line in drawn.lines_.items():
        assert_allclose(line.get_ydata(), net[-1].rates_[key])
        assert_allclose(line.get_xdata(), np.arange(4))
        assert line.get_linestyle() == ":"
    expected = ["$R$, training", "$R_c$, training", r"$\Delta R$, training"]
    assert legend(drawn) == expected
    assert legend(drawn.plot(name="again"))[0] == "$R$, again"
    assert_allclose(drawn.frame()["delta_R"], net[-1].rates_["delta_R"])
    assert drawn.frame().index.name == "layer"


def test_rates_of_other_rows_are_those_of_their_features(net, wine):
    X, y = wine[0][::3], wine[1][::3]
    frame = RateReductionDisplay.from_estimator(net, X, y).frame()
    stages = list(net[-1].staged_transform(net[0].transform(X)))
    assert len(frame) == len(stages) == 4
    for i, Z in enumerate(stages):
        expected = [f(Z, y, epsilon=0.5) for f in (class_coding_rate, rate_reduction)]
        assert_allclose(frame.loc[i, ["Rc", "delta_R"]], expected)
        assert frame.loc[i, "R"] == pytest.approx(coding_rate(Z, epsilon=0.5))
    with pytest.raises(ValueError, match="Stranger has no attribute staged_tr"):
        RateReductionDisplay.from_estimator(Stranger({"R": []}).fit(None), X, y)


def test_rates_of_many_layers_have_no_marks():
    for n, mark in ((41, ""), (40, "o")):
        rates = dict.fromkeys(["R", "Rc", "delta_R"], np.arange(n))
        drawn = RateReductionDisplay(**rates).plot()
        assert drawn.lines_["R"].get_marker() == mark
        assert legend(drawn) == ["$R$", "$R_c$", r"$\Delta R$"]


# -- similarity -----------------------------------------------------------------------


def test_similarity_is_sorted_by_class_and_means_of_blocks_are_class_similarity(
    net, wine
):
    X, y = wine[0][::-1], wine[1][::-1].to_numpy()
    drawn = SimilarityDisplay.from_estimator(net, X, y)
    S = drawn.im_.get_array()
    assert_allclose(np.diag(S), 1.0)
    labels = np.sort(y)
    means = [
        [S[np.ix_(labels == i, labels == j)].mean() for j in range(3)] for i in range(3)
    ]
    assert_allclose(means, class_similarity(net.transform(X), y), atol=1e-12)
    frame = drawn.frame()
    assert_array_equal(frame.index.get_level_values("class"), labels)
    rows = frame.columns.get_level_values("row").to_numpy()
    assert_array_equal(y[rows], labels)
    plain = SimilarityDisplay(S, labels=labels).plot().frame()
    assert_array_equal(plain.index.get_level_values("row"), np.arange(len(S)))


def test_names_stand_in_the_middle_of_their_blocks_and_only_once_if_long(wine):
    X, y = wine
    drawn = SimilarityDisplay.from_predictions(X, y)
    edges = np.cumsum([0, *np.bincount(y)]) - 0.5
    for axis in (drawn.ax_.xaxis, drawn.ax_.yaxis):
        assert_allclose(axis.get_ticklocs(), (edges[:-1] + edges[1:]) / 2)
        assert texts(axis.get_ticklabels()) == ["0", "1", "2"]
    assert [line.get_ydata()[0] for line in drawn.ax_.lines[::2]] == [*edges[1:-1]]
    drawn = SimilarityDisplay.from_predictions(X, y, display_labels=LONG)
    shown = texts(drawn.ax_.get_yticklabels())
    assert shown == ["Barolo from the L…", "Grignolino of Ast…", "Barbera"]
    assert texts(drawn.ax_.get_xticklabels()) == []
    assert set(drawn.labels) == set(LONG)


def test_many_classes_have_as_many_names_as_there_is_room_for():
    drawn = SimilarityDisplay.from_predictions(*many(100), colorbar=False)
    assert len(drawn.figure_.axes) == 1
    assert len(drawn.ax_.lines) == 0
    shown = texts(drawn.ax_.get_yticklabels())
    assert 10 < len(shown) < 40
    assert shown[0] == "class number 000"


def test_of_too_many_rows_an_even_choice_with_all_classes_is_shown():
    X = np.random.default_rng(0).standard_normal((1000, 3))
    y = np.zeros(1000, dtype=int)
    y[500] = 1
    y[501:] = 2
    drawn = SimilarityDisplay.from_predictions(X, y, max_samples=10)
    assert 10 <= len(drawn.labels) <= 13
    assert_array_equal(np.unique(drawn.labels), [0, 1, 2])
    assert max(np.diff(drawn.rows)) < 150
    assert np.shape(drawn.similarity) == (len(drawn.rows),) * 2


def test_features_may_be_arrays_of_any_namespace(xp, net, wine):
    X, y = wine
    Z = net.transform(X)
    expected = SimilarityDisplay.from_predictions(Z, y).similarity
    arrays = xp.asarray(Z), xp.asarray(y.to_numpy())
    assert_allclose(SimilarityDisplay.from_predictions(*arrays).similarity, expected)


def test_features_may_be_frames_and_have_to_fit_labels_and_names(net, wine):
    framed = clone(net).set_output(transform="pandas").fit(*wine)
    assert hasattr(framed.transform(wine[0]), "columns")
    drawn = SimilarityDisplay.from_estimator(framed, *wine)
    expected = SimilarityDisplay.from_estimator(net, *wine)
    assert_allclose(drawn.similarity, expected.similarity, atol=1e-10)
    spectrum = SubspaceSpectrumDisplay.from_estimator(framed, *wine)
    assert len(spectrum.before_lines_) == 3
    X, y = wine
    draw = SimilarityDisplay.from_predictions
    with pytest.raises(ValueError, match=r"Bad y: .*inconsistent"):
        draw(X, y[:-1])
    with pytest.raises(ValueError, match=r"Bad y: .*NaN"):
        draw(X, np.where(y == 0, np.nan, y))
    with pytest.raises(ValueError, match="Bad Z"):
        draw(X * np.nan, y)
    with pytest.raises(ValueError, match="Bad display_labels: must be 3 names"):
        draw(X, y, display_labels=["a", "b"])


# -- spectra --------------------------------------------------------------------------


def test_spectra_are_relative_singular_values_before_and_after(net, wine):
    X, y = wine
    drawn = SubspaceSpectrumDisplay.from_estimator(net, X, y, display_labels=LONG)
    stages = list(net[-1].staged_transform(net[0].transform(X)))
    for j in range(3):
        before, after = stages[0][y == j], stages[-1][y == j]
        for line, Z in ((drawn.before_lines_[j], before), (drawn.lines_[j], after)):
            sigma = np.linalg.svd(Z, compute_uv=False)
            expected = sigma / np.sqrt(np.sum(sigma**2))
            assert_allclose(line.get_ydata(), expected, atol=1e-12)
            assert_array_equal(line.get_xdata(), np.arange(1, 15))
    assert legend(drawn) == [*LONG, "before"]
    assert {line.get_linestyle() for line in drawn.before_lines_} == {"--"}
    frame = drawn.frame()
    assert frame.groupby(["stage", "class"]).size().tolist() == [14] * 6
    squares = frame.value**2
    assert_allclose(squares.groupby([frame.stage, frame["class"]]).sum(), 1.0)


def test_spectra_of_another_transformer_stand_beside_its_rows(wine):
    X, y = wine
    drawn = SubspaceSpectrumDisplay.from_estimator(PCA(2).fit(X), X, y)
    assert [len(line.get_ydata()) for line in drawn.before_lines_] == [13] * 3
    assert [len(line.get_ydata()) for line in drawn.lines_] == [2] * 3


@pytest.mark.parametrize("assume_centered", [True, False])
def test_dimensions_of_nearest_subspaces_are_marked_on_their_spectra(
    wine, assume_centered
):
    X, y = StandardScaler().fit_transform(wine[0]), wine[1].to_numpy()
    model = NearestSubspaceClassifier(0.8, assume_centered=assume_centered).fit(X, y)
    some = y > 0  # one class need not be shown
    drawn = SubspaceSpectrumDisplay.from_estimator(model, X[some], y[some])
    marks = drawn.marks_.get_offsets()
    assert_array_equal(marks[:, 0], [len(basis) for basis in model.components_[1:]])
    for (x, height), line in zip(marks, drawn.lines_, strict=True):
        squares = line.get_ydata() ** 2
        assert height == line.get_ydata()[int(x) - 1]
        assert squares[: int(x)].sum() >= 0.8 > squares[: int(x) - 1].sum()
    assert legend(drawn) == ["1", "2", "dimension"]
    with pytest.raises(ValueError, match="Bad y: class 7 was not seen"):
        SubspaceSpectrumDisplay.from_estimator(model, X, np.where(some, y, 7))


def test_many_classes_have_a_scale_instead_of_a_legend():
    X, y = many(10)
    drawn = SubspaceSpectrumDisplay.from_predictions(X, y)
    assert drawn.ax_.get_legend() is None
    assert drawn.before_lines_ == []
    (scale,) = [ax for ax in drawn.figure_.axes if ax is not drawn.ax_]
    assert texts(scale.get_yticklabels()) == list(np.unique(y))
    assert len({tuple(line.get_color()) for line in drawn.lines_}) == 10
    drawn = SubspaceSpectrumDisplay.from_predictions(X, y, before=X)
    assert legend(drawn) == ["before", "after"]


def test_a_class_of_zeros_has_no_direction():
    model = NearestSubspaceClassifier().fit([[1.0, 0.0], [0.0, 0.0]], [0, 1])
    drawn = SubspaceSpectrumDisplay.from_estimator(
        model, [[1.0, 0.0], [0.0, 0.0]], [0, 1]
    )
    assert_array_equal(drawn.marks_.get_offsets(), [[1, 1], [0, 0]])
    spectra = [np.array([0.8, 0.6]), np.array([1.0])]
    frame = SubspaceSpectrumDisplay(spectra).plot().frame()
    assert frame["class"].tolist() == [0, 0, 1]
