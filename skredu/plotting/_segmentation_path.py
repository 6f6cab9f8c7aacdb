"""SegmentationPathDisplay: segmentations of an image at several scales."""

from __future__ import annotations

from typing import Any

import numpy as np

from skredu._checks import check_integer, naming
from skredu.plotting import _looks
from skredu.plotting._display import Axes, Display

# Height of the images relative to that of the axes of the lines, and the gap.
IMAGES, GAP = 0.8, 0.22


class SegmentationPathDisplay(Display):
    r"""An image, its segments at several scales, and their bits and their number.

    The number of segments decreases as the distortion :math:`\epsilon` grows, and so
    do the bits of textures and boundaries. A number that stays the same over a range of
    distortions belongs to regions that differ clearly. Which scale is the right one
    depends on the purpose, so look at several.

    Parameters
    ----------
    image : array-like of shape (height, width) or (height, width, n_channels)
        The image. If there are not three channels, their mean is shown.
    epsilon : array-like of shape (n_epsilons,)
        Distortions.
    n_segments : array-like of shape (n_epsilons,)
        Number of segments for each distortion.
    coding_length : array-like of shape (n_epsilons, 2)
        Bits of textures and of boundaries.
    labels : array-like of shape (n_epsilons, height, width)
        Segment of each pixel.
    chosen : float, default=None
        A distortion to mark, usually that of the estimator.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The numbers of segments.
    bits_lines_ : list of matplotlib Line2D
        The bits of textures, and those of boundaries.
    chosen_line_ : matplotlib Line2D or None
        The mark of the chosen distortion.
    images_ : matplotlib AxesImage
        The image and its segments, side by side.
    ax_ : matplotlib Axes
        The axes of the numbers of segments.
    bits_ax_ : matplotlib Axes
        The axes of the bits, with ticks on the right.
    images_ax_ : matplotlib Axes
        The axes of the images, above.
    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    skredu.image.CompressionSegmenter : Its method ``segmentation_path`` computes the
        segmentations.

    References
    ----------
    Mobahi, Rao, Yang, Sastry and Ma, "Segmentation of natural images by texture and
    boundary compression", International Journal of Computer Vision 95, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from skredu.image import CompressionSegmenter
    >>> from skredu.plotting import SegmentationPathDisplay
    >>> image = np.zeros((30, 30))
    >>> image[:, 10:] = 0.5
    >>> image[:, 20:] = 1.0
    >>> columns = np.tile(np.arange(30) // 5, (30, 1))
    >>> model = CompressionSegmenter(superpixels=columns).fit(image)
    >>> display = SegmentationPathDisplay.from_estimator(model, image, [10, 1e4])
    >>> display.frame().n_segments.tolist()
    [3, 1]
    """

    __module__ = "skredu.plotting"

    line_: Any
    bits_lines_: Any
    chosen_line_: Any
    images_: Any
    bits_ax_: Any
    images_ax_: Any

    def __init__(
        self,
        *,
        image: Any,
        epsilon: Any,
        n_segments: Any,
        coding_length: Any,
        labels: Any,
        chosen: float | None = None,
    ) -> None:
        self.image = image
        self.epsilon = epsilon
        self.n_segments = n_segments
        self.coding_length = coding_length
        self.labels = labels
        self.chosen = chosen

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        image: Any,
        epsilons: Any = None,
        *,
        n_images: int = 3,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> SegmentationPathDisplay:
        """Segment an image with every distortion, and draw the results.

        Parameters
        ----------
        estimator : estimator instance
            Fitted `skredu.image.CompressionSegmenter`. Its distortion is marked.
        image : array-like of shape (height, width) or (height, width, n_channels)
            The image to which it is fitted, with the channels last.
        epsilons : array-like of shape (n_epsilons,), default=None
            Distortions. None takes those of the method ``segmentation_path``.
        n_images : int, default=3
            Number of segmentations to show, at distortions that are evenly spaced.
        {with_lines}
        """
        model, _ = cls._last_step(estimator)
        cls._require(model, ["segmentation_path"], "segmentations of an image")
        path = model.segmentation_path(epsilons)
        display = cls(image=image, **path, chosen=model.epsilon)
        return display.plot(ax, n_images=n_images, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, n_images: int = 3, **kwargs: Any
    ) -> SegmentationPathDisplay:
        """Draw the display.

        Parameters
        ----------
        {ax}
        n_images : int, default=3
            Number of segmentations to show, at distortions that are evenly spaced.
        {lines}

        {returns_or_raises}
        """
        n_images = check_integer(n_images, "n_images", 1)
        order = np.argsort(self.epsilon)
        some = np.linspace(0, len(order) - 1, min(n_images, len(order))).round()
        shown = order[some.astype(int)]
        picture, labels = _picture(self.image), np.asarray(self.labels)
        if labels.shape[1:] != picture.shape[:2]:
            raise ValueError(
                f"Bad image: must have the shape {labels.shape[1:]} of the labels, or "
                f"that and channels last, found {np.shape(self.image)}."
            )
        segments = [_segments(picture, labels[i]) for i in shown]
        own_figure, ax = ax is None, self._axes(ax, (6.0, 4.8))
        self._draw_images(ax, [picture, *segments], shown)
        self._draw_lines(ax, order, kwargs)
        self.chosen_line_ = None
        if self.chosen is not None:
            color = _looks.text_color(ax)
            self.chosen_line_ = ax.axvline(self.chosen, color=color, ls=":", lw=1)
        if own_figure:  # the layout fits the images only when it is drawn again
            self.figure_.draw_without_rendering()
        return self

    def frame(self) -> Any:
        """Return the displayed numbers as a data frame.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_epsilons, 4)
            ``epsilon``, ``n_segments``, ``texture`` and ``boundary``, which are bits.
        """
        texture, boundary = np.asarray(self.coding_length).T
        bits = {"texture": texture, "boundary": boundary}
        return self._frame(
            {"epsilon": self.epsilon, "n_segments": self.n_segments, **bits}
        )

    def _draw_lines(self, ax: Any, order: Any, given: dict[str, Any]) -> None:
        """Draw the number of segments and the bits as functions of the distortion."""
        self.bits_ax_ = ax.twinx()
        x, bits = np.asarray(self.epsilon)[order], np.asarray(self.coding_length)[order]
        self.bits_lines_ = []
        for values, name, marker in zip(
            bits.T, ("bits of textures", "bits of boundaries"), "sv", strict=True
        ):
            ours = {"color": _looks.PALETTE[1], "marker": marker, "label": name}
            style = _looks.style_of({"markersize": 4, **ours}, given)
            self.bits_lines_ += self.bits_ax_.plot(x, values, **style)
        self.bits_ax_.legend(loc="upper right")
        self.bits_ax_.set(yscale="log")
        self.bits_ax_.set_ylabel("bits", color=_looks.PALETTE[1])
        style = _looks.style_of(
            {"color": _looks.PALETTE[0], "marker": "o", "markersize": 4}, given
        )
        (self.line_,) = ax.plot(x, np.asarray(self.n_segments)[order], **style)
        ax.set(xscale="log", yscale="log", xlabel=r"distortion $\epsilon$")
        ax.set_ylabel("number of segments", color=_looks.PALETTE[0])
        for axis in (ax.xaxis, ax.yaxis):
            _looks.use_plain_numbers(axis)

    def _draw_images(self, ax: Any, images: Any, shown: Any) -> None:
        """Draw images side by side, above the axes of the lines."""
        self.images_ax_ = ax.inset_axes((0.0, 1.0 + GAP, 1.0, IMAGES))
        image, _, middles = _looks.mosaic(np.array(images)[None])
        self.images_ = self.images_ax_.imshow(image)
        self.images_ax_.set_anchor("S")
        epsilon, n = np.asarray(self.epsilon)[shown], np.asarray(self.n_segments)[shown]
        names = ["image"]
        names += [
            f"$\\epsilon$ = {e:.3g}\n{k} segment{'s' * int(k > 1)}"
            for e, k in zip(epsilon, n, strict=True)
        ]
        self.images_ax_.set_xticks(middles, names, fontsize="small")
        self.images_ax_.set_yticks([])
        _looks.hide_frame(self.images_ax_)


def _picture(image: Any) -> Any:
    """Return an image in colours from 0 to 1, of shape (height, width, 3)."""
    with naming("image"):
        image = np.asarray(image, dtype=np.float64)
        if image.ndim not in (2, 3) or image.size == 0:
            raise ValueError(
                "must have the shape (height, width) or (height, width, n_channels), "
                f"found {image.shape}."
            )
    if image.ndim == 3 and image.shape[2] != 3:
        image = image.mean(axis=2)
    low, high = float(image.min()), float(image.max())
    image = (image - low) / ((high - low) or 1.0)
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def _segments(picture: Any, labels: Any) -> Any:
    """Return a picture in which each segment has its mean colour, and an outline."""
    flat, counts = labels.ravel(), np.bincount(labels.ravel())
    colors = np.stack(
        [np.bincount(flat, picture[..., i].ravel()) / counts for i in range(3)], axis=1
    )
    found = colors[labels]
    for axis in (0, 1):
        edges = np.moveaxis(found, axis, 0)[:-1]
        edges[np.moveaxis(np.diff(labels, axis=axis) != 0, axis, 0)] = 1.0
    return found
