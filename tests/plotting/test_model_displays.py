"""Displays of models: their data and labels, not pixels."""

import numpy as np
import pytest
from displays import LONG, many, texts
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skredu import (
    CompressionClustering,
    ConvolutionalLifting,
    InvariantReduNetTransformer,
    MCR2Transformer,
    MICLClassifier,
    NearestSubspaceClassifier,
    ReduNetTransformer,
)
from skredu.image import CompressionSegmenter
from skredu.plotting import (
    EpsilonPathDisplay,
    FilterDisplay,
    LabelQualityDisplay,
    MergeTreeDisplay,
    PrincipalSamplesDisplay,
    RateReductionDisplay,
    SegmentationPathDisplay,
)

# -- the tree -------------------------------------------------------------------------


def test_links_are_merges_with_colours_of_their_groups(lines):
    model = lines[2]
    drawn = MergeTreeDisplay.from_estimator(model, max_leaves=40)
    heights = [line.get_ydata()[1] for line in drawn.links_]
    assert_allclose(np.sort(heights), model.linkage()[:, 2])
    colors = [line.get_color() for line in drawn.links_]
    assert drawn.n_groups == 2
    cut = drawn.cut_line_.get_ydata()[0]
    ink = drawn.ax_.xaxis.label.get_color()
    assert_array_equal(np.array(heights) > cut, [color == ink for color in colors])
    assert len(set(colors)) == 3
    assert np.sum(np.array(heights) > cut) == 1
    low, high = drawn.ax_.get_ylim()
    assert low == 0.0
    assert high > max(heights)
    assert model.merge_costs_[np.cumsum(model.merge_costs_).argmin() + 1] > 0


def test_leaves_have_names_or_the_number_of_their_rows(lines):
    model = lines[2]
    names = [f"row {i}" for i in range(40)]
    drawn = MergeTreeDisplay.from_estimator(
        model, display_labels=names, max_leaves=6, n_groups=3
    )
    shown = texts(drawn.ax_.get_xticklabels())
    assert len(shown) == 6
    assert len(drawn.links_) == 5
    sizes = [int(name[1:-1]) if name[0] == "(" else 1 for name in shown]
    assert sum(sizes) == 40
    assert all(name[0] == "(" or name in names for name in shown)
    assert drawn.ax_.get_ylim()[0] > 0.0


def test_tree_of_one_group_or_of_rows_alone_as_numbers_and_what_is_no_tree(lines):
    model = lines[2]
    whole = MergeTreeDisplay.from_estimator(model, n_groups=1)
    assert whole.cut_line_ is None
    assert len({line.get_color() for line in whole.links_}) == 1
    alone = MergeTreeDisplay.from_estimator(model, n_groups=40)
    ink = alone.ax_.xaxis.label.get_color()
    assert {line.get_color() for line in alone.links_} == {ink}
    assert 0.0 < alone.cut_line_.get_ydata()[0] < model.linkage()[0, 2]
    frame = MergeTreeDisplay.from_estimator(model).frame()
    assert_array_equal(frame[["left", "right"]], model.children_)
    assert_allclose(frame.cost, model.merge_costs_)
    assert frame["size"].iloc[-1] == 40
    plain = MergeTreeDisplay(model.linkage()).plot().frame()
    assert_allclose(plain.cost, np.abs(model.merge_costs_), rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match="Bad linkage"):
        MergeTreeDisplay(np.zeros((0, 4))).plot()
    with pytest.raises(ValueError, match="Bad display_labels: must be 40 names"):
        MergeTreeDisplay.from_estimator(model, display_labels=["a"])


# -- the path -------------------------------------------------------------------------


