"""Segmentation of images: bits by their definition, merging, shapes, bad input."""

import math
import pickle
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.cluster.hierarchy import fcluster
from scipy.ndimage import label as connected
from skimage.color import rgb2lab
from skimage.data import astronaut
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from skredu.image import CompressionSegmenter, compression_segmenter
from skredu.image._pixels import lab_of
from skredu.image._regions import absorbed, borders, connected_regions
from skredu.image._windows import window_codes, window_features
from skredu.metrics import probabilistic_rand_index


def patches(seed=0, shape=(24, 30), k=3, channels=3, noise=0.05):
    """Return an image of patches of random colours, its truth, and superpixels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    truth = (columns * k // shape[1] + (rows > shape[0] // 2)) % k
    colors = rng.permuted(np.tile(np.linspace(0.1, 0.9, k)[:, None], channels), axis=0)
    image = colors[truth] + noise * rng.normal(size=(*shape, channels))
    cells = (rows // 4) * shape[1] + columns // 5
    return np.clip(image, 0.0, 1.0), truth, connected_regions(cells * k + truth)


# -- oracle ---------------------------------------------------------------------------


def texture_length(X, pixels, area, epsilon):
    """Return the bits of the texture of a region from all of its windows."""
    d, volume, mean = X.shape[1], 0.0, np.zeros(X.shape[1])
    if len(X):
        mean = X.mean(axis=0)
        sigma = np.linalg.svd((X - mean) / math.sqrt(len(X)), compute_uv=False)
        volume = np.log2(1.0 + d * (sigma / epsilon) ** 2).sum()
    bits = (pixels / area + d) / 2 * volume
    return bits + d / 2 * math.log2(1.0 + mean @ mean / epsilon**2)


def side_bits(labels, weight=3.0):
    """Return the bits of all boundaries: 1.2 for every side between two segments."""
    sides = sum(np.sum(np.diff(labels, axis=i) != 0) for i in range(labels.ndim))
    return 1.2 * weight * sides


def plain_windows(values, size):
    """Return the windows around all pixels as rows."""
    h, w, _ = values.shape
    p = size // 2
    padded = np.pad(values, [(p, p), (p, p), (0, 0)], mode="edge")
    return np.array(
        [padded[i : i + size, j : j + size].ravel() for i in range(h) for j in range(w)]
    ).reshape(h, w, -1)


def inside(labels, size):
    """Return the pixels whose windows are wholly inside of one region."""
    return (plain_windows(labels[..., None], size) == labels[..., None]).all(axis=2)


@pytest.mark.parametrize("size", [1, 3])
def test_bits_are_those_of_the_definition(size):
    image, _, superpixels = patches(0)
    options = {"superpixels": superpixels, "convert2lab": False, "n_components": 99}
    model = CompressionSegmenter(0.3, window_sizes=(size,), **options).fit(image)
    labels = model.labels_
    X = plain_windows(image, size)
    X = X - X.reshape(-1, X.shape[2]).mean(axis=0)
    whole = inside(labels, size)
    textures = sum(
        texture_length(X[whole & (labels == k)], np.sum(labels == k), size**2, 0.3)
        for k in range(model.n_segments_)
    )
    assert_allclose(model.coding_length_, [textures, side_bits(labels)], rtol=1e-10)


def test_costs_are_differences_of_bits():
    image, _, superpixels = patches(1)
    options = {"superpixels": superpixels, "convert2lab": False, "window_sizes": (1,)}
    model = CompressionSegmenter(0.2, **options).fit(image)
    n = int(superpixels.max()) + 1
    bits = [
        CompressionSegmenter(0.2, n_segments=k, **options).fit(image).coding_length_
        for k in (n, n - 1, 5, 1)
    ]
    for i, k in enumerate((n, n - 1, 5, 1)):
        costs = model.merge_costs_[: n - k].sum()
        assert_allclose(bits[i].sum() - bits[0].sum(), costs, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3])
def test_every_merge_is_the_best_one(size):
    # A window counts for a union if it meets only one or two superpixels of it.
    image, _, superpixels = patches(2, (12, 15))
    epsilon, options = 0.3, {"superpixels": superpixels, "convert2lab": False}
    model = CompressionSegmenter(
        epsilon, window_sizes=(size,), n_components=99, boundary_weight=0.5, **options
    ).fit(image)
    X = plain_windows(image, size)
    X = X - X.reshape(-1, X.shape[2]).mean(axis=0)
    around = plain_windows(superpixels[..., None], size)
    met = [set(w.tolist()) for w in around.reshape(-1, around.shape[2])]
    n = int(superpixels.max()) + 1
    members = {i: {i} for i in range(n)}

    def length(parts):
        index = [len(names) <= 2 and names <= parts for names in met]
        pixels = np.isin(superpixels, list(parts)).sum()
        rows = X.reshape(-1, X.shape[2])[index]
        return texture_length(rows, pixels, size**2, epsilon)

    for step, (a, b) in enumerate(model.children_):
        labels = np.zeros_like(superpixels)
        for name, parts in members.items():
            labels[np.isin(superpixels, list(parts))] = name
        costs = {}
        for (p, q), sides in zip(*borders(labels), strict=True):
            parts = members[p], members[q]
            cost = length(parts[0] | parts[1]) - length(parts[0]) - length(parts[1])
            costs[p, q] = cost - 0.5 * 1.2 * sides
        chosen = min(a, b), max(a, b)
        assert_allclose(costs[chosen], model.merge_costs_[step], rtol=1e-8, atol=1e-8)
        assert costs[chosen] <= min(costs.values()) + 1e-8
        members[n + step] = members.pop(a) | members.pop(b)


def test_regions_with_few_windows_wait_for_smaller_ones():
    image, _, superpixels = patches(3)
    both, small = (
        CompressionSegmenter(
            0.3, window_sizes=sizes, superpixels=superpixels, convert2lab=False
        ).fit(image)
        for sizes in ((5, 1), (1,))
    )
    # no superpixel of 4 x 5 pixels has ten windows
    assert_array_equal(both.children_, small.children_)
    assert_array_equal(both.labels_, small.labels_)


@pytest.mark.parametrize(("width", "used"), [(12, 3), (10, 1)])
def test_ten_windows_are_enough(width, used):
    # two superpixels of two rows, in which all but one column of windows fit
    image = np.random.default_rng(0).uniform(size=(2, width))
    halves = np.tile(np.arange(width) * 2 // width, (2, 1))
    assert np.sum(inside(halves, 3)) == 2 * (width - 2)
    options = {"superpixels": halves, "convert2lab": False}
    costs = {
        sizes: CompressionSegmenter(window_sizes=sizes, **options).fit(image)
        for sizes in [(3, 1), (3,), (1,)]
    }
    costs = {sizes: float(model.merge_costs_[0]) for sizes, model in costs.items()}
    assert costs[3, 1] < 0.0
    assert costs[3, 1] == costs[used,] != costs[4 - used,]


# -- parts ----------------------------------------------------------------------------


def test_colors_are_those_of_scikit_image():
    rgb = np.random.default_rng(0).uniform(size=(20, 30, 3)) ** 3
    assert_allclose(lab_of(rgb), rgb2lab(rgb), atol=2e-3)


def test_components_are_those_with_the_largest_variances():
    values = np.random.default_rng(0).normal(size=(10, 9, 2)).cumsum(axis=1)
    X = plain_windows(values, 3)
    every = (np.union1d(np.arange(0, s, 5), np.arange(s)[::-5]) for s in X.shape[:2])
    some = X[np.ix_(*every)].reshape(-1, 18)
    V = np.linalg.svd(some - some.mean(axis=0))[2][:4].T
    found = window_features(values, 3, 4).reshape(-1, 4)
    expected = X.reshape(-1, 18) @ V
    assert_allclose(np.abs(found), np.abs(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("shape", [(12, 14), (2, 9), (5, 6, 4)])
def test_windows_inside_and_across(size, shape):
    labels = np.random.default_rng(0).integers(3, size=[-(-s // 3) for s in shape])
    for axis, s in enumerate(shape):
        labels = labels.repeat(3, axis=axis).take(range(s), axis=axis)
    labels = connected_regions(labels)
    ends, lengths = borders(labels)
    inside, across = window_codes(labels, size, ends)
    padded = np.pad(labels, size // 2, mode="edge")
    for place in np.ndindex(*shape):
        window = padded[tuple(slice(p, p + size) for p in place)]
        names = np.unique(window)
        assert inside[place] == (names[0] if len(names) == 1 else -1)
        if len(names) == 2:
            assert ends[across[place]].tolist() == names.tolist()
        else:
            assert across[place] == -1
    sides = sum(np.sum(np.diff(labels, axis=i) != 0) for i in range(labels.ndim))
    assert lengths.sum() == sides


@pytest.mark.parametrize("shape", [(9, 11), (4, 5, 6), (1, 1), (1, 7)])
def test_connected_regions(shape):
    labels = np.random.default_rng(0).integers(2, size=shape) - 1
    found = connected_regions(labels)
    first = np.unique(found, return_index=True)[1]
    assert_array_equal(first, np.sort(first))  # in the order of their first pixels
    expected = sum(connected(labels == k)[1] for k in np.unique(labels))
    assert found.max() + 1 == expected
    for k in range(expected):
        assert connected(found == k)[1] == 1
        assert len(np.unique(labels[found == k])) == 1


def test_small_regions_join_the_neighbour_with_the_longest_border():
    labels = np.array([[0, 0, 0], [2, 1, 2], [2, 2, 2]])
    assert_array_equal(absorbed(labels, 1), connected_regions(labels))
    assert_array_equal(absorbed(labels, 2), [[0, 0, 0], [1, 1, 1], [1, 1, 1]])
    assert_array_equal(absorbed(labels, 4), [[0, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert_array_equal(absorbed(labels, 99), connected_regions(labels))


# -- segmentations --------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_patches_are_found(channels):
    image, truth, superpixels = patches(4, (48, 60), channels=channels, noise=0.03)
    options = {"superpixels": superpixels, "convert2lab": False}
    model = CompressionSegmenter(0.2, **options).fit(image)
    assert_array_equal(model.labels_, connected_regions(truth))
    if channels == 1:
        flat = CompressionSegmenter(0.2, **options).fit(image[..., 0])
        assert_array_equal(flat.labels_, model.labels_)


def test_textures_are_found_by_windows_and_not_by_colors():
    rows, columns = np.indices((60, 60))
    image = np.where(columns < 30, rows % 2, columns % 2).astype(float)
    squares = (rows // 12) * 5 + np.minimum(columns // 10, 5) + (rows // 12)
    options = {"superpixels": squares}
    found = CompressionSegmenter(window_sizes=(5, 3), **options).fit(image)
    assert_array_equal(found.labels_, columns >= 30)
    blind = CompressionSegmenter(window_sizes=(1,), **options).fit(image)
    assert blind.n_segments_ == 1


def test_volumes_of_supervoxels():
    _, y, x = np.indices((6, 8, 10))
    truth = (x >= 5) + 2 * (y >= 4) * (x >= 5)
    noise = np.random.default_rng(0).normal(size=truth.shape)
    volume = np.array([0.2, 0.8, 0.0, 0.5])[truth] + 0.02 * noise
    voxels = connected_regions(truth * 100 + (x // 3) * 10 + y // 2)
    options = {"superpixels": voxels, "convert2lab": False, "window_sizes": (3, 1)}
    options["boundary_weight"] = 1.0
    gray = CompressionSegmenter(0.1, channel_axis=None, **options).fit(volume)
    assert_array_equal(gray.labels_, connected_regions(truth))
    several = np.stack([volume, 1.0 - volume])
    model = CompressionSegmenter(0.1, channel_axis=0, **options).fit(several)
    assert_array_equal(model.labels_, gray.labels_)


def test_flipped_images_have_flipped_segments():
    image, _, superpixels = patches(5, (40, 53), noise=0.2)
    options = {"boundary_weight": 0.5, "window_sizes": (3, 1), "epsilon": 20.0}
    model = CompressionSegmenter(superpixels=superpixels, **options).fit(image)
    assert model.n_segments_ > 3
    for turned in (np.fliplr, np.flipud, lambda a: a.swapaxes(0, 1)):
        other = clone(model).set_params(superpixels=turned(superpixels))
        other.fit(turned(image))
        assert_allclose(other.merge_costs_, model.merge_costs_, rtol=1e-6)
        pairs = {*zip(turned(model.labels_).flat, other.labels_.flat, strict=True)}
        assert len(pairs) == model.n_segments_ == other.n_segments_


PHOTO = astronaut()[20:180, 140:300]


@pytest.mark.slow
def test_a_photograph():
    image = PHOTO
    model = CompressionSegmenter().fit(image)
    assert 1 < model.n_segments_ < 30
    assert_array_equal(connected_regions(model.labels_), model.labels_)
    again = clone(model).fit(image)
    assert_array_equal(again.labels_, model.labels_)
    assert_array_equal(again.merge_costs_, model.merge_costs_)
    assert_array_equal(compression_segmenter(image), model.labels_)
    scaled = compression_segmenter(image / 255.0)
    assert_array_equal(scaled, model.labels_)
    first = compression_segmenter(np.moveaxis(image, 2, 0), channel_axis=0)
    assert_array_equal(first, model.labels_)
    slic = CompressionSegmenter(superpixels="slic").fit(image)
    assert 1 < slic.n_segments_ < 30
    flipped = compression_segmenter(image[:, ::-1])  # has almost the same superpixels
    assert probabilistic_rand_index(model.labels_, flipped[:, ::-1]) > 0.99


def test_gray_images_are_colored_ones_without_colors():
    gray = PHOTO.mean(axis=2).astype(np.uint8)
    colored = np.repeat(gray[..., None], 3, axis=2)
    options = {"window_sizes": (1,)}
    expected = CompressionSegmenter(**options).fit(gray)
    model = CompressionSegmenter(**options).fit(gray[..., None])
    assert_array_equal(model.labels_, expected.labels_)
    superpixels = CompressionSegmenter(**options).fit(colored).superpixels_
    assert_array_equal(superpixels, expected.superpixels_)


def test_labels_at_every_number_of_segments():
    image, _, superpixels = patches(6)
    model = CompressionSegmenter(superpixels=superpixels).fit(image)
    n = int(superpixels.max()) + 1
    assert_array_equal(model.labels_at(model.n_segments_), model.labels_)
    assert_array_equal(model.labels_at(n), model.superpixels_)
    finer = model.superpixels_
    for k in range(n, 0, -1):
        labels = model.labels_at(k)
        assert labels.max() + 1 == k
        assert_array_equal(connected_regions(labels), labels)
        pairs = {*zip(finer.flat, labels.flat, strict=True)}
        assert len(pairs) == finer.max() + 1  # each of the finer ones is in one
        finer = labels
    given = clone(model).set_params(n_segments=4).fit(image)
    assert_array_equal(given.labels_, model.labels_at(4))
    assert given.n_segments_ == 4


def test_tree_is_numbered_like_that_of_agglomerative_clustering():
    # a linkage matrix of SciPy is written from it as in the examples of scikit-learn
    image, _, superpixels = patches(6)
    model = CompressionSegmenter(superpixels=superpixels).fit(image)
    n = int(superpixels.max()) + 1
    assert model.children_.shape == (n - 1, 2)
    sizes = np.ones(2 * n - 1)
    for node, pair in enumerate(model.children_, n):
        assert (pair < node).all()
        sizes[node] = sizes[pair].sum()
    heights = np.arange(n - 1.0)
    linkage = np.column_stack([model.children_, heights, sizes[n:]])
    for k in (1, 2, 5, n):
        names = fcluster(linkage, k, "maxclust")[model.superpixels_]
        labels = model.labels_at(k)
        assert len({*zip(names.flat, labels.flat, strict=True)}) == k == names.max()


def test_path_consists_of_fits():
    image, _, superpixels = patches(7, noise=0.2)
    model = CompressionSegmenter(superpixels=superpixels).fit(image)
    path = model.segmentation_path([5.0, 500.0])
    for i, epsilon in enumerate([5.0, 500.0]):
        other = clone(model).set_params(epsilon=epsilon).fit(image)
        assert_array_equal(path["labels"][i], other.labels_)
        assert_array_equal(path["coding_length"][i], other.coding_length_)
        assert path["n_segments"][i] == other.n_segments_
    assert path["n_segments"][0] > path["n_segments"][1]
    path = model.segmentation_path()
    assert_allclose(path["epsilon"][[0, 4, 8]], [8.0, 32.0, 128.0])
    changes = {"epsilon": 9.0, "boundary_weight": 0.0, "window_sizes": (1,)}
    later = model.set_params(n_components=1, **changes).segmentation_path()
    for name, values in path.items():
        assert_array_equal(later[name], values)


def test_greater_weights_and_distortions_leave_fewer_segments():
    image, _, superpixels = patches(8, noise=0.3)
    options = {"superpixels": superpixels}
    weights = [
        CompressionSegmenter(boundary_weight=w, **options).fit(image).n_segments_
        for w in (0.0, 1.0, 10.0, 1e6)
    ]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] > 3 > weights[-1] == 1


# -- unusual images -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 3), (40, 50)])
@pytest.mark.parametrize("superpixels", ["felzenszwalb", "slic"])
def test_constant_images_are_one_segment(shape, superpixels):
    for image in (
        np.full(shape, 7, np.uint8),
        *(np.zeros((*shape, c)) for c in (3, 4)),
    ):
        model = CompressionSegmenter(superpixels=superpixels).fit(image)
        assert model.n_segments_ == 1
        assert_array_equal(model.labels_, np.zeros(shape))
        assert np.isfinite(model.coding_length_).all()
        assert np.isfinite(model.merge_costs_).all()
        assert_array_equal(model.labels_at(1), model.labels_)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.uint16, np.int16, np.float32])
def test_types_of_images(kind):
    image = np.zeros((20, 20), kind)
    top = np.iinfo(kind).max if kind in (np.uint8, np.uint16, np.int16) else 1
    image[:, 10:] = top
    columns = np.tile(np.arange(20) // 5, (20, 1))
    expected = np.tile(np.arange(20) // 10, (20, 1))
    for given in (image, image.tolist()) if top == 1 else (image,):
        found = compression_segmenter(given, superpixels=columns)
        assert_array_equal(found, expected)


@pytest.mark.parametrize("epsilon", [1e-3, 1e8, 1e200])
def test_extreme_distortions_are_finite(epsilon):
    image, _, superpixels = patches(9)
    model = CompressionSegmenter(epsilon, superpixels=superpixels).fit(image)
    assert np.isfinite(model.coding_length_).all()
    assert np.isfinite(model.merge_costs_).all()
    assert len(model.children_) == superpixels.max()
    if epsilon > 1:
        assert model.n_segments_ == 1


def test_superpixels_of_any_kind():
    image, _, superpixels = patches(10)
    expected = compression_segmenter(image, superpixels=superpixels)
    for other in [superpixels + 1, -superpixels, superpixels.tolist()]:
        assert_array_equal(compression_segmenter(image, superpixels=other), expected)
    seen = []

    def function(given):
        seen.append(given)
        return superpixels.astype(np.uint8)

    assert_array_equal(compression_segmenter(image, superpixels=function), expected)
    assert_array_equal(seen[0], image)
    # two parts with one label are two superpixels
    parts = CompressionSegmenter(superpixels=superpixels % 2).fit(image)
    assert_array_equal(parts.superpixels_, connected_regions(superpixels % 2))


# -- as an estimator ------------------------------------------------------------------


def test_clone_pickle_failed_fits_and_images_that_cannot_be_written_to():
    image, _, superpixels = patches(11)
    for given in (image, superpixels):
        given.setflags(write=False)
    model = CompressionSegmenter(20.0, superpixels=superpixels).fit(image)
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.labels_, model.labels_)
    path = model.segmentation_path([10.0])
    assert_array_equal(loaded.segmentation_path([10.0])["labels"], path["labels"])
    before = vars(model).copy()
    for bad in [image[:5], np.full(image.shape, math.nan)]:
        with pytest.raises(ValueError, match="Bad"):
            model.fit(bad)
        assert vars(model) == before
    other = clone(model)
    assert not hasattr(other, "labels_")
    assert get_tags(other).input_tags.three_d_array
    assert other.get_params()["epsilon"] == 20.0
    with pytest.raises(NotFittedError):
        other.labels_at(2)
    with pytest.raises(NotFittedError):
        other.segmentation_path()


def test_given_superpixels_need_no_scikit_image(monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "skimage"]:
        monkeypatch.setitem(sys.modules, name, None)
    image = np.eye(8)[..., None].repeat(3, axis=2)
    assert compression_segmenter(image, superpixels=np.eye(8, dtype=int)).max() >= 0
    with pytest.raises(ImportError, match=r'pip install "skredu\[image\]"'):
        compression_segmenter(image)


# -- bad input ------------------------------------------------------------------------


BAD_IMAGES = [
    (3.0, r"Bad image: .* \(height, width\)"),
    ([1.0, 2.0], r"Bad image: .* \(height, width\)"),
    (np.zeros((0, 4)), r"Bad image: .* \(height, width\)"),
    ([[1.0, math.nan]], "Bad image: .*NaN"),
    ([[1.0, math.inf]], "Bad image: .*infinity"),
    ([["a", "b"]], "Bad image: "),
    ([[1j, 2.0]], "Bad image: "),
    ([[1.0], [1.0, 2.0]], "Bad image: "),
    (np.full((4, 4), 2.0), "Bad image: .* from 2 to 2.*convert2lab=False"),
    (np.full((4, 4), -1), "Bad image: .* convert2lab=False"),
    (np.full((4, 4), 255), "Bad image: integers of type int64 .* uint8"),
    (np.full((4, 4, 2), 1e200), "Bad image: .* at most 1e"),
    (np.zeros((3, 40, 50)), "Bad channel_axis: .* 50 channels .* channel_axis=0"),
    (np.zeros((4, 4), "M8[s]"), r"image must contain real numbers, found datetime64"),
]
BAD_PARAMETERS = [
    ({"epsilon": 0.0}, "epsilon"),
    ({"epsilon": math.inf}, "epsilon"),
    ({"epsilon": "auto"}, "epsilon"),
    ({"epsilon": True}, "epsilon"),
    ({"n_segments": 0}, "n_segments"),
    ({"n_segments": 10**6}, "Bad n_segments: must be at most .* superpixels"),
    ({"boundary_weight": -1.0}, "boundary_weight"),
    ({"boundary_weight": math.nan}, "boundary_weight"),
    ({"boundary_weight": math.inf}, "boundary_weight"),
    ({"window_sizes": ()}, "Bad window_sizes: .* odd"),
    ({"window_sizes": (4, 1)}, "Bad window_sizes: .* odd"),
    ({"window_sizes": (3, -1)}, "Bad window_sizes: .* odd"),
    ({"window_sizes": (3, 1.0)}, "Bad window_sizes: .* odd"),
    ({"window_sizes": (33,)}, "Bad window_sizes: .* from 1 to 31"),
    ({"window_sizes": 3}, "window_sizes"),
    ({"n_components": 0}, "n_components"),
    ({"superpixels": "squares"}, "superpixels"),
    ({"superpixels": np.zeros((3, 3), int)}, r"Bad superpixels: .*\(24, 30\)"),
    ({"superpixels": np.zeros((24, 30))}, "Bad superpixels: must be integers"),
    ({"superpixels": lambda image: None}, "Bad superpixels"),
    ({"channel_axis": 3}, "Bad channel_axis: .* from -3 to 2"),
    ({"channel_axis": 0}, "Bad channel_axis: .* 24 channels .* channel_axis=2"),
    ({"channel_axis": 0.5}, "channel_axis"),
    ({"channel_axis": None}, "Bad superpixels: .* 2 dimensions.*one image per"),
    ({"convert2lab": "yes"}, "convert2lab"),
]


def test_bad_images_and_parameters_are_named():
    for given, message in BAD_IMAGES:
        with pytest.raises(ValueError, match=message):
            CompressionSegmenter().fit(given)
    image = patches()[0]
    for options, message in BAD_PARAMETERS:
        with pytest.raises(ValueError, match=message):
            CompressionSegmenter(**options).fit(image)


def test_distortions_colors_and_scales_that_cannot_be_are_named():
    with pytest.raises(ValueError, match=r"Bad superpixels: 'slic' .* at most 3 dim"):
        CompressionSegmenter(superpixels="slic").fit(np.zeros((2, 3, 4, 5, 6)))
    with pytest.raises(ValueError, match=r"Bad convert2lab: .* 5 channels"):
        CompressionSegmenter(convert2lab=True).fit(np.zeros((9, 9, 5)))
    image, _, superpixels = patches(15)
    model = CompressionSegmenter(1e-9, superpixels=superpixels)
    with pytest.raises(ValueError, match=r"epsilon=1e-09 is too small .* at least"):
        model.fit(image)
    model.set_params(epsilon=32.0).fit(image)
    with pytest.raises(ValueError, match=r"epsilon=1e-200 is too small"):
        model.segmentation_path([32.0, 1e-200])
    for bad in (0, -1, 2.0, "two", None, int(superpixels.max()) + 2):
        with pytest.raises(ValueError, match="Bad n_segments"):
            model.labels_at(bad)
    for bad in ([], [0.0], [math.nan], ["a"], [1.0, -1.0]):
        with pytest.raises(ValueError, match="Bad epsilon"):
            model.segmentation_path(bad)


@pytest.mark.parametrize("n_channels", [2, 4, 9])
def test_images_with_any_number_of_channels_are_segmented(n_channels):
    image = np.random.default_rng(0).normal(0.2, 0.02, (24, 24, n_channels))
    image[:, 12:] += 0.5
    labels = CompressionSegmenter(0.3, n_segments=2).fit(image).labels_
    assert_array_equal(labels, np.repeat(np.arange(24)[None] >= 12, 24, axis=0))
