"""Measure the reading of numbers written freely, set by set, beside another reader.

    python jobs/bench/reader.py RUNS --strings FOLDER --strokes FOLDER [--mnist mnist.npz]
        [--out FOLDER] [--other]

RUNS is the folder `BUNDLE.training` that `jobs/train/reader.py` has filled, FOLDER the real strings
and the strokes that it takes. Each string is read by a network that has not seen it: the amounts
of cheques by that of their fold, the hidden books and the hidden writers by `all.keras`; and all of
them by `open.keras`, which has seen open data alone. A temperature is fitted on the other folds.
With `--other` PP-OCRv6 (`rapidocr`, to be installed beside) reads the same strings, its output
masked to digits. With `--mnist` boxed strips are made and read as `run` does. The thirty surest
mistakes of each set are drawn into the folder `--out`.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "train"))
import cheques
import registers
import sources

from batchdigits.training.material import FOLD_COUNT, assign_folds

SURE, WORST = 0.95, 30
"""The confidence from which a number is `ok`, and mistakes on a contact sheet."""


class Strings(NamedTuple):
    """A set of strings: crops, what they are, and the fold of each."""

    crops: list[np.ndarray]
    digits: list[str]
    fold: np.ndarray


def main() -> None:
    """Measure, print the table, draw the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="folder that jobs/train/reader.py has filled")
    parser.add_argument("--strings", type=Path, required=True, help="folder with the real strings")
    parser.add_argument("--strokes", type=Path, required=True, help="folder with UNIPEN's strings")
    parser.add_argument("--mnist", type=Path, help="mnist.npz, for boxed strips")
    parser.add_argument("--out", type=Path, help="folder for the contact sheets")
    parser.add_argument("--other", action="store_true", help="read them by PP-OCRv6 too")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print("set | reader | strings | right | ok | wrong among ok | CPU ms a string")
    for name, some in load_sets(given.strings, given.strokes).items():
        folded = name == "amounts of cheques"
        report(name, "all data", some, read_folds(given.runs, some, folded=folded), given.out)
        report(name, "open data", some, read_folds(given.runs, some, name="open"), None)
        if given.other:
            report(name, "PP-OCRv6", some, read_by_other(some.crops), None)
    if given.mnist:
        import boxed_strips

        boxed_strips.measure(given.mnist)


def load_sets(strings: Path, strokes: Path) -> dict[str, Strings]:
    """Load what is measured on."""
    amounts = cheques.read(strings / "orand_car_a_train.zip")
    books = [registers.read(strings / name, hidden=True) for name in registers.FILES]
    found = {
        "amounts of cheques": (amounts.crops, amounts.digits),
        "entry numbers of registers": (books[0].crops, books[0].digits),
        "years of registers": (books[1].crops, books[1].digits),
        "numbers as strokes": draw_pen_strings(strokes / "unipen_number_strings.npz"),
    }
    return {
        name: Strings(list(crops), list(digits), assign_folds(len(digits)))
        for name, (crops, digits) in found.items()
    }


def draw_pen_strings(place: Path) -> tuple[list[np.ndarray], list[str]]:
    """Draw the numbers of hidden writers as they wrote them, 44 px high with a pen of 3 px."""
    from batchdigits.training.pen import draw_strokes

    crops, digits = [], []
    for string in sources.pen_strings(place, hidden=True):
        points = np.concatenate(string.strokes).astype(float)
        points *= 44 / max(np.ptp(points[:, 1]), 0.02)
        points -= points.min(axis=0) - 12
        width, height = (np.ceil(points.max(axis=0)).astype(int) + 12).tolist()
        canvas = np.zeros((height, min(width, 2500)), np.uint8)
        ends = np.cumsum([len(stroke) for stroke in string.strokes])[:-1]
        draw_strokes(canvas, tuple(np.split(points, ends)), 3)
        crops.append(255 - canvas)
        digits.append("".join(str(label) for label in string.labels if label < 10))
    return crops, digits