def test_path_is_that_of_the_clustering_in_order(lines):
    X, _, model = lines
    epsilons = [0.05, 0.005, 1.0]
    path = model.epsilon_path(X, epsilons)
    drawn = EpsilonPathDisplay.from_estimator(model, X, epsilons)
    assert_allclose(drawn.line_.get_xdata(), [0.005, 0.05, 1.0])
    assert_array_equal(drawn.line_.get_ydata(), path["n_clusters"][[1, 0, 2]])
    assert_allclose(drawn.bits_line_.get_ydata(), path["description_length"][[1, 0, 2]])
    assert drawn.chosen_line_.get_xdata()[0] == model.epsilon_
    frame = drawn.frame()
    assert_allclose(frame.coding_length, path["coding_length"])
    drawn.plot(bits="coding_length", linestyle=":")
    assert_allclose(drawn.bits_line_.get_ydata(), path["coding_length"][[1, 0, 2]])
    assert drawn.bits_line_.get_linestyle() == ":"
    assert drawn.ax_.get_yscale() == "linear"
    with pytest.raises(ValueError, match=r"Bad bits: must be one of .*'nats'"):
        drawn.plot(bits="nats")
    # numbers of groups of many sizes have a logarithmic axis
    path = {"epsilon": [0.1, 1.0], "n_clusters": [60, 1]}
    path |= {"coding_length": [9.0, 8.0], "description_length": [7.0, 8.0]}
    assert EpsilonPathDisplay(**path).plot().ax_.get_yscale() == "log"


@pytest.mark.parametrize("assume_centered", [True, False])
def test_path_without_distortions_takes_those_of_auto(lines, assume_centered):
    X = lines[0][:12] + 1.0
    model = CompressionClustering(assume_centered=assume_centered, refine=False)
    drawn = EpsilonPathDisplay.from_estimator(model, X)
    assert drawn.chosen is None
    assert drawn.chosen_line_ is None
    assert len(drawn.epsilon) == 11
    auto = model.fit(X).epsilon_
    assert np.min(np.abs(drawn.epsilon - auto)) < 1e-12
    tried = slice(None, None, -2)  # by default, from the largest
    best = np.min(drawn.description_length[tried])
    chosen = np.argmin(np.abs(drawn.epsilon - auto))
    assert drawn.description_length[chosen] == pytest.approx(best)


# -- the path of segmentations --------------------------------------------------------


@pytest.mark.parametrize("channels", [0, 1, 2, 3])
def test_segmentations_are_those_of_the_path(channels):
    image = np.kron([[0.0, 0.4], [0.7, 1.0]], np.ones((10, 12)))
    if channels:
        image = np.stack([image] * channels, axis=2)
    squares = np.arange(16).reshape(4, 4).repeat(5, axis=0).repeat(6, axis=1)
    model = CompressionSegmenter(superpixels=squares, convert2lab=False)
    model.set_params(epsilon=0.1).fit(image)
    drawn = SegmentationPathDisplay.from_estimator(model, image, [30.0, 0.1], lw=3)
    path = model.segmentation_path([0.1, 30.0])
    assert path["n_segments"].tolist() == [4, 1]
    assert drawn.line_.get_ydata().tolist() == [4, 1]
    assert drawn.line_.get_linewidth() == 3
    bits = np.transpose([b.get_ydata() for b in drawn.bits_lines_])
    assert_allclose(bits, path["coding_length"])
    assert drawn.chosen_line_.get_xdata()[0] == 0.1
    names = [text.get_text() for text in drawn.images_ax_.get_xticklabels()]
    assert names == [
        "image",
        "$\\epsilon$ = 0.1\n4 segments",
        "$\\epsilon$ = 30\n1 segment",
    ]
    pixels = drawn.images_.get_array()
    assert pixels.shape[0] == 20
    assert_allclose(pixels[0, 0, :3], 0.0)
    assert_allclose(drawn.frame().boundary, drawn.coding_length[:, 1])
    one = drawn.plot(n_images=1)
    assert len(one.images_ax_.get_xticks()) == 2
    with pytest.raises(ValueError, match="Bad n_images"):
        drawn.plot(n_images=0)
    for bad in (image[:5], np.zeros(4), np.zeros((0, 2))):
        with pytest.raises(ValueError, match="Bad image"):
            SegmentationPathDisplay.from_estimator(model, bad)


# -- filters --------------------------------------------------------------------------


def test_operators_are_those_of_the_layer(net):
    drawn = FilterDisplay.from_estimator(net, layer=-1, display_labels=LONG)
    layer = net[-1].layers_[-1]
    expected = [layer.expansion, *(layer.compression(j) for j in range(3))]
    assert_allclose(drawn.filters.reshape(4, 14, 14), expected)
    frame = drawn.frame()
    assert frame.index.tolist() == ["$E$", *LONG]
    assert_allclose(frame.to_numpy().reshape(4, 14, 14), expected)
    assert len(drawn.texts_) == 4
    off = expected[0] - np.diag(np.diag(expected[0]))
    shown = drawn.im_.get_array()[:14, :14]
    assert_allclose(shown, expected[0] / np.abs(off).max())
    with pytest.raises(ValueError, match="Bad layer: the network has 3 layers"):
        FilterDisplay.from_estimator(net, layer=3)


