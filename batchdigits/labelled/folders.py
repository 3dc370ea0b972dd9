"""Labelled folders: images in folders that are named by label."""

import os
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from batchdigits import pages, sources
from batchdigits.errors import UsageError
from batchdigits.labelled.labels import (
    EXPECTED_DATA,
    SKIP_LABEL,
    LabelledCrops,
    Loader,
    Part,
    map_labels,
    stack_crops,
)
from batchdigits.options import MAX_PIXELS
from batchdigits.records import Failure, GreyImage, Page, Source


def map_parts_to_folder_loaders(place: str) -> dict[Part, Loader]:
    """Return which parts a folder of labels has, and what loads each."""
    folders = _list_folders(place)
    parts: tuple[Part, Part] = ("train", "test")
    if not any(part in folders for part in parts):
        return {"train": partial(_load_folder, place)}
    loaders: dict[Part, Loader] = {
        part: partial(_load_folder, folders[part]) for part in parts if part in folders
    }
    if other_names := [name for name in folders if name not in parts]:
        raise UsageError(
            f"'{place}': expected the folders train and test alone, or folders named by label, "
            f"got '{other_names[0]}' beside them"
        )
    return loaders


def _list_folders(place: str) -> dict[str, str]:
    """Return the folders in a folder by name, except hidden ones: name → path."""
    with os.scandir(place) as items:
        entries = sorted((item.name, item.path) for item in items if item.is_dir())
    return {name: path for name, path in entries if not name.startswith(".")}


def _load_folder(place: str, names: Mapping[str, str]) -> LabelledCrops:
    folders = _list_folders(place)
    if not folders:
        raise UsageError(f"'{place}' holds no folders: expected {EXPECTED_DATA}")
    labelled_sources: list[tuple[Source, int]] = []
    for name, code in zip(folders, map_labels(list(folders), names, place), strict=True):
        if code != SKIP_LABEL:
            labelled_sources += [(source, code) for source in _find_images(folders[name])]
    read = [
        (crop, code, entry_name)
        for source, code in labelled_sources
        for entry_name, crop in _decode_crops(source)
    ]
    if faults := [crop for crop, _, _ in read if isinstance(crop, str)]:
        more = f" (and {len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise UsageError(f"{faults[0]}{more}: mend or remove it")
    crops = [crop for crop, _, _ in read if not isinstance(crop, str)]
    if not crops:
        raise UsageError(f"'{place}': every label is left out by --labels: expected some to stay")
    labels = np.array([code for _, code, _ in read], np.int64)
    return LabelledCrops(stack_crops(crops), labels, [entry_name for _, _, entry_name in read])


def _find_images(folder: str) -> list[Source]:
    """Return the images of one label; a label without any is most likely a mistake."""
    images = sources.find_sources([folder]).sources
    if not images:
        raise UsageError(f"'{folder}' holds no images: expected some, or no such folder")
    return images


def _decode_crops(source: Source) -> Iterator[tuple[str, GreyImage | str]]:
    """Decode every page of a file: yield its name, and the crop or why there is none."""
    if source.fault:
        yield source.file, f"'{source.file}' cannot be read: {source.fault}"
        return
    for page in pages.load_pages(source.path, max_pixels=MAX_PIXELS):
        if isinstance(page, Page) and page.format != "PDF":
            entry_name = source.file if page.number == 1 else f"{source.file} page {page.number}"
            yield entry_name, page.grey
        else:
            reason = page.detail if isinstance(page, Failure) else "PDF is not read as crops"
            yield source.file, f"'{source.file}' cannot be read: {reason}"