def read_folds(runs: Path, some: Strings, *, name: str = "all", folded: bool = False):
    """Read each fold, by its own network if `folded`, with the temperature of the others."""
    from batchdigits.predict import load_keras_model
    from batchdigits.training import reading

    parts, took = [], 0.0
    for n in range(FOLD_COUNT):
        model = load_keras_model(runs / f"{f'fold-{n}' if folded else name}.keras")
        places = np.flatnonzero(some.fold == n).tolist()
        crops = [some.crops[at] for at in places]
        reading.read(model, crops)  # shapes are traced once, which a run of many strings forgets
        started = time.process_time()
        found = reading.read(model, crops)
        took += time.process_time() - started
        parts.append((found, [some.digits[at] for at in places]))
    values = np.empty(len(some.fold), object)
    sure = np.zeros(len(some.fold))
    for n, (found, truth) in enumerate(parts):
        others = [part for at, part in enumerate(parts) if at != n]
        judged = reading.judged(found, truth, reading.temperature(others))
        values[some.fold == n], sure[some.fold == n] = judged.values, judged.confidence
    return values, sure, took


def read_by_other(crops: list[np.ndarray]):
    """Read crops by PP-OCRv6, the small one, on one thread; its classes masked to digits."""
    from rapidocr import RapidOCR

    threads = "EngineConfig.onnxruntime.intra_op_num_threads"
    engine = RapidOCR(params={threads: 1})
    engine(np.full((48, 160, 3), 255, np.uint8), use_det=False, use_cls=False, use_rec=True)
    reader = engine.text_rec
    signs = reader.postprocess_op.character
    kept = [0] + [at for at, sign in enumerate(signs) if sign in tuple("0123456789")]
    values, sure = np.empty(len(crops), object), np.zeros(len(crops))
    started = time.process_time()
    for at, crop in enumerate(crops):
        colour = cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR)
        wide = max(320 / 48, crop.shape[1] / crop.shape[0])
        shown = reader.resize_norm_img(colour, wide)[None].astype(np.float32)
        shares = np.asarray(reader.session(shown))[0][:, kept]
        values[at], sure[at] = decode_greedily(shares, [signs[n] for n in kept])
    return values, sure, time.process_time() - started


def decode_greedily(shares: np.ndarray, signs: list[str]) -> tuple[str, float]:
    """Take the likeliest class of each column; class 0 is blank."""
    text, sure, last = "", 1.0, 0
    for at, row in zip(shares.argmax(axis=1).tolist(), shares, strict=True):
        if at and at != last:
            text += signs[at]
            sure *= float(row[at] / max(row.sum(), 1e-9))
        last = at
    return text, sure


def report(name: str, reader: str, some: Strings, read, out: Path | None) -> None:
    """Print a line of the table, and draw the surest mistakes."""
    values, sure, took = read
    right = values == np.array(some.digits, object)
    ok = sure >= SURE
    wrong = int((ok & ~right).sum())
    count = len(values)
    print(
        f"{name} | {reader} | {count} | {right.mean():.2%} | {ok.mean():.1%} | "
        f"{wrong} of {ok.sum()}, {wrong / max(1, ok.sum()):.2%} | {1000 * took / count:.1f}",
        flush=True,
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        draw_mistakes(out / f"{name.replace(' ', '-')}.png", some, values, sure, right)


def draw_mistakes(place: Path, some: Strings, values, sure, right) -> None:
    """Draw the thirty surest mistakes."""
    from batchdigits.evaluate.sheet import draw_contact_sheet

    wrong = np.flatnonzero(~right)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:WORST]
    rows = [
        {
            "file": str(at),
            "page": 1,
            "value": values[at],
            "truth": some.digits[at],
            "confidence": sure[at],
            "status": "",
        }
        for at in worst
    ]
    picture = draw_contact_sheet(pd.DataFrame(rows), lambda file, _: some.crops[int(file)])
    cv2.imwrite(str(place), picture)


if __name__ == "__main__":
    main()