def test_operators_whose_names_do_not_fit_have_symbols():
    X, y = many(30)
    net = ReduNetTransformer(1, 0.5, fit_intercept=False).fit(X, y)
    drawn = FilterDisplay.from_estimator(net)
    assert texts(drawn.texts_)[:2] == ["$E$", "$C_{0}$"]
    assert texts(drawn.texts_)[-1] == "$C_{29}$"
    assert drawn.filters.shape == (6, 6, 6, 6)
    # titles stand in gaps between the lines of pictures
    drawn.figure_.canvas.draw()
    box = drawn.texts_[6].get_window_extent()
    heights = drawn.ax_.transData.inverted().transform([box.p0, box.p1])[:, 1]
    gap = np.flatnonzero(np.isnan(np.asarray(drawn.im_.get_array())[:12, 0]))
    assert gap.min() - 0.5 <= heights.min() < heights.max() <= gap.max() + 0.5
    assert len(drawn.frame()) == 31


@pytest.mark.parametrize("intercept", [True, False])
def test_directions_are_those_in_which_operators_are_smallest(digits, intercept):
    X, y = digits
    net = ReduNetTransformer(1, 0.5, fit_intercept=intercept).fit(X, y)
    drawn = FilterDisplay.from_estimator(net, image_shape=(8, 8), n_columns=5)
    assert drawn.filters.shape == (4, 5, 8, 8)
    assert texts(drawn.ax_.get_yticklabels()) == ["$E$", "0", "1", "2"]
    U = drawn.filters[2].reshape(5, 64)
    C = net.layers_[0].compression(1)[:64, :64]
    assert_allclose(U @ U.T, np.eye(5), atol=1e-8)
    values = np.diag(U @ C @ U.T)
    assert_allclose(C @ U.T, U.T * values, atol=1e-8 * np.abs(C).max())
    assert_allclose(values, np.linalg.eigvalsh(C)[:5], rtol=1e-6)
    assert np.all(U.max(axis=1) == np.abs(U).max(axis=1))
    assert len(drawn.frame()) == 20
    for shape in ((8, 9), (8, 8, 3), "8x8"):
        with pytest.raises(ValueError, match="Bad image_shape"):
            FilterDisplay.from_estimator(net, image_shape=shape)


def test_directions_outside_the_span_of_a_class_are_left_empty():
    X = np.eye(4)[[0, 1, 2, 3, 0, 1]]
    net = ReduNetTransformer(1, 0.5, fit_intercept=False).fit(X, [0, 0, 1, 1, 2, 2])
    drawn = FilterDisplay.from_estimator(net, image_shape=(2, 2), n_columns=4)
    empty = np.isnan(drawn.filters).all(axis=(2, 3)).sum(axis=1)
    assert empty.tolist()[1:] == [2, 2, 2]


def test_filters_of_a_lifting_are_in_lines(digits):
    X, _ = digits
    flat = ConvolutionalLifting(5, 3, signal_shape=(8, 8), random_state=0).fit(X)
    drawn = FilterDisplay.from_estimator(flat, n_columns=4)
    assert drawn.filters.shape == (2, 4, 3, 3)
    assert_allclose(drawn.filters[1, 0], flat.filters_[4, 0])
    assert len(drawn.frame()) == 5
    assert drawn.texts_ == []
    colored = flat.fit(np.hstack([X, X]))
    assert_allclose(FilterDisplay.from_estimator(colored).filters, colored.filters_)
    signals = ConvolutionalLifting(5, 3, random_state=0).fit(X)
    drawn = FilterDisplay.from_estimator(signals)
    sizes = np.abs(signals.filters_[:, 0]).max(axis=1, keepdims=True)
    assert_allclose(drawn.im_.get_array(), signals.filters_[:, 0] / sizes)
    cubes = ConvolutionalLifting(2, 3, signal_shape=(4, 4, 4), random_state=0).fit(X)
    with pytest.raises(ValueError, match="of one or two dimensions"):
        FilterDisplay.from_estimator(cubes)


@pytest.fixture(scope="module")
def signals(digits):
    """Return a network for images with two channels."""
    X, y = digits[0][:60], digits[1][:60]
    net = InvariantReduNetTransformer(1, 0.5, signal_shape=(8, 8))
    return net.fit(np.hstack([X, X[:, ::-1]]), y)


