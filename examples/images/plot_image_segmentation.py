"""
Image segmentation without supervision
======================================

:class:`skredu.image.CompressionSegmenter` merges superpixels of an image as long as
textures and boundaries take fewer bits. It was never shown any other image. The
distortion decides how coarse the segments are; nothing in the image tells which scale
is the right one, so look at several of them.
"""

# %%
# The path over the distortion
# ----------------------------
#
# The photograph comes with scikit-image. Segments are drawn in their mean colours. As
# the distortion grows, details disappear first, and large regions with clear borders
# remain. The dotted line marks the distortion of the model, which is the default.

from skimage.data import astronaut

from skredu.image import CompressionSegmenter
from skredu.plotting import SegmentationPathDisplay

image = astronaut()[::2, ::2]
model = CompressionSegmenter().fit(image)
path = SegmentationPathDisplay.from_estimator(model, image)
texture, boundary = model.coding_length_
print(f"{model.n_segments_} segments: {texture:.0f} bits of textures", end=", ")
print(f"{boundary:.0f} bits of boundaries")

# %%
# A number of segments
# --------------------
#
# The tree of merges contains a segmentation for every number of segments, from one to
# the number of superpixels. Yellow lines are their boundaries.

import matplotlib.pyplot as plt
from skimage.segmentation import mark_boundaries

shown = {f"{model.superpixels_.max() + 1} superpixels": model.superpixels_}
shown |= {f"{k} segments": model.labels_at(k) for k in (25, 12, 6)}
figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="compressed")
for ax, (name, labels) in zip(axes, shown.items(), strict=True):
    ax.imshow(mark_boundaries(image, labels))
    ax.set_title(name)
    ax.set_axis_off()

# %%
# Textures
# --------
#
# Four textures consist of the same grey values in the same proportions, so the colours
# of pixels do not tell them apart. Windows do. Windows of one pixel are left out,
# because they would merge the textures in the end. The superpixels are squares. With
# pixels, the number of segments has to be given; with windows, it is found. The Rand
# index is the share of pairs of pixels that are in one segment, or in two, as they
# should be.

import numpy as np
from scipy.ndimage import gaussian_filter

from skredu.metrics import probabilistic_rand_index

rng = np.random.default_rng(0)
size, shapes = 96, [(0.5, 4.0), (4.0, 0.5), (0.5, 0.5), (2.0, 2.0)]
rows, columns = np.indices((size, size))
truth = 2 * (rows + 10 * np.sin(columns / 15) > 48) + (columns > 48)
textures = np.array(
    [gaussian_filter(rng.normal(size=(size, size)), shape) for shape in shapes]
)
ranks = textures.reshape(4, -1).argsort(axis=1).argsort(axis=1) / size**2
mosaic = np.take_along_axis(ranks.reshape(4, size, size), truth[None], axis=0)[0]
squares = (rows // 8) * size + columns // 8

options = {"superpixels": squares, "convert2lab": False}
found = {
    "pixels": CompressionSegmenter(0.2, window_sizes=(1,), n_segments=4, **options),
    "windows": CompressionSegmenter(0.2, window_sizes=(3,), **options),
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="compressed")
axes[0].imshow(mosaic, cmap="gray")
axes[0].set_title("four textures of the same greys")
for ax, (name, segmenter) in zip(axes[1:], found.items(), strict=True):
    labels = segmenter.fit(mosaic).labels_
    score = probabilistic_rand_index(truth, labels)
    ax.imshow(labels)
    ax.set_title(f"{name}: Rand index {score:.2f}")
for ax in axes:
    ax.set_axis_off()

plt.show()
