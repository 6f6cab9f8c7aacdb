"""Segmentation of photographs with human segmentations (a part of the BSDS500).

Run ``python -m benchmarks.segmentation --data FOLDER``; the folder contains
bsds500_subset.npz and bsds500_val60.npz (keys in ``benchmarks/_data.py``). Settings are
chosen on images of its training and validation parts; the test part judges them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from skimage.color import rgb2lab
from skimage.graph import cut_threshold, rag_mean_color
from skimage.segmentation import felzenszwalb, quickshift, slic
from skimage.transform import rescale
from sklearn.cluster import MeanShift

from benchmarks import _data
from benchmarks._harness import Benchmark, Report, peak_memory, progress
from skredu.clustering._costs import Cluster
from skredu.clustering._merging import merges
from skredu.clustering._rows import Samples
from skredu.image import CompressionSegmenter
from skredu.image._coding import STEP_BITS, Coder, cut
from skredu.image._regions import borders, connected_regions
from skredu.image._windows import window_codes, window_features
from skredu.metrics._segmentation import (
    boundary_counts,
    conditional_entropies,
    consistency_error,
    contingency,
    covering,
    rand_index,
)

# PRI, VoI, GCE, SC and F of the papers (recalled or read in tables), and the data set.
PUBLISHED = {
    "CTM (BSDS300)": (".760", "2.02", ".19", "–", "–"),
    "TBES (BSDS300)": (".807", "1.705", ".181", "–", ".64"),
    "mean shift (BSDS300)": (".796", "1.973", ".189", ".54", "–"),
    "Felzenszwalb–Huttenlocher (BSDS500, 200 images)": (
        ".791",
        "2.159",
        "–",
        ".527",
        ".622",
    ),
    "quick shift (BSDS500, 200 images)": (".792", "2.17", "–", ".518", ".599"),
    "gPb-owt-ucm, supervised (BSDS500, 200 images)": (
        ".827",
        "1.690",
        "–",
        ".588",
        ".726",
    ),
    "people (BSDS500, 200 images)": (".88", "1.17", "–", ".72", ".80"),
}
PROTOCOL = (
    "Means over {n_test} test images of the BSDS500 at full size, compared with all "
    "human segmentations of each. One setting for all images was chosen on {n_chosen} "
    "other images by PRI + SC - 0.2 VoI, except for CompressionSegmenter, which has "
    "its defaults (they were chosen in the same way). *Best per image* chooses among "
    "the settings by the same sum on each test image. Quick shift sees images of half "
    "size, and its best setting is the end of its range; the published one is better. "
    "PRI: probabilistic Rand index; VoI: variation of information in bits; GCE: global "
    "consistency error; SC: covering; F: boundary F-score of the pixels of all images "
    "together. Seconds are CPU time per image, and MiB the growth of the process by "
    "the first image. *People* compares each human segmentation with the others of its "
    "image. The published rows are for other or more images, so they cannot be "
    "compared directly."
)
BOUNDARIES = (
    "### Codes of boundaries\n\nBits of a boundary are its length times 1.2 in "
    "CompressionSegmenter. The other codes have the statistics of each image: it is "
    "segmented, the frequencies of the symbols in the boundaries between its segments "
    "are counted (and half a symbol of each kind is added), and it is segmented again. "
    "*Length* has the mean bits of a symbol; in the *difference chain code*, bits of a "
    "boundary are the sum of those of its symbols, which are the changes of direction "
    "by 0, 45 or 90 degrees along the chain of midpoints of the sides of pixels. "
    "Distortion and weight were chosen for each code on {n_chosen} other images by "
    "PRI + SC - 0.2 VoI, and the rows are means over {n_test} test images. The last "
    "column is the mean difference of that sum to the first row, with its standard "
    "error."
)
HEADER = ["method", "setting", "PRI", "VoI", "GCE", "SC", "F", "regions", "s", "MiB"]

Segmentations = list[Any]


def ours(image: Any, settings: Sequence[float]) -> Segmentations:
    """Segment by coding length with several distortions."""
    if len(settings) == 1:
        return [CompressionSegmenter(settings[0]).fit(image).labels_]
    return [*CompressionSegmenter().fit(image).segmentation_path(settings)["labels"]]


class ChainCoder(Coder):
    """Bits of segmentations with those of given symbols in boundaries."""

    symbol_bits: Any = None

    def border_bits(self, labels: Any, lengths: Any) -> Any:
        if self.symbol_bits is None:
            return super().border_bits(labels, lengths)
        sides, symbols = chain_symbols(labels)
        borders = np.unique(sides, return_inverse=True)[1]
        weight = self.step_bits / STEP_BITS
        return weight * np.bincount(borders, self.symbol_bits[symbols])


def chain_symbols(labels: Any) -> tuple[Any, Any]:
    """Return the border and the symbol of each side of a pixel between two regions.

    Borders are numbers in the order of the pairs of regions. The midpoints of the sides
    are joined to chains. The symbol is the number of eighths of a turn by which the
    chain turns at the midpoint, in any direction (0 to 2), or 3 where a chain ends:
    three regions meet there, or the image ends.
    """
    borders, symbols, k = [], [], int(labels.max()) + 1
    for a in (labels, labels.T):
        side, other = a[:, :-1] != a[:, 1:], a[:-1] != a[1:]
        left, right = other[:, :-1], other[:, 1:]
        n_sides = sum(x.astype(int) for x in (side[:-1], side[1:], left, right))
        turns = np.where(n_sides == 2, right.astype(float) - left, np.nan)
        turns = np.pad(turns, [(1, 1), (0, 0)], constant_values=np.nan)
        change = np.abs(turns[:-1] + turns[1:])[side]
        symbols.append(np.where(np.isnan(change), 3, change).astype(int))
        pair = a[:, :-1][side], a[:, 1:][side]
        borders.append(np.minimum(*pair) * k + np.maximum(*pair))
    return np.concatenate(borders), np.concatenate(symbols)


def bits_of_symbols(labels: Any) -> Any:
    """Return the bits of symbols by their frequencies in a segmentation."""
    counts = np.bincount(chain_symbols(labels)[1], minlength=4)[:3] + 0.5
    shares = counts / counts.sum()
    bits = np.log2(np.array([1.0, 2.0, 2.0]) / shares)  # turns to either side
    return np.append(bits, shares @ bits)  # an end has the mean


def chain_coder(image: Any) -> ChainCoder:
    """Return what codes the segmentations of an image."""
    model = CompressionSegmenter().fit(image)
    return ChainCoder(model._values, model.superpixels_, *model._coding[1])


def with_codes(coder: ChainCoder, epsilon: float, weight: float) -> dict[str, Any]:
    """Segment by coding length with several codes of boundaries."""
    coder.step_bits = weight * STEP_BITS
    found = {}
    for name in CODES:
        if name != CODES[0]:
            bits = bits_of_symbols(found[CODES[0]])
            coder.symbol_bits = np.full(4, bits[3]) if name == CODES[1] else bits
        tree, _, n_saving = coder.merge(epsilon)
        found[name] = cut(coder.superpixels, tree, n_saving)
    coder.symbol_bits = None
    return found


def felzenszwalb_huttenlocher(image: Any, settings: Sequence[float]) -> Segmentations:
    """Segment by a graph, with several scales."""
    return [felzenszwalb(image, s, sigma=0.8, min_size=60) for s in settings]


def mean_colors(image: Any, settings: Sequence[float]) -> Segmentations:
    """Merge superpixels whose mean colours differ by less than a threshold."""
    superpixels = _superpixels(image)
    graph = rag_mean_color(rgb2lab(image), superpixels)
    return [cut_threshold(superpixels, graph, t, in_place=False) for t in settings]


def mean_shift(image: Any, settings: Sequence[float]) -> Segmentations:
    """Cluster mean colours and places of superpixels with several bandwidths."""
    superpixels, lab = _superpixels(image), rgb2lab(image)
    places = np.stack(np.indices(superpixels.shape), axis=2) * 0.1
    values = np.concatenate([lab, places], axis=2).reshape(-1, 5)
    counts = np.bincount(superpixels.ravel())
    sums = [np.bincount(superpixels.ravel(), v) / counts for v in values.T]
    X, found = np.stack(sums, axis=1), []
    for bandwidth in settings:
        names = MeanShift(bandwidth=bandwidth).fit_predict(X)
        found.append(connected_regions(names[superpixels]))
    return found


def quick_shift(image: Any, settings: Sequence[float]) -> Segmentations:
    """Segment every other pixel by quick shift with several sizes of the kernel.

    The time is proportional to the square of the kernel; at full size, kernels that
    lead to as few segments as people see take ten seconds per image.
    """
    height, width = image.shape[:2]
    small = rescale(image, 0.5, anti_aliasing=True, channel_axis=2)
    rows = np.arange(height) * len(small) // height
    columns = np.arange(width) * small.shape[1] // width
    return [
        quickshift(small, kernel_size=k, max_dist=10.0 * k)[np.ix_(rows, columns)]
        for k in settings
    ]


def windows_and_labels(image: Any, settings: Sequence[float]) -> Segmentations:
    """Merge superpixels by windows of 7 x 7 pixels and label bits, as CTM does."""
    superpixels = _superpixels(image)
    k, d = int(superpixels.max()) + 1, 8
    features = window_features(rgb2lab(image), 7, d).reshape(-1, d)
    features = features / 7.0 - features.mean(axis=0) / 7.0
    inside, _ = window_codes(superpixels, 7)
    narrow = np.bincount(inside[inside >= 0], minlength=k) < 10
    inside = np.where(narrow[superpixels], superpixels, inside).ravel()
    ends, _ = borders(superpixels)
    ends = np.concatenate([ends, ends[:, ::-1]])
    edges = coo_array((np.zeros(len(ends)), tuple(ends.T)), (k, k)).tocsr()
    found = []
    for epsilon in settings:
        X = features * (d**0.5 / epsilon)
        rows = Samples(X, np.ones(len(X)), np.zeros(d), d, False)
        clusters = [Cluster.of(rows, np.flatnonzero(inside == i)) for i in range(k)]
        above = np.arange(2 * k)
        steps = merges(rows.take([]), clusters, edges=edges)
        for node, (a, b, bits) in enumerate(steps, k):
            if bits >= 0.0:
                break
            above[[a, b]] = node
        while not np.array_equal(above, above[above]):
            above = above[above]
        found.append(np.unique(above[:k], return_inverse=True)[1][superpixels])
    return found


def _superpixels(image: Any) -> Any:
    return connected_regions(slic(image, 400, compactness=10.0, start_label=0))


CODES = ["length, 1.2 bits", "length, adaptive", "difference chain code, adaptive"]
# distortions and weights of boundaries
GRID = [(e, w) for e in (22.0, 32.0, 45.0) for w in (2.0, 2.5, 3.0, 4.0)]
# functions and settings, and the setting that is not chosen
METHODS: dict[str, tuple[Callable[..., Segmentations], list[float], float | None]] = {
    "CompressionSegmenter": (
        ours,
        [8.0, 11.0, 13.5, 16.0, 19.0, 22.0, 27.0, 32.0, 38.0, 45.0, 54.0, 64.0, 90.0],
        32.0,
    ),
    "Felzenszwalb–Huttenlocher": (
        felzenszwalb_huttenlocher,
        [100.0, 200.0, 400.0, 600.0, 800.0, 1100.0, 1600.0],
        None,
    ),
    "SLIC, mean colours": (mean_colors, [4.0, 8.0, 10.0, 12.0, 16.0, 24.0], None),
    "windows, label bits (as CTM)": (windows_and_labels, [4.0, 6.0, 8.0, 12.0], None),
    "mean shift of superpixels": (mean_shift, [8.0, 12.0, 16.0, 24.0], None),
    "quick shift, half size": (quick_shift, [4.0, 6.0, 8.0, 12.0], None),
}


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the tables."""
    options = Benchmark(
        "segmentation",
        "Segmentation of photographs",
        {"images": _measure, "boundaries": _measure_boundaries},
        data="folder of bsds500_subset.npz and bsds500_val60.npz",
        required=True,
    )
    options.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS])
    options.add_argument(
        "--val", type=int, default=60, help="validation images to choose with"
    )
    options.run(arguments)


