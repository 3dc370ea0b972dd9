"""Labelled arrays: .npz and IDX files."""

import gzip
import math
import os
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UsageError
from batchdigits.labelled.labels import (
    EXPECTED_DATA,
    SKIP_LABEL,
    LabelledCrops,
    Loader,
    Part,
    map_labels,
)

_NPZ_KEYS: tuple[tuple[Part, str, str], ...] = (
    ("train", "x_train", "y_train"),
    ("test", "x_test", "y_test"),
    ("train", "x", "y"),
    ("train", "images", "labels"),
)
IDX_FILE_NAME = re.compile(r"(train|t10k)-(images|labels)[-.]idx[13]-ubyte(\.gz)?\Z")


def find_npz_loaders(place: str) -> dict[Part, Loader]:
    """Return which parts a .npz file has, by its keys, and what loads each."""
    with _open_npz(place) as archive:
        keys = archive.files
    loaders: dict[Part, Loader] = {}
    for part, x, y in _NPZ_KEYS:
        if (x in keys) != (y in keys):
            raise UsageError(f"'{place}': expected {x} and {y}, got {', '.join(keys):.100}")
        if x in keys and part not in loaders:
            loaders[part] = partial(_load_npz, place, x, y)
    if not loaders:
        raise UsageError(f"'{place}': expected {EXPECTED_DATA}; it holds {', '.join(keys):.100}")
    return loaders


@contextmanager
def _open_npz(place: str) -> Iterator[Any]:
    """Open a .npz file, but never load pickles in it, which can run any code."""
    if not zipfile.is_zipfile(place):  # numpy would take it for a pickle
        raise UsageError(
            f"'{place}' is no .npz file, or cannot be opened: expected {EXPECTED_DATA}"
        )
    try:
        with Path(place).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            yield archive
    except Exception as error:  # numpy does not document what a damaged file raises
        raise UsageError(f"'{place}' is damaged or cannot be read: {error}") from None


def _load_npz(place: str, x: str, y: str, names: Mapping[str, str]) -> LabelledCrops:
    with _open_npz(place) as archive:
        images, labels = archive[x], archive[y]
    return _make_labelled_crops(images, labels, names, f"{place}:{x}")


def find_idx_loaders(place: str, matches: list[re.Match[str]]) -> dict[Part, Loader]:
    """Return which parts a folder of IDX files has, and what loads each.

    Args:
        place: the folder.
        matches: the matches of `IDX_FILE_NAME` with its files.
    """
    files = {(match[1], match[2]): os.path.join(place, match[0]) for match in matches}
    pairs: tuple[tuple[Part, str], ...] = (("train", "train"), ("test", "t10k"))
    loaders: dict[Part, Loader] = {}
    for part, prefix in pairs:
        images, labels = files.get((prefix, "images")), files.get((prefix, "labels"))
        if (images is None) != (labels is None):
            raise UsageError(
                f"'{place}': expected {prefix}-images-idx3-ubyte and {prefix}-labels-idx1-ubyte, "
                f"got only '{Path(images or labels or '').name}'"
            )
        if images is not None and labels is not None:
            loaders[part] = partial(_load_idx, images, labels)
    return loaders


def _load_idx(images: str, labels: str, names: Mapping[str, str]) -> LabelledCrops:
    return _make_labelled_crops(
        _load_idx_array(images, 3), _load_idx_array(labels, 1), names, images
    )


def _load_idx_array(path: str, dimensions: int) -> NDArray[np.uint8]:
    """Read an IDX file of bytes: 0, 0, 8, the number of dimensions, their lengths, the data."""
    try:
        data = (gzip.decompress if path.endswith(".gz") else bytes)(Path(path).read_bytes())
    except Exception as error:
        raise UsageError(f"'{path}' cannot be read: {error}") from None
    start = 4 + 4 * dimensions
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) < start:
        raise UsageError(
            f"'{path}' is no IDX file of bytes in {dimensions} dimensions: begins with {data[:4]!r}"
        )
    shape = struct.unpack(f">{dimensions}I", data[4:start])
    if len(data) - start != math.prod(shape):
        raise UsageError(
            f"'{path}' is damaged or cut short: expected {math.prod(shape):,} bytes after its "
            f"header, got {len(data) - start:,}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _make_labelled_crops(
    images: NDArray[Any], labels: NDArray[Any], names: Mapping[str, str], name: str
) -> LabelledCrops:
    """Check arrays of images and labels, and turn them into `LabelledCrops`."""
    crops = _convert_to_grey_images(images, name)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != len(crops):
        raise UsageError(
            f"'{name}': expected a label for each of {len(crops):,} images, of shape "
            f"({len(crops)},), got labels of shape {labels.shape}"
        )
    if labels.dtype.kind == "f" and (labels == np.rint(labels)).all():
        labels = labels.astype(np.int64)
    kinds, which = np.unique(labels, return_inverse=True)
    written = [
        kind.decode("latin-1") if isinstance(kind, bytes) else str(kind) for kind in kinds.tolist()
    ]
    codes = np.array(map_labels(written, names, name), np.int64)[which]
    kept_indices = np.flatnonzero(codes != SKIP_LABEL)
    if not len(kept_indices):
        raise UsageError(f"'{name}': expected images, got none that is not left out")
    entry_names = [f"{name}[{n}]" for n in kept_indices]
    return LabelledCrops(
        crops if len(kept_indices) == len(crops) else crops[kept_indices],
        codes[kept_indices],
        entry_names,
    )


def _convert_to_grey_images(images: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Return whole numbers from 0 to 255 as grey levels, uint8 (N, height, width)."""
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim != 3 or 0 in images.shape:
        raise UsageError(
            f"'{name}': expected grey images of shape (N, height, width) or (N, height, width, 1), "
            f"got shape {images.shape}; make colour grey, and flat rows into pictures"
        )
    if images.dtype.kind not in "iu" or images.min() < 0 or images.max() > 255:
        limits = f" from {images.min()} to {images.max()}" if images.dtype.kind in "iuf" else ""
        raise UsageError(
            f"'{name}': expected grey levels, uint8 from 0 to 255, got {images.dtype}{limits}; "
            "save them as uint8 (shares from 0 to 1 times 255)"
        )
    return images.astype(np.uint8)
