"""Pictures that are in memory already → grey pages."""

from typing import Any

import numpy as np
from PIL import Image

from batchdigits.errors import UsageError
from batchdigits.pages.picture import convert_to_grey
from batchdigits.pages.trouble import UnreadableFileError, check_pixel_count, describe_file_error
from batchdigits.records import Failure, GreyImage, Page


def convert_image(image: Any, name: str) -> GreyImage:
    """Bring a picture to grey, as it is done with a file of these pixels.

    Args:
        image: shape (height, width), (height, width, 1), (height, width, 3) as red, green, blue,
            or (height, width, 4) with opacity, which is laid over white; dtype uint8, bool (true
            is white), uint16 (grey only), or a float in [0, 1].
        name: what an error calls it.

    Returns:
        uint8, shape (height, width), 0 is black.

    Raises:
        UsageError: it is no such picture.
    """
    found = np.asarray(image)
    levels = _convert_samples(found, name)
    grey = levels.ndim == 2
    colour = levels.ndim == 3 and levels.shape[2] in (3, 4) and levels.dtype == np.uint8
    if not levels.size or not (grey or colour):
        raise UsageError(
            f"image '{name}': expected an array of shape (height, width), or with 3 or 4 colours "
            f"behind it, got {found.dtype} of shape {found.shape}: give a list of such arrays"
        )
    if grey and levels.dtype == np.uint8:
        return np.ascontiguousarray(levels)
    return np.array(convert_to_grey(Image.fromarray(np.ascontiguousarray(levels)), "array"))


def _convert_samples(found: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """Return samples as uint8, or as uint16 where they are; a single colour is grey."""
    if found.ndim == 3 and found.shape[2] == 1:
        found = found[..., 0]
    if found.dtype in (np.uint8, np.uint16):
        return found
    if found.dtype == np.bool_:
        return np.where(found, np.uint8(255), np.uint8(0))
    if found.dtype.kind == "f":
        if found.size and not (found.min() >= 0 and found.max() <= 1):  # false for NaN too
            raise UsageError(
                f"image '{name}': expected floats from 0 to 1, got {found.min():g} to "
                f"{found.max():g}: divide them by their white, or give uint8"
            )
        return np.asarray(np.rint(found * 255), np.uint8)
    raise UsageError(
        f"image '{name}': expected uint8, bool, uint16 or floats from 0 to 1, got {found.dtype}: "
        "convert it"
    )


def make_page(grey: GreyImage, max_pixels: int) -> Page | Failure:
    """Return a picture as the one page of a file; a failure where it is too large.

    Args:
        grey: uint8, shape (height, width).
        max_pixels: most pixels of it.
    """
    height, width = grey.shape
    try:
        check_pixel_count(width, height, max_pixels)
    except UnreadableFileError as trouble:
        return Failure(1, describe_file_error(trouble, "image"))
    return Page(1, grey)