def test_filters_of_a_network_for_signals_have_the_origin_in_the_middle(signals):
    drawn = FilterDisplay.from_estimator(signals, channel=1)
    layer = signals.layers_[0]
    for j, name in enumerate(["$E$", "0", "1", "2"]):
        expected = (layer.compression(j - 1) if j else layer.expansion)[1]
        assert_allclose(drawn.filters[j], np.roll(expected, (4, 4), axis=(1, 2)))
        off = np.abs(expected)
        off[:, 0, 0] = 0.0
        assert_allclose(drawn.sizes[j], off.max(axis=(1, 2)))
        assert drawn.ax_.get_yticklabels()[j].get_text() == name
    picture = np.asarray(drawn.im_.get_array())[:8, :8]
    assert_allclose(picture, drawn.filters[0, 0] / drawn.sizes[0, 0])
    with pytest.raises(ValueError, match="Bad channel: the network has 2 channels"):
        FilterDisplay.from_estimator(signals, channel=2)


def test_other_grids_and_what_other_networks_do_not_have(signals, digits):
    X, y = digits[0][:60], digits[1][:60]
    line = InvariantReduNetTransformer(1, 0.5).fit(X, y)
    assert FilterDisplay.from_estimator(line).filters.shape == (4, 1, 1, 64)
    cube = InvariantReduNetTransformer(1, 0.5, signal_shape=(4, 4, 4)).fit(X, y)
    with pytest.raises(ValueError, match=r"found a grid of shape \(4, 4, 4\)"):
        FilterDisplay.from_estimator(cube)
    rates = RateReductionDisplay.from_estimator(signals)
    assert_allclose(rates.lines_["R"].get_ydata(), signals.rates_["R"])
    with pytest.raises(ValueError, match="InvariantReduNetTransformer are of all sh"):
        RateReductionDisplay.from_estimator(signals, np.hstack([X, X]), y)
    linear = MCR2Transformer(2, max_iter=1000).fit(X, y)
    drawn = RateReductionDisplay.from_estimator(linear)
    assert drawn.lines_["delta_R"].get_ydata()[-1] == linear.rate_reduction_
    with pytest.raises(ValueError, match="layers of MCR2Transformer have none"):
        FilterDisplay.from_estimator(linear)


# -- principal samples ----------------------------------------------------------------


def test_samples_are_the_rows_along_the_components_of_each_class(digits):
    X, y = digits
    model = NearestSubspaceClassifier(4).fit(X, y)
    drawn = PrincipalSamplesDisplay.from_estimator(
        model, X, y, image_shape=(8, 8), n_components=2, n_samples=3
    )
    frame = drawn.frame()
    parts = frame.groupby(["class", "component"])
    assert parts.place.agg(list).tolist() == [[1, 2, 3]] * 6
    Z = X / np.linalg.norm(X, axis=1, keepdims=True)
    for (label, component), found in parts:
        u = np.linalg.svd(Z[y == label])[2][component - 1]
        cosines = np.where(y == label, np.abs(Z @ u), 0.0)
        assert_allclose(found.cosine, np.sort(cosines)[::-1][:3])
        assert_allclose(cosines[found.row], found.cosine)
    # class 1, component 2, place 1: fourth picture of the second line
    image = np.asarray(drawn.im_.get_array())
    row = frame[(frame["class"] == 1) & (frame.component == 2)].row.iloc[0]
    left = 3 * 9 + 2
    assert_array_equal(image[9:17, left : left + 8], X[row].reshape(8, 8))
    assert np.isnan(image[8]).all()
    assert texts(drawn.ax_.get_yticklabels()) == ["0", "1", "2"]
    assert texts(drawn.ax_.get_xticklabels()) == ["1", "2"]


def test_a_class_with_few_directions_leaves_places_empty():
    X = np.array([[1.0, 0, 0, 0], [2.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]])
    options = {"image_shape": (2, 2), "n_components": 2}
    drawn = PrincipalSamplesDisplay.from_predictions(X, list("aabb"), **options)
    assert len(drawn.samples) == 3
    assert np.isnan(np.asarray(drawn.im_.get_array())[:2, 3:]).all()


