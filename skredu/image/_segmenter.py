"""CompressionSegmenter: merge superpixels as long as the image takes fewer bits."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skredu._base import SkreduEstimator, all_or_nothing
from skredu._checks import check_integer, distortion, is_integer
from skredu._compat import CallbackSupportMixin, Interval, StrOptions
from skredu._progress import watched
from skredu.image._coding import Coder, cut
from skredu.image._pixels import checked_image, pixel_values, superpixels_of

LARGEST_WINDOW = 31
# Default distortions of a path, relative to that of the estimator.
RELATIVE_EPSILONS = 2.0 ** np.arange(-2.0, 2.25, 0.5)


class CompressionSegmenter(CallbackSupportMixin, SkreduEstimator):
    r"""Segmentation of images by coding length: find regions that take the fewest bits.

    The image is split into superpixels. Neighbouring regions are merged, always those
    whose union saves the most bits, until no merge saves bits any more. A region R of
    N pixels takes

    .. math::

        L(R) = \frac{N/w^2 + D}{2} \log_2 \det\Bigl(I + \frac{D}{\epsilon^2}
               \Sigma\Bigr) + \frac D2 \log_2\Bigl(1 + \frac{\mu^T\mu}{\epsilon^2}\Bigr)

    bits for its texture, where :math:`\mu` and :math:`\Sigma` are mean and covariance
    of ``D`` principal components of the windows of ``w`` by ``w`` pixels that are
    wholly inside of the region. A boundary takes 1.2 bits for each side of a pixel,
    times ``boundary_weight``. Regions are merged with large windows first, and with
    smaller ones afterwards. The number of segments need not be known, because it
    follows from the distortion.

    Parameters
    ----------
    epsilon : float, default=32.0
        Distortion of a window, a length in the units of the values that are coded:
        L*a*b* for colour images, in which the lightness is between 0 and 100. The
        formula has its square. Greater values lead to fewer segments. The best value
        differs from image to image; see ``segmentation_path``.
    n_segments : int, default=None
        Number of segments. None stops merging when it does not save bits any more.
    boundary_weight : float, default=3.0
        Weight of the bits of boundaries. Greater values lead to fewer segments with
        shorter boundaries. Without them, hundreds of regions would remain.
    window_sizes : tuple of int, default=(5, 3, 1)
        Widths of the windows, odd numbers up to 31, in the order in which they are
        used. Regions in which fewer than 10 windows fit wait for the next size, and all
        regions may be merged by the last one. Windows of one pixel tell colours apart,
        but not textures that consist of the same colours; leave them out for these.
    n_components : int, default=8
        Number of principal components of windows.
    superpixels : {"felzenszwalb", "slic"}, callable or array-like, \
            default="felzenszwalb"
        The initial regions. A name is a function of scikit-image; "felzenszwalb" is for
        images in the plane. Otherwise, a label image of integers, or a function that
        computes it from the image, with the channels last. Superpixels with several
        parts that have no sides of pixels in common are split into these.
    channel_axis : int or None, default=-1
        Axis of the channels. None means that there is none, as in a grey volume. A
        two-dimensional image is grey.
    convert2lab : bool, default=None
        Whether to convert RGB images to L*a*b*, and grey ones to L*. None converts
        images with three channels and grey ones. Others are coded as they are, and need
        an ``epsilon`` in their units. Leave out a channel of transparency.

    Attributes
    ----------
    labels_ : ndarray of shape (height, width)
        Segment of each pixel, in the order of their first pixels.
    n_segments_ : int
        Number of segments.
    superpixels_ : ndarray of shape (height, width)
        Superpixel of each pixel.
    coding_length_ : ndarray of shape (2,)
        Bits of the segments with the last windows: of their textures, and of the
        boundaries between them.
    children_ : ndarray of shape (n_superpixels - 1, 2)
        Tree of merges. Numbers below ``n_superpixels`` are superpixels, and merge ``i``
        forms the node ``n_superpixels + i``.
    merge_costs_ : ndarray of shape (n_superpixels - 1,)
        Bits that each merge adds; negative costs save bits. Those with different
        windows cannot be compared.

    See Also
    --------
    skredu.CompressionClustering : Clusters samples by coding length.
    skredu.plotting.SegmentationPathDisplay : Draws segmentations at several scales.
    skredu.metrics.segmentation_covering : Compares segmentations with true ones.

    Notes
    -----
    An image of 481 x 321 pixels takes less than a second. The features of a window size
    take :math:`8 D` bytes per pixel, and there are three of them. Merging takes
    :math:`O(D^3)` operations for each neighbour of a region that has changed. The
    values of the pixels are kept for ``segmentation_path``, also in pickles.

    All features are relative to the mean of the image. Windows that meet the boundary
    between two regions only are windows of their union. Values outside of the image are
    those at its border. The bits of boundaries are those of a chain code along sides of
    pixels that goes straight on with the probability 0.7. Callbacks of scikit-learn
    observe one task per window size. If a callback asks to stop, the remaining window
    sizes are not used to determine the number of segments.

    References
    ----------
    Mobahi, Rao, Yang, Sastry and Ma, "Segmentation of natural images by texture and
    boundary compression", International Journal of Computer Vision 95, 2011.

    Yang, Wright, Ma and Sastry, "Unsupervised segmentation of natural images via lossy
    data compression", Computer Vision and Image Understanding 110(2), 2008.

    Examples
    --------
    Two textures of the same colours, which differ in windows but not in pixels:

    >>> import numpy as np
    >>> from skredu.image import CompressionSegmenter
    >>> image = np.zeros((48, 48))
    >>> image[::2, :24] = 1.0  # horizontal stripes
    >>> image[:, 24::2] = 1.0  # vertical stripes
    >>> squares = np.arange(16).reshape(4, 4).repeat(12, axis=0).repeat(12, axis=1)
    >>> model = CompressionSegmenter(window_sizes=(5, 3), superpixels=squares)
    >>> model.fit(image).n_segments_
    2
    >>> model.labels_[0, [0, 23, 24, 47]].tolist()
    [0, 0, 1, 1]
    """

    __module__ = "skredu.image"
    _doc_link_template = (
        "https://skredu.readthedocs.io/en/stable/generated/"
        "skredu.image.{estimator_name}.html"
    )

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_segments": [None, Interval(Integral, 1, None, closed="left")],
        "boundary_weight": [Interval(Real, 0, 1e15, closed="both")],
        "window_sizes": ["array-like"],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "superpixels": [
            StrOptions({"felzenszwalb", "slic"}),
            callable,
            "array-like",
        ],
        "channel_axis": [None, Integral],
        "convert2lab": [None, "boolean"],
    }

    def __init__(
        self,
        epsilon: float = 32.0,
        *,
        n_segments: int | None = None,
        boundary_weight: float = 3.0,
        window_sizes: Sequence[int] = (5, 3, 1),
        n_components: int = 8,
        superpixels: Any = "felzenszwalb",
        channel_axis: int | None = -1,
        convert2lab: bool | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.n_segments = n_segments
        self.boundary_weight = boundary_weight
        self.window_sizes = window_sizes
        self.n_components = n_components
        self.superpixels = superpixels
        self.channel_axis = channel_axis
        self.convert2lab = convert2lab

    @all_or_nothing
    def fit(self, image: Any, y: Any = None) -> CompressionSegmenter:
        """Segment an image.

        Parameters
        ----------
        image : array-like of shape (height, width) or (height, width, n_channels)
            The image, or a volume with one more dimension. Colours are integers of 8 or
            16 bits, or numbers from 0 to 1.
        y : None
            Not used, present here for API consistency by convention.

        Returns
        -------
        self : CompressionSegmenter
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the image is invalid.
        ImportError
            If ``superpixels`` is a name and scikit-image is not installed.
        """
        self._validate_params()
        epsilon, sizes = distortion(self.epsilon), self._checked_sizes()
        image = checked_image(image, self.channel_axis)
        self._values, picture = pixel_values(image, self.convert2lab)
        self.superpixels_ = superpixels_of(image, picture, self.superpixels)
        with watched(self, len(self.window_sizes), X=image) as progress:
            # Later changes of parameters have no effect.
            weight, n_components = float(self.boundary_weight), int(self.n_components)
            self._coding = epsilon, (sizes, n_components, weight)
            coder = Coder(self._values, self.superpixels_, *self._coding[1])
            found = coder.merge(epsilon, lambda: progress.done("windows"))
            self.children_, self.merge_costs_, self._n_saving = found
        k = self.n_segments
        self.labels_ = self._cut(self._n_saving) if k is None else self.labels_at(k)
        self.n_segments_ = int(self.labels_.max()) + 1
        self.coding_length_ = coder.bits(self.labels_, epsilon)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "labels_")

    def labels_at(self, n_segments: int) -> Any:
        """Return the segmentation with a given number of segments.

        Parameters
        ----------
        n_segments : int
            Number of segments, at most the number of superpixels.

        Returns
        -------
        labels : ndarray of shape (height, width)
            Segment of each pixel, from 0.

        Raises
        ------
        ValueError
            If there are fewer superpixels.
        """
        check_is_fitted(self, "children_")
        n_superpixels = len(self.children_) + 1
        k = check_integer(n_segments, "n_segments", 1)
        if k > n_superpixels:
            raise ValueError(
                f"Bad n_segments: must be at most {n_superpixels}, the number of "
                f"superpixels, found {k}."
            )
        return self._cut(n_superpixels - k)

    def segmentation_path(self, epsilons: Any = None) -> dict[str, Any]:
        """Segment the image of the last fit with several distortions.

        Parameters
        ----------
        epsilons : array-like of shape (n_epsilons,), default=None
            Distortions. None means nine of them, from a quarter of ``epsilon`` to four
            times it.

        Returns
        -------
        path : dict of str to ndarray
            ``epsilon`` and ``n_segments`` of shape (n_epsilons,), ``coding_length`` of
            shape (n_epsilons, 2) with the bits of textures and of boundaries, and
            ``labels`` of shape (n_epsilons, height, width).

        Raises
        ------
        ValueError
            If a distortion is not positive and finite.
        """
        check_is_fitted(self)
        fitted_epsilon, parameters = self._coding
        if epsilons is None:
            epsilons = fitted_epsilon * RELATIVE_EPSILONS
        values = [distortion(e) for e in np.ravel(np.asarray(epsilons, dtype=object))]
        if not values:
            raise ValueError("Bad epsilons: must be at least one number, found none.")
        coder = Coder(self._values, self.superpixels_, *parameters)
        labels, bits = [], []
        for epsilon in values:
            children, _, n_saving = coder.merge(epsilon)
            labels.append(cut(self.superpixels_, children, n_saving))
            bits.append(coder.bits(labels[-1], epsilon))
        return {
            "epsilon": np.array(values),
            "n_segments": np.array([int(found.max()) + 1 for found in labels]),
            "coding_length": np.array(bits),
            "labels": np.array(labels),
        }

    def _cut(self, n_merges: int) -> Any:
        return cut(self.superpixels_, self.children_, n_merges)

    def _checked_sizes(self) -> list[int]:
        """Return the window sizes, which are odd numbers."""
        sizes = list(np.ravel(np.asarray(self.window_sizes, dtype=object)))
        odd = [is_integer(s) and s % 2 == 1 and 1 <= s <= LARGEST_WINDOW for s in sizes]
        if not odd or not all(odd):
            raise ValueError(
                "Bad window_sizes: must be one or more odd numbers from 1 to "
                f"{LARGEST_WINDOW}, found {self.window_sizes!r}."
            )
        return [int(size) for size in sizes]


def compression_segmenter(image: Any, *, epsilon: float = 32.0, **options: Any) -> Any:
    """Segment an image by coding length.

    This is the attribute ``labels_`` of `skredu.image.CompressionSegmenter`.

    Parameters
    ----------
    image : array-like of shape (height, width) or (height, width, n_channels)
        The image, or a volume with one more dimension. Colours are integers of 8 or 16
        bits, or numbers from 0 to 1.
    epsilon : float, default=32.0
        Distortion of a window; its square is in the formula. Greater values lead to
        fewer segments.
    **options : dict
        Other parameters of `skredu.image.CompressionSegmenter`.

    Returns
    -------
    labels : ndarray of shape (height, width)
        Segment of each pixel, from 0.

    Raises
    ------
    ValueError
        If a parameter or the image is invalid.

    See Also
    --------
    CompressionSegmenter : Also returns segmentations at other scales.

    Examples
    --------
    >>> import numpy as np
    >>> from skredu.image import compression_segmenter
    >>> image = np.zeros((30, 30))
    >>> image[:, 10:] = 1.0
    >>> columns = np.tile(np.arange(30) // 5, (30, 1))
    >>> compression_segmenter(image, superpixels=columns)[0, ::5].tolist()
    [0, 0, 1, 1, 1, 1]
    """
    return CompressionSegmenter(epsilon, **options).fit(image).labels_


compression_segmenter.__module__ = "skredu.image"
