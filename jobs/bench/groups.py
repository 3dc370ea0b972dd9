"""How soon a person meets wrong digits on a sheet of digits that were all read alike.

    python jobs/bench/groups.py mnist.npz ardis.npz [--sheets 6] [--planted 20] [--seed 1]

A sheet has 500 digits: most are what they were read as, some are planted. Planted are digits of
other classes: any (`any`), or those that look most like the sheet's digits, by the distance of
their pictures (`alike`), as digits do that a network is sure of and wrong. Told is the share of
the planted ones within the first tenth of the sheet, as `review --groups` orders it beside the
other digits' sheets.
"""

import argparse
from pathlib import Path

import numpy as np

from batchdigits.labelled import load_labelled_crops
from batchdigits.normalize import grey_levels
from batchdigits.review.unlike import order_by_unlikeness

SHEET = 500


def main() -> None:
    """Make sheets, order them, and print where the planted digits are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", type=Path, help=".npz, IDX or folders of labels")
    parser.add_argument("--sheets", type=int, default=6, help="of each set")
    parser.add_argument("--planted", type=int, default=20, help="of the 500 of a sheet")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    for place in chosen.sets:
        found = load_labelled_crops(str(place), part="train")
        random = np.random.default_rng(chosen.seed)
        few = random.permutation(len(found.labels))[:6000]
        pictures = grey_levels([found.crops[n] for n in few.tolist()]).pictures[..., 0]
        labels = found.labels[few]
        for kind in ("any", "alike"):
            shares = [
                order_sheet(pictures, labels, n % 10, kind, chosen.planted, random)
                for n in range(chosen.sheets)
            ]
            print(
                f"{place.name} {kind}: {np.mean(shares):.1%} of the planted within the first tenth "
                f"(worst sheet {np.min(shares):.1%})"
            )


def order_sheet(  # noqa: PLR0913, PLR0917
    pictures: np.ndarray,
    labels: np.ndarray,
    digit: int,
    kind: str,
    planted: int,
    random: np.random.Generator,
) -> float:
    """Return the share of planted digits that come within the first tenth of a sheet."""
    own, others = (
        np.flatnonzero(labels == digit),
        np.flatnonzero((labels != digit) & (labels >= 0) & (labels <= 9)),
    )
    if kind == "alike":
        middle = pictures[own].astype(np.float32).mean(axis=0)
        far = ((pictures[others] - middle) ** 2).sum(axis=(1, 2))
        others = others[np.argsort(far)[: 5 * planted]]
    right = random.choice(own, min(SHEET - planted, len(own)), replace=False)
    wrong = random.choice(others, planted, replace=False)
    sheet = np.concatenate([right, wrong])
    rest = np.setdiff1d(np.flatnonzero(labels != digit), wrong)
    rest = random.choice(rest, min(9 * SHEET, len(rest)), replace=False)
    read = [str(digit)] * len(sheet) + labels[rest].astype(str).tolist()
    ranks = order_by_unlikeness(read, list(pictures[np.concatenate([sheet, rest])]))
    return float((ranks[len(right) : len(sheet)] < 0.1).mean())


if __name__ == "__main__":
    main()
