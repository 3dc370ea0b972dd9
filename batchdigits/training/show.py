"""What a training shows: sample digits, curves, a history, each written aside and renamed."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np

from batchdigits.predict import backend
from batchdigits.training.digits import Digits

COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
"""Of `history.csv`, as Keras names them; the last two are empty without validation."""
History = Sequence[dict[str, float]]
"""A line an epoch, by the names in `COLUMNS`."""

NO_CURVES = "curves.png is left out, as matplotlib is missing: pip install 'batchdigits[plots]'"

_ROWS, _TILE, _GAP, _HEAD = 6, 56, 6, 34


@contextmanager
def aside(place: Path) -> Iterator[Path]:
    """Give a name to write under, which then takes the place of `place`, or is gone."""
    under = place.with_name(f".part-{place.name}")
    try:
        yield under
        under.replace(place)
    finally:
        with suppress(OSError):
            under.unlink(missing_ok=True)


def text(place: Path, words: str) -> None:
    """Write a text file."""
    with aside(place) as under:
        under.write_text(words, "utf-8")


def history(place: Path, epochs: History) -> None:
    """Write the history as CSV."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for one in epochs:
        cells = [f"{one[name]:.6f}" if name in one else "" for name in COLUMNS[1:]]
        table.writerow([int(one["epoch"]), *cells])
    text(place, out.getvalue())


def told(place: Path) -> list[dict[str, float]]:
    """Read back a history that `history` has written."""
    with place.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: float(value) for name, value in row.items() if value} for row in rows]


def samples(place: Path, digits: Digits) -> None:
    """Draw the first few of each digit, a column a digit, as the network is fed them."""
    wide, high = 10 * (_TILE + _GAP) + _GAP, _HEAD + _ROWS * (_TILE + _GAP)
    sheet = np.full((high, wide), 255, np.uint8)
    for digit in range(10):
        left = _GAP + digit * (_TILE + _GAP)
        cv2.putText(sheet, str(digit), (left + 19, 24), 0, 0.8, 0, 1, cv2.LINE_AA)
        for row, n in enumerate(np.flatnonzero(digits.labels == digit)[:_ROWS]):
            top = _HEAD + row * (_TILE + _GAP)
            tile = cv2.resize(digits.pictures[n], (_TILE, _TILE), interpolation=cv2.INTER_NEAREST)
            sheet[top : top + _TILE, left : left + _TILE] = tile
    with aside(place) as under:
        under.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())


@backend.silence_stderr()  # matplotlib may say that it is building its cache of fonts
def curves(place: Path, title: str, epochs: History) -> bool:
    """Draw loss and accuracy by epoch, training and, where there is one, validation.

    Returns:
        Whether it was drawn: false where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  (an extra, and heavy)
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415
    except ImportError:
        return False
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    figure.suptitle(title)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            line = [(one["epoch"], one[key]) for one in epochs if key in one]
            if line:
                axes.plot(*zip(*line, strict=True), marker="o", markersize=4, label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    with aside(place) as under:
        figure.savefig(under, format="png", dpi=120)
    return True
