"""Scores of segmentations: their definitions, several truths, and bad input."""

import math
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from skimage.metrics import adapted_rand_error
from skimage.metrics import variation_of_information as information_of_skimage
from skimage.morphology import thin
from sklearn.metrics import rand_score

from skredu.metrics import (
    boundary_f_score,
    global_consistency_error,
    probabilistic_rand_index,
    segmentation_covering,
    variation_of_information,
)
from skredu.metrics._segmentation import boundaries, boundary_counts

SCORES = {
    "rand index": probabilistic_rand_index,
    "information": variation_of_information,
    "covering": segmentation_covering,
    "consistency": global_consistency_error,
    "boundaries": boundary_f_score,
}
every_score = pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)


def image(seed, shape=(6, 7), k=4):
    """Return segments of squares of pixels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(k, size=[-(-s // 2) for s in shape])
    return np.kron(labels, np.ones((2, 2), dtype=int))[: shape[0], : shape[1]]


# -- definitions ----------------------------------------------------------------------


def regions(labels):
    """Return the set of pixels of each segment."""
    flat = np.ravel(labels)
    return [set(np.flatnonzero(flat == name).tolist()) for name in np.unique(flat)]


def entropy(*labels):
    """Return the bits of the labels of a pixel, by those of all pixels."""
    pixels = np.stack([x.ravel() for x in labels])
    counts = np.unique(pixels, axis=1, return_counts=True)[1]
    return -sum(p * math.log2(p) for p in counts / pixels.shape[1])


def test_values_computed_by_hand():
    truth = np.repeat([[0, 0, 1, 1]], 2, axis=0)
    found = np.repeat([[0, 0, 0, 1]], 2, axis=0)
    # the pairs of segments share 4, 2 and 2 of the 8 pixels
    together, apart, pairs = 6 + 1 + 1, 4 * 2, 28
    rand = (together + apart) / pairs
    assert_allclose(probabilistic_rand_index(truth, found), rand)
    entropies = 1.0, 0.75 * math.log2(4 / 3) + 0.25 * 2, 0.5 + 2 * 0.25 * 2
    information = 2 * entropies[2] - entropies[0] - entropies[1]
    assert_allclose(variation_of_information(truth, found), information)
    assert_allclose(segmentation_covering(truth, found), (4 * 4 / 6 + 4 * 2 / 4) / 8)
    assert_allclose(segmentation_covering(found, truth), (6 * 4 / 6 + 2 * 2 / 4) / 8)
    errors = 4 * (2 / 4) / 8, (4 * (2 / 6) + 2 * (4 / 6)) / 8
    assert_allclose(global_consistency_error(truth, found), min(errors))
    # the boundaries are columns at a distance of one pixel; the diagonal has sqrt(20)
    assert boundary_f_score(truth, found, max_distance=0.22) == 0.0
    assert boundary_f_score(truth, found, max_distance=0.23) == 1.0
    # all pixels that were found are matched, and half of the true ones
    both = boundary_f_score([truth, found], found, max_distance=0.0)
    assert_allclose(both, 2 * 1.0 * 0.5 / (1.0 + 0.5))
    for score, one, self in [
        (probabilistic_rand_index, rand, 1.0),
        (variation_of_information, information, 0.0),
    ]:
        assert_allclose(score([truth, truth, found], found), (2 * one + self) / 3)


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_pairs_entropies_and_sets(seed):
    one, other = image(seed), image(seed + 10, k=seed + 2)
    a, b, n = one.ravel(), other.ravel(), one.size
    pairs = list(combinations(range(n), 2))
    agree = sum((a[i] == a[j]) == (b[i] == b[j]) for i, j in pairs)
    found = probabilistic_rand_index(a, b)
    assert_allclose(found, agree / len(pairs), rtol=1e-14)
    assert_allclose(found, rand_score(a, b), rtol=1e-14)
    # precision and recall of pairs in one segment, from segments that count from 1
    common = sum(a[i] == a[j] and b[i] == b[j] for i, j in pairs)
    _, precision, recall = adapted_rand_error(one + 1, other + 1)
    wrong = common * (1 / precision + 1 / recall - 2)
    assert_allclose(found, 1 - wrong / len(pairs), rtol=1e-12)
    expected = 2 * entropy(one, other) - entropy(one) - entropy(other)
    found = variation_of_information(one, other)
    assert_allclose(found, expected, rtol=1e-12)
    assert_allclose(found, sum(information_of_skimage(one, other)), rtol=1e-8)
    A, B = regions(one), regions(other)
    expected = sum(len(a) * max(len(a & b) / len(a | b) for b in B) for a in A) / n
    assert_allclose(segmentation_covering(one, other), expected, rtol=1e-14)
    errors = [0.0, 0.0]
    for pixel in range(n):
        a, b = (next(s for s in sets if pixel in s) for sets in (A, B))
        errors[0] += len(a - b) / len(a) / n
        errors[1] += len(b - a) / len(b) / n
    found = global_consistency_error(one, other)
    assert_allclose(found, min(errors), rtol=1e-12)
    # boundaries are thinned as in the benchmark
    h, w = 30, 41
    pixels = np.random.default_rng(seed).random((h, w)) < 0.3
    for labels in (image(seed, (h, w), k=3), pixels):
        wide = np.zeros(labels.shape, dtype=bool)
        for i, j in [(0, 1), (1, 0), (1, 1)]:
            wide[: h - i, : w - j] |= labels[: h - i, : w - j] != labels[i:, j:]
        assert_array_equal(boundaries(labels), thin(wide))


@pytest.mark.parametrize("distance", [0.0, 0.03, 0.1])
def test_as_many_boundary_pixels_as_possible_are_matched(distance):
    found = image(0, (20, 22), k=2)
    truths = np.stack([image(1, (20, 22), k=2), image(2, (20, 22), k=3)])
    recalled, n_true, matched, n_found = boundary_counts(truths, found, distance)
    pixels, expected = np.argwhere(boundaries(found)), []
    for truth in truths:
        others = np.argwhere(boundaries(truth))
        near = cdist(others, pixels) <= distance * math.hypot(20, 22) + 1e-9
        pairs = near[linear_sum_assignment(near, maximize=True)]
        expected.append((int(pairs.sum()), len(others)))
    assert n_found == len(pixels)
    assert (recalled, n_true) == tuple(np.sum(expected, axis=0))
    assert max(e[0] for e in expected) <= matched <= min(n_found, recalled)
    precision, recall = matched / n_found, recalled / n_true
    f = 2 * precision * recall / (precision + recall)
    score = boundary_f_score(truths, found, max_distance=distance)
    assert_allclose(score, f, rtol=1e-14)


# -- what all scores share ------------------------------------------------------------

PERFECT = {"rand index": 1, "information": 0, "covering": 1, "consistency": 0}
PERFECT["boundaries"] = 1


@pytest.mark.parametrize("name", SCORES)
def test_equal_segmentations_are_perfect(name):
    names = np.array(list("dcba"))
    for labels in [image(0), np.zeros((4, 4)), np.zeros((1, 1)), np.eye(5)]:
        other = names[np.asarray(labels, dtype=int)]
        assert_allclose(SCORES[name](labels, other), PERFECT[name], atol=1e-14)
    assert_allclose(SCORES[name]([image(0)] * 3, image(0)), PERFECT[name], atol=1e-14)


@every_score
def test_names_and_types_of_labels_do_not_matter(score):
    pandas = pytest.importorskip("pandas")
    one, other = image(3, k=3), image(4, k=3)
    expected = score(one, other)
    for same, also in [
        (one.astype(np.uint8), other * -2.5),
        (one * 10**12, other),
        (one.tolist(), np.array(["b", "c", "a"])[other]),
        (pandas.DataFrame(one), np.asfortranarray(other)),
    ]:
        assert_allclose(score(same, also), expected, rtol=1e-14)


@pytest.mark.parametrize("name", SCORES)
def test_several_truths(name):
    truths, found = [image(seed) for seed in (5, 6, 7)], image(8)
    score = SCORES[name]
    if name == "boundaries":
        single = [boundary_counts(t[None], found, 0.0075) for t in truths]
        recall = sum(c[0] for c in single) / sum(c[1] for c in single)
        assert score(truths, found) <= 2 * recall / (1 + recall)
    else:
        expected = np.mean([score(truth, found) for truth in truths])
        assert_allclose(score(truths, found), expected, rtol=1e-14)
    assert score(np.stack(truths), found) == score(truths, found)
    assert score(truths[:1], found) == score(truths[0], found)


@pytest.mark.parametrize("name", sorted(set(SCORES) - {"boundaries"}))
def test_pixels_have_no_places(name):
    one, other = image(1), image(2)
    order = np.random.default_rng(0).permutation(one.size)
    score = SCORES[name]
    expected = score(one, other)
    assert_allclose(score(one.ravel()[order], other.ravel()[order]), expected)
    assert_allclose(score(one.reshape(2, 3, 7), other.reshape(2, 3, 7)), expected)
    if name != "covering":
        assert_allclose(score(other, one), expected, rtol=1e-14)


# -- bad input ------------------------------------------------------------------------


@every_score
@pytest.mark.parametrize(
    "labels", [[], 3, None, [[0.0, math.nan]], [[0, 1], [2]], [[None, 3]]]
)
def test_bad_labels_are_named(score, labels):
    with pytest.raises(ValueError, match=r"^Bad labels_pred: "):
        score([[0, 1]], labels)
    with pytest.raises(ValueError, match=r"^Bad labels_true: "):
        score(labels, [[0, 1]])


@every_score
@pytest.mark.parametrize("shape", [(3, 2), (6,), (1, 3, 2), (2, 2, 2, 3)])
def test_shapes_are_told(score, shape):
    message = r"^Bad labels_true: .* \(2, 3\), .*, found the shape "
    with pytest.raises(ValueError, match=message):
        score(np.zeros(shape), np.zeros((2, 3)))


def test_boundaries_are_those_of_images_and_bad_distances_are_named():
    flat, halves = np.zeros((4, 6)), np.repeat([[0, 1]], 4, axis=0).repeat(3, axis=1)
    assert boundary_f_score(flat, flat) == 1.0
    assert boundary_f_score(halves, flat) == 0.0
    assert boundary_f_score(flat, halves) == 0.0
    assert boundary_f_score([flat, halves], halves) == 1.0
    with pytest.raises(ValueError, match=r"Bad labels_pred: .* \(height, width\)"):
        boundary_f_score([0, 1], [0, 1])
    for distance in (-0.1, math.nan, math.inf, "far", None, True):
        with pytest.raises(ValueError, match=r"^Bad max_distance: .* at least 0, foun"):
            boundary_f_score([[0, 1]], [[0, 1]], max_distance=distance)


@every_score
def test_masked_pixels_are_not_scored_in_silence(score):
    labels = image(0)
    with pytest.raises(ValueError, match="labels_pred is a masked array"):
        score(labels, np.ma.masked_equal(labels, 0))
