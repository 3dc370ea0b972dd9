"""The labelled sets that the shipped model learns from, and those that it is tested on.

A folder holds them as published: mnist.npz, opencv_digits.npz, swiss_digits.zip, pendigits.npz,
unipen_digits.npz, unipen_words_1digit.npz, unipen_letters_symbols.npz, printed_sudoku_cells.zip;
fonts.npz is drawn by `fonts.py`. These have an open licence. Without one, and for tests alone:
usps.npz, ardis.npz, dida.zip, printed_photographed.zip, meter_dials.zip, small_digits.npz. A set
that is missing is left out, and said so.
"""

import csv
import io
import re
import sys
import zipfile
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from batchdigits.labelled import EMPTY_LABEL, NO_DIGIT_LABEL, LabelledCrops, load_labelled_crops
from batchdigits.training.lines import FLOURISH, SEPARATOR
from batchdigits.training.pen import LabelledSet, PenCrops, scale_strokes
from batchdigits.training.strings import PenString

ABOUT = {
    "mnist": ("MNIST, training part (LeCun, Cortes, Burges)", "CC BY-SA 3.0"),
    "usps": ("USPS zip codes, training part (Hull 1994)", "none stated"),
    "ardis": ("ARDIS, dataset IV, training part (Kusetogullari and others 2019)", "cite the paper"),
    "opencv": ("OpenCV's digits.png", "Apache-2.0 (the project's)"),
    "dida": ("DIDA, a sample of 10,000 (Kusetogullari and others 2020)", "none stated"),
    "swiss": ("Swiss digits, 12 writers (Schroeder, kensanata/numbers, 2017)", "MIT"),
    "pendigits": (
        "Pen-Based Recognition of Handwritten Digits, 20 writers (Alpaydin, Alimoglu, UCI)",
        "CC BY 4.0",
    ),
    "unipen": ("UNIPEN train_r01_v07, digits as strokes (Guyon and others 1994)", "CC BY 4.0"),
    "unipen words": ("the same, digits of words", "CC BY 4.0"),
    "unipen letters": ("the same, letters and signs, as no digits", "CC BY 4.0"),
    "sudoku": ("printed Sudoku cells", "MIT"),
    "photo": ("printed digits, photographed", "none stated"),
    "meter": ("meter dials", "none stated"),
    "fonts": ("digits of free fonts", "each font's own, all free"),
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


SWISS_HIDDEN = ("0016_CH3F", "0018_CHXX", "0019_US5M", "0020_CH4M", "0021_CH4M")
"""Writers of the Swiss set that nothing is learned from."""
PEN_HIDDEN = 10
"""So many writers of pendigits, the last ones, nothing is learned from."""
NOT_LEARNED = frozenset("OoQDIlbgqGi!|/()'`,.")
"""Signs that a person may take for a digit, or for the rest of one."""


def swiss(place: Path, *, hidden: bool = False) -> LabelledCrops:
    """Read the Swiss scans of the writers that are learned from, or of the hidden ones."""
    crops, labels, names = [], [], []
    with zipfile.ZipFile(place) as archive:
        table = io.StringIO(archive.read("labels.csv").decode())
        for row in csv.DictReader(table):
            if (row["writer"] in SWISS_HIDDEN) == hidden:
                data = np.frombuffer(archive.read(row["file"]), np.uint8)
                crops.append(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
                labels.append(int(row["label"]))
                names.append(f"{row['writer']}/{row['file']}")
    return LabelledCrops(crops, np.array(labels, np.int64), names)


def strokes(place: Path, *, hidden: bool = False, only: str = "") -> PenCrops:
    """Read signs as strokes; of pendigits those of the writers learned from, or of the hidden.

    Letters and signs have the label of no digit; those like digits are left out. `only` names the
    signs that are read, whatever they are like.
    """
    with np.load(place) as found:
        held = {name: found[name] for name in found.files}
    writers = np.unique(held["writer"]) if "writer" in held else np.array([])
    away = np.isin(held["writer"], writers[-PEN_HIDDEN:]) if place.stem == "pendigits" else None
    chosen = np.ones(len(held["label"]), bool) if away is None else away == hidden
    chosen &= ~held.get("suspect", np.zeros(len(chosen), bool))
    chosen &= np.isin(held["label"], list(only or NOT_LEARNED), invert=not only)
    signs, labels, names = [], [], []
    for n in np.flatnonzero(chosen).tolist():
        first, last = held["sample_off"][n : n + 2].tolist()
        offsets = held["stroke_off"][first : last + 1].tolist()
        parts = [held["xy"][a:b] * (1, -1) for a, b in pairwise(offsets)]
        signs.append(scale_strokes(parts))
        label = str(held["label"][n])
        labels.append(int(label) if label.isdigit() else NO_DIGIT_LABEL)
        names.append(f"{held['writer'][n] if 'writer' in held else place.stem}/{n}")
    return PenCrops(signs, np.array(labels, np.int64), names)


def pen_strings(place: Path, *, hidden: bool = False) -> list[PenString]:
    """Read numbers as a pen wrote them, of the writers that are learned from, or of the hidden."""
    signs = {".": SEPARATOR, ",": SEPARATOR, ":": SEPARATOR, "-": FLOURISH, "/": FLOURISH}
    out = []
    with np.load(place) as found:
        held = {name: found[name] for name in found.files}
    away = np.isin(held["writer"], hidden_string_writers(place))
    for n in np.flatnonzero(away == hidden).tolist():
        first, last = held["sample_off"][n : n + 2].tolist()
        offsets = held["stroke_off"][first : last + 1].tolist()
        parts = [held["xy"][a:b] * (1, -1) for a, b in pairwise(offsets)]
        text = str(held["label"][n]).replace(" ", "")
        labels = [signs[sign] if sign in signs else int(sign) for sign in text]
        out.append(PenString(scale_strokes(parts), labels))
    return out


def hidden_string_writers(place: Path) -> list[str]:
    """Return the writers of numbers that nothing is learned from: one in five."""
    with np.load(place) as found:
        return [str(writer) for writer in np.unique(found["writer"])[::5]]


def part_by_writer(
    sets: Mapping[str, LabelledSet], without: Collection[str] = ()
) -> dict[str, LabelledSet]:
    """Part the sets whose names tell the writer, one set a writer, so that strings have one hand.

    Args:
        sets: as from `sets`.
        without: writers that are left out.
    """
    out: dict[str, LabelledSet] = {}
    for name, found in sets.items():
        if name not in ("swiss", "pendigits", "unipen"):
            out[name] = found
            continue
        writers = np.array([one.rpartition("/")[0] for one in found.names])
        for writer in np.unique(writers).tolist():
            if writer not in without:
                out[f"{name}: {writer}"] = found.select(np.flatnonzero(writers == writer))
    return out


Reader = Callable[[Path], LabelledSet]
READERS: dict[str, tuple[str, Reader]] = {
    "mnist": ("mnist.npz", arrays),
    "opencv": ("opencv_digits.npz", arrays),
    "swiss": ("swiss_digits.zip", swiss),
    "pendigits": ("pendigits.npz", strokes),
    "unipen": ("unipen_digits.npz", strokes),
    "unipen words": ("unipen_words_1digit.npz", strokes),
    "unipen letters": ("unipen_letters_symbols.npz", strokes),
    "sudoku": ("printed_sudoku_cells.zip", lambda place: zipped(place, cell)),
    "fonts": ("fonts.npz", arrays),
    "letters": ("fonts.npz", letters),
}
"""What has an open licence, and is learned from."""
TEST_READERS: dict[str, tuple[str, Reader]] = {
    "usps": ("usps.npz", arrays),
    "ardis": ("ardis.npz", arrays),
    "dida": ("dida.zip", lambda place: zipped(place, folder)),
    "photo": ("printed_photographed.zip", lambda place: zipped(place, photographed)),
    "meter": ("meter_dials.zip", lambda place: zipped(place, dial)),
    "small": ("small_digits.npz", arrays),
    "swiss, hidden writers": ("swiss_digits.zip", lambda place: swiss(place, hidden=True)),
    "pendigits, hidden writers": ("pendigits.npz", lambda place: strokes(place, hidden=True)),
}
"""What nothing is learned from; all but the hidden writers is without a stated open licence."""

CALIBRATES = ("usps", "ardis", "dida", "swiss, hidden writers", "pendigits, hidden writers")
"""Of these, those that the shipped model is calibrated on: handwriting."""


def sets(
    *folders: Path, readers: dict[str, tuple[str, Reader]] = READERS
) -> dict[str, LabelledSet]:
    """Read all sets that are in the folders, in the order of the readers."""
    out = {}
    for name, (file, reader) in readers.items():
        places = [place / file for place in folders if (place / file).is_file()]
        if places:
            out[name] = reader(places[0])
        else:
            print(f"{name}: no {file}, left out", file=sys.stderr)
    return out
