"""What each ingredient of the reading brings, measured on sources and hands never seen.

    python jobs/bench/ingredients.py DATA... [--runs runs/]

DATA are folders with the sets of `jobs/train/sources.py`. The shipped bundle is measured whole, and
lacking one ingredient at a time: the second look, the account of ink, the calibration on sources
that nothing was learned from. RUNS has the bundles of `jobs/train/leave_one_out.py`, trained
without Swiss digits or without strokes, which are measured on all sets too. Told are, of the digits
of USPS, ARDIS, DIDA and the hidden writers: how many are right and `ok`, and the wrong values among
those; and of marks drawn anew how many are `ok`.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import strangers
from strangers import Fitted, Read

sys.path.append(str(Path(__file__).parent.parent / "train"))
import sources

from batchdigits import predict
from batchdigits.labelled import join_labelled_crops
from batchdigits.training import default
from batchdigits.training.pen import draw_set
from batchdigits.training.shipped import degraded

Reads = dict[str, Read]


def main() -> None:
    """Print a line for each ingredient that is left out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--runs", type=Path, help="folder of bundles trained without some sources")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(f"{'':36}{'right':>8}{'ok':>8}{'wrong ok':>10}{'share':>9}{'marks ok':>10}")
    held, never, marks = read_all(given.data, None)
    gate = load_gate(None)
    print_line("whole", held, never, marks, gate)
    print_line("without the second look", held, never, marks, 0.0)
    plain = [
        {name: without_account(read) for name, read in some.items()} for some in (never, marks)
    ]
    print_line("without the account of ink", held, *plain, gate)
    print_line("calibrated on learned sources alone", held, never, marks, gate, strange=False)
    for place in sorted(given.runs.iterdir()) if given.runs else ():
        if (place / "card.json").is_file():
            model = str(place)
            print_line(f"without {place.name}", *read_all(given.data, model), load_gate(model))


def load_gate(model: str | None) -> float:
    """Return the gate of a bundle's cascade; 0 if it has none."""
    card = predict.load_card(model)
    return card.careful.gate if card.careful else 0.0


def read_all(data: list[Path], model: str | None) -> tuple[Reads, Reads, Reads]:
    """Read what is held out and degraded, what was never seen, and marks, with a bundle."""
    networks = strangers.load_networks(predict.load_card(model))
    sets, tests = sources.sets(*data), sources.sets(*data, readers=sources.TEST_READERS)
    held = {}
    for name, found in sets.items():
        unseen = draw_set(default.held_out(found)[1])
        both = join_labelled_crops([unseen, degraded(unseen, 1)])
        held[name] = strangers.read_set(both, networks)
    never = {
        name: strangers.read_set(draw_set(tests[name]), networks)
        for name in sources.CALIBRATES
        if name in tests
    }
    drawn = {}
    for place in (folder / "pendigits.npz" for folder in data):
        if place.exists():
            drawn = strangers.draw_marks(place)
    return held, never, {name: strangers.read_set(one, networks) for name, one in drawn.items()}


def without_account(read: Read) -> Read:
    """Take all crops for whole, whatever ink was left out."""
    return read._replace(doubtful=np.zeros_like(read.doubtful))


def print_line(  # noqa: PLR0913, PLR0917 - each is named
    words: str, held: Reads, never: Reads, marks: Reads, gate: float, strange: bool = True
) -> None:
    """Measure each set as fitted without it, and print the sums."""

    def fit(without: str) -> Fitted:
        others = [read for name, read in never.items() if name != without] if strange else []
        return strangers.fit_without([*held.values(), *others], gate)

    figures = [strangers.measure(name, read, fit(name), gate) for name, read in never.items()]
    fitted = fit("")
    drawn = [strangers.measure(name, read, fitted, gate) for name, read in marks.items()]
    digits = sum(one["digits"] for one in figures)
    right, ok = (sum(one["digits"] * one[key] for one in figures) for key in ("right", "ok"))
    wrong = sum(one["wrong among ok"] for one in figures)
    count, passed = (sum(one[key] for one in drawn) for key in ("not digits", "of these ok"))
    print(
        f"{words:36}{right / digits:8.2%}{ok / digits:8.1%}{wrong:10}{wrong / max(1, ok):9.3%}"
        f"{passed / max(1, count):10.2%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
