"""Pictures in memory → grey pages."""

from typing import Any

import numpy as np
from PIL import Image

from batchdigits.errors import UsageError
from batchdigits.pages.picture import convert_to_grey
from batchdigits.pages.trouble import UnreadableFileError, check_pixel_count, describe_file_error
from batchdigits.records import Failure, GreyImage, Page


def convert_image(image: Any, name: str) -> GreyImage:
    """Convert a picture to the grey that a file with these pixels would give.

    Args:
        image: shape (height, width), (height, width, 1), (height, width, 3) as red, green, blue,
            or (height, width, 4) with opacity, which is laid over white; dtype uint8, bool (true
            is white), uint16 (grey only), or a float in [0, 1].
        name: the picture's name in error messages.

    Returns:
        uint8, shape (height, width), 0 is black.

    Raises:
        UsageError: the shape, dtype or range is another.
    """
    samples = np.asarray(image)
    levels = _convert_samples(samples, name)
    grey = levels.ndim == 2
    colour = levels.ndim == 3 and levels.shape[2] in (3, 4) and levels.dtype == np.uint8
    if not levels.size or not (grey or colour):
        raise UsageError(
            f"image '{name}': expected an array of shape (height, width), or with 3 or 4 colours "
            f"behind it, got {samples.dtype} of shape {samples.shape}: give a list of such arrays"
        )
    if grey and levels.dtype == np.uint8:
        return np.ascontiguousarray(levels)
    return np.array(convert_to_grey(Image.fromarray(np.ascontiguousarray(levels)), "array"))


def _convert_samples(samples: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """Return samples as uint8, or uint16 if they are uint16; a single colour becomes grey."""
    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[..., 0]
    if samples.dtype in (np.uint8, np.uint16):
        return samples
    if samples.dtype == np.bool_:
        return np.where(samples, np.uint8(255), np.uint8(0))
    if samples.dtype.kind == "f":
        if samples.size and not (samples.min() >= 0 and samples.max() <= 1):  # false for NaN too
            raise UsageError(
                f"image '{name}': expected floats from 0 to 1, got {samples.min():g} to "
                f"{samples.max():g}: divide them by their white, or give uint8"
            )
        return np.asarray(np.rint(samples * 255), np.uint8)
    raise UsageError(
        f"image '{name}': expected uint8, bool, uint16 or floats from 0 to 1, got {samples.dtype}: "
        "convert it"
    )


def make_page(grey: GreyImage, max_pixels: int) -> Page | Failure:
    """Return a picture as page 1, or a failure if it is too large.

    Args:
        grey: uint8, shape (height, width).
        max_pixels: most pixels of a page.
    """
    height, width = grey.shape
    try:
        check_pixel_count(width, height, max_pixels)
    except UnreadableFileError as trouble:
        return Failure(1, describe_file_error(trouble, "image"))
    return Page(1, grey)
