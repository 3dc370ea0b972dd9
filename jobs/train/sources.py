"""The labelled sets that the shipped model learns from, each with its licence.

A folder holds them as published: mnist.npz, usps.npz, ardis.npz, opencv_digits.npz, dida.zip,
printed_sudoku_cells.zip, printed_photographed.zip, meter_dials.zip; fonts.npz is drawn by
`fonts.py`. A set that is missing is left out, and said so.
"""

import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from batchdigits.labelled import EMPTY_LABEL, NO_DIGIT_LABEL, LabelledCrops, load_labelled_crops

ABOUT = {
    "mnist": ("MNIST, training part (LeCun, Cortes, Burges)", "CC BY-SA 3.0"),
    "usps": ("USPS zip codes, training part (Hull 1994)", "none stated"),
    "ardis": ("ARDIS, dataset IV, training part (Kusetogullari and others 2019)", "cite the paper"),
    "opencv": ("OpenCV's digits.png", "Apache-2.0 (the project's)"),
    "dida": ("DIDA, a sample of 10,000 (Kusetogullari and others 2020)", "none stated"),
    "sudoku": ("printed Sudoku cells", "MIT"),
    "photo": ("printed digits, photographed", "none stated"),
    "meter": ("meter dials", "none stated"),
    "fonts": ("digits of Debian's font packages", "each font's own, all free"),
    "letters": ("letters and signs of the same fonts, as no digits", "each font's own, all free"),
}


def arrays(place: Path, part: str = "train") -> LabelledCrops:
    """Read the digits of an .npz; USPS fills its frame, and gets a margin as a scan has one."""
    found = load_labelled_crops(
        str(place), part=part, names={"10": "skip"} if place.stem == "fonts" else {}
    )
    if place.stem != "usps":
        return found
    return found._replace(crops=np.pad(np.asarray(found.crops), ((0, 0), (4, 4), (4, 4))))


def letters(place: Path, part: str = "train") -> LabelledCrops:
    """Read what is no digit of an .npz."""
    names = {str(digit): "skip" for digit in range(10)} | {"10": "none"}
    return load_labelled_crops(str(place), part=part, names=names)


def zipped(place: Path, label: Callable[[PurePosixPath], int]) -> LabelledCrops:
    """Read the pictures of a .zip, each labelled by its path in it."""
    crops, labels, names = [], [], []
    with zipfile.ZipFile(place) as archive:
        for name in sorted(archive.namelist()):
            path = PurePosixPath(name)
            if path.suffix.lower() in {".jpg", ".jpeg", ".png"}:
                data = np.frombuffer(archive.read(name), np.uint8)
                crops.append(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
                labels.append(label(path))
                names.append(name)
    return LabelledCrops(crops, np.array(labels, np.int64), names)


def folder(path: PurePosixPath) -> int:
    """Take the label from the folder."""
    return int(path.parent.name)


def cell(path: PurePosixPath) -> int:
    """Take the label from the folder, of which 0 holds the empty cells."""
    return folder(path) or EMPTY_LABEL


def dial(path: PurePosixPath) -> int:
    """Take the label from the name's first letter; NaN is between two digits."""
    return int(path.name[0]) if path.name[0].isdigit() else NO_DIGIT_LABEL


def photographed(path: PurePosixPath) -> int:
    """Take the label from within the name."""
    found = re.search(r"_(\d)_\d+\.", path.name)
    if not found:
        sys.exit(f"{path}: expected a name such as x_7_12.png")
    return int(found[1])


READERS: dict[str, tuple[str, Callable[[Path], LabelledCrops]]] = {
    "mnist": ("mnist.npz", arrays),
    "usps": ("usps.npz", arrays),
    "ardis": ("ardis.npz", arrays),
    "opencv": ("opencv_digits.npz", arrays),
    "dida": ("dida.zip", lambda place: zipped(place, folder)),
    "sudoku": ("printed_sudoku_cells.zip", lambda place: zipped(place, cell)),
    "photo": ("printed_photographed.zip", lambda place: zipped(place, photographed)),
    "meter": ("meter_dials.zip", lambda place: zipped(place, dial)),
    "fonts": ("fonts.npz", arrays),
    "letters": ("fonts.npz", letters),
}


def sets(*folders: Path) -> dict[str, LabelledCrops]:
    """Read all sets that are in the folders, in the order of `READERS`."""
    out = {}
    for name, (file, reader) in READERS.items():
        places = [place / file for place in folders if (place / file).is_file()]
        if places:
            out[name] = reader(places[0])
        else:
            print(f"{name}: no {file}, left out", file=sys.stderr)
    return out