@pytest.mark.parametrize("brightest", [1.0, 255.0])
def test_pictures_in_colour(brightest):
    X = np.random.default_rng(0).uniform(0, brightest, (6, 12))
    X[0, 0], X[1, 0] = 0.0, brightest
    drawn = PrincipalSamplesDisplay.from_predictions(
        X, [0, 0, 0, 1, 1, 1], image_shape=(2, 2, 3), n_components=3
    )
    image, shown = np.asarray(drawn.im_.get_array()), X[drawn.rows]
    assert image.shape == (5, 8, 4)
    low, high = (0.0, 1.0) if brightest == 1.0 else (shown.min(), shown.max())
    picture = (shown[0].reshape(2, 2, 3) - low) / (high - low)
    assert_allclose(image[:2, :2, :3], picture)
    assert_array_equal(image[2], 0.0)
    assert_array_equal(image[:2, :2, 3], 1.0)


def test_rows_of_a_table_become_lines_with_the_names_of_features(net, wine):
    X, y = wine
    drawn = PrincipalSamplesDisplay.from_estimator(
        net, X, y, n_components=2, display_labels=LONG
    )
    rows = X.to_numpy()[drawn.rows]
    low, high = rows.min(axis=0), rows.max(axis=0)
    assert_allclose(drawn.im_.get_array(), (rows - low) / (high - low))
    names = texts(drawn.ax_.get_xticklabels())
    assert names[:2] == ["alcohol", "malic_acid"]
    lines = texts(drawn.ax_.get_yticklabels())
    assert lines[:2] == ["Barolo from the L…, 1", "Barolo from the L…, 2"]
    assert len(drawn.ax_.lines) == 2
    plain = PrincipalSamplesDisplay.from_predictions(X.to_numpy(), y)
    assert texts(plain.ax_.get_xticklabels())[:2] == ["0", "1"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8,), "must be"),
        ((8, 8, 2), "must be"),
        ((8.0, 8), "must be"),
        ((-8, -8), "must be"),
        ((8, 9), "72 values, but the samples have 64"),
    ],
)
def test_shape_of_pictures_has_to_fit(digits, shape, message):
    with pytest.raises(ValueError, match=f"Bad image_shape: .*{message}"):
        PrincipalSamplesDisplay.from_predictions(*digits, image_shape=shape)


def test_tall_figures_hold_many_classes():
    X, y = many(100)
    drawn = PrincipalSamplesDisplay.from_predictions(X, y, image_shape=(2, 3))
    assert len(drawn.ax_.get_yticklabels()) == 100
    assert drawn.figure_.get_figheight() > 20


# -- quality of labels ----------------------------------------------------------------


def test_lines_are_shares_of_labels_up_to_each_probability():
    quality = [0.9, 0.1, np.nan, 0.5, 0.2]
    y = np.array(["b", "a", "a", "a", "b"])
    drawn = LabelQualityDisplay.from_predictions(quality, y)
    first, second = drawn.lines_
    assert [line.get_label() for line in drawn.lines_] == ["a", "b"]
    assert_allclose(first.get_xdata(), [0.0, 0.1, 0.5, 1.0])
    assert_allclose(first.get_ydata(), [0.0, 0.5, 1.0, 1.0])
    assert_allclose(second.get_xdata(), [0.0, 0.2, 0.9, 1.0])
    frame = drawn.frame()
    assert frame["label"].tolist() == y.tolist()
    assert_allclose(frame["quality"], quality)


def test_qualities_are_those_of_the_fitted_classifier(wine):
    X, y = wine
    model = make_pipeline(StandardScaler(), MICLClassifier()).fit(X, y)
    drawn = LabelQualityDisplay.from_estimator(model, X, y, display_labels=LONG)
    assert_array_equal(drawn.quality, model[-1].label_quality_)
    assert len(drawn.lines_) == 3
    with pytest.raises(ValueError, match="X and y"):
        LabelQualityDisplay.from_estimator(model, X[:9], y[:9])


def test_unknown_qualities_are_an_empty_line_and_those_that_cannot_be_are_refused():
    drawn = LabelQualityDisplay.from_predictions([np.nan, np.nan], [0, 1])
    assert_allclose(drawn.lines_[0].get_xdata(), [0.0, 1.0])
    for quality in ([0.5, 1.5], [-0.1, 0.5], [0.5], [[0.5, 0.5]], []):
        with pytest.raises(ValueError, match=r"quality|y: "):
            LabelQualityDisplay.from_predictions(quality, [0, 1])