def _images(
    args: argparse.Namespace,
) -> tuple[list[_data.Segmented], list[_data.Segmented]]:
    """Return the images to choose settings with, and the test images."""
    images = list(_data.segmented_images(args.data))
    test = [image for image in images if image.split == "test"]
    val = [image for image in images if image.split == "val"]
    chosen = [image for image in images if image.split == "train"]
    chosen += val[:: max(1, len(val) // max(1, args.val))][: args.val]
    return chosen, test


def _measure(report: Report, args: argparse.Namespace) -> None:
    chosen, test = _images(args)
    report.say(PROTOCOL.format(n_test=len(test), n_chosen=len(chosen)))
    rows, scores = [], {}
    for name in args.methods:
        chosen_setting, found = _judge(name, chosen, test)
        scores[name] = found["one setting"][0]
        for kind, (values, f, seconds) in found.items():
            means = [f"{x:.3f}" for x in values[:, :4].mean(axis=0)]
            regions = f"{values[:, 4].mean():.0f}"
            setting, memory = kind, "–"
            if kind == "one setting":
                setting = f"{chosen_setting:g}"
                task = peak_memory(_task, name, test[0].image, chosen_setting)
                memory = task.cells()[1]
            rows.append([name, setting, *means, f"{f:.3f}", regions, seconds, memory])
    rows.append(["people, each against the others", "–", *_people(test), "–", "–"])
    rows += [[f"published: {k}", "–", *v, *"–––"] for k, v in PUBLISHED.items()]
    report.table(HEADER, rows)
    first, *others = args.methods
    if others:
        report.say(
            f"Mean difference of {first} to others with one setting, with its standard "
            "error over the test images:"
        )
        table = []
        for name in others:
            gap = scores[first] - scores[name]
            error = gap.std(axis=0, ddof=1) / len(gap) ** 0.5
            cells = [
                f"{m:+.3f} ({e:.3f})"
                for m, e in zip(gap.mean(axis=0)[:4], error[:4], strict=True)
            ]
            table.append([name, *cells])
        report.table(["compared with", "PRI", "VoI", "GCE", "SC"], table)


def _measure_boundaries(report: Report, args: argparse.Namespace) -> None:
    chosen, test = _images(args)
    report.say(BOUNDARIES.format(n_chosen=len(chosen), n_test=len(test)))
    sums = np.zeros((len(GRID), len(CODES)))
    for number, item in enumerate(chosen, 1):
        progress(f"codes of boundaries: image {number} of {len(chosen)}")
        coder = chain_coder(item.image)
        for setting, total in zip(GRID, sums, strict=True):
            found = with_codes(coder, *setting)
            total += [_total(_scores(item, found[name])) for name in CODES]
    settings = [GRID[best] for best in sums.argmax(axis=0)]
    scores, counts = [], []
    for item in test:
        coder = chain_coder(item.image)
        pairs = zip(CODES, settings, strict=True)
        labels = [with_codes(coder, *setting)[name] for name, setting in pairs]
        scores.append([_scores(item, found) for found in labels])
        counts.append([_counts(item, found) for found in labels])
    totals = np.array([[_total(values) for values in found] for found in scores])
    gaps = totals - totals[:, :1]
    errors = gaps.std(axis=0, ddof=1) / len(gaps) ** 0.5
    rows = []
    for i, (name, setting) in enumerate(zip(CODES, settings, strict=True)):
        *means, n_regions = np.mean(scores, axis=0)[i]
        f = _f_score(np.sum(counts, axis=0)[i])
        cells = [f"{x:.3f}" for x in (*means, f)]
        gap = f"{gaps[:, i].mean():+.3f} ({errors[i]:.3f})" if i else "–"
        rows.append([name, "{:g}, {:g}".format(*setting), *cells, f"{n_regions:.0f}"])
        rows[-1].append(gap)
    report.table(["code", "epsilon, weight", *HEADER[2:8], "difference"], rows)


def _task(name: str, image: Any, setting: float) -> Callable[[], object]:
    segment = METHODS[name][0]
    segment(image[:64, :64], [setting])  # imports what is imported on first use
    return lambda: segment(image, [setting])


def _judge(
    name: str, chosen: Sequence[_data.Segmented], test: Sequence[_data.Segmented]
) -> tuple[float, dict[str, tuple[Any, float, str]]]:
    """Return the chosen setting, and scores, boundary F and seconds on test images."""
    segment, settings, setting = METHODS[name]
    if setting is None:
        sums = np.zeros(len(settings))
        for item in chosen:
            found = segment(item.image, settings)
            sums += [_total(_scores(item, labels)) for labels in found]
        setting = settings[int(np.argmax(sums))]
    progress(f"{name}: {setting:g}")
    one = settings.index(setting)
    values: dict[str, list[Any]] = {"one setting": [], "best per image": []}
    counts: dict[str, list[Any]] = {"one setting": [], "best per image": []}
    for item in test:
        found = segment(item.image, settings)
        scores = [_scores(item, labels) for labels in found]
        best = int(np.argmax([_total(s) for s in scores]))
        for kind, index in [("one setting", one), ("best per image", best)]:
            values[kind].append(scores[index])
            counts[kind].append(_counts(item, found[index]))
    start = time.process_time()
    for item in test[:3]:
        segment(item.image, [setting])
    seconds = (time.process_time() - start) / len(test[:3])
    judged = {}
    for kind, scores in values.items():
        f = _f_score(np.sum(counts[kind], axis=0))
        shown = f"{seconds:.2f}" if kind == "one setting" else "–"
        judged[kind] = np.array(scores), f, shown
        progress(f"{name}, {kind}: {np.mean(scores, axis=0).round(3)}, F {f:.3f}")
    return setting, judged


def _people(test: Sequence[_data.Segmented]) -> list[str]:
    """Return scores, boundary F and the number of regions of human segmentations."""
    scores, counts = [], []
    for item in test:
        means = []
        for i, labels in enumerate(item.segmentations):
            others = item._replace(segmentations=np.delete(item.segmentations, i, 0))
            means.append(_scores(others, labels))
            counts.append(_counts(others, labels))
        scores.append(np.mean(means, axis=0))
    *means, n_regions = np.mean(scores, axis=0)
    cells = [f"{x:.3f}" for x in (*means, _f_score(np.sum(counts, axis=0)))]
    return [*cells, f"{n_regions:.0f}"]


def _scores(item: _data.Segmented, labels: Any) -> list[float]:
    """Return PRI, VoI, GCE, SC and the number of regions."""
    tables = [contingency(truth, labels) for truth in item.segmentations]
    functions = rand_index, conditional_entropies, consistency_error, covering
    scores = [float(np.mean([f(*table) for table in tables])) for f in functions]
    return [*scores, float(len(np.unique(labels)))]


def _counts(item: _data.Segmented, labels: Any) -> tuple[int, int, int, int]:
    """Return the numbers of boundary pixels from which the F-score follows."""
    return boundary_counts(item.segmentations, labels, 0.0075)


def _total(scores: Sequence[float]) -> float:
    pri, voi, _, covering, _ = scores
    return pri + covering - 0.2 * voi


def _f_score(counts: Any) -> float:
    recalled, n_true, matched, n_found = counts
    if recalled == 0:
        return 0.0
    precision, recall = matched / n_found, recalled / n_true
    return float(2.0 * precision * recall / (precision + recall))


if __name__ == "__main__":
    main()
