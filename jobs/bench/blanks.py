"""Whether a crop holds ink: what of empty, faintly inked and clean crops is called blank.

    python jobs/bench/blanks.py DATA [--each 1000] [--seed 5000]

DATA is a folder with the sets of `jobs/train/sources.py`: mnist.npz and unipen_digits.npz are drawn
faintly, the empty cells of printed_sudoku_cells.zip are real, and of all others the clean digits
are counted that are lost. Drawn crops are 28 to 130 px long. Empty are: paper with noise and uneven
light; the same with a frame, a line to write on, a soft shadow, or with what shows through from the
back of the sheet (2 to 7 grey levels, blurred). Inked are: digits of 8 to 40 grey levels, at least
four times the noise, half of them under uneven light. Three of ten empty crops are JPEG.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parent.parent / "train"))
import sources

from batchdigits.labelled import EMPTY_LABEL, LabelledCrops
from batchdigits.normalize import grey_levels
from batchdigits.normalize.account import has_more_ink
from batchdigits.records import GreyImage
from batchdigits.training.pen import PenCrops, draw_strokes

Levels = NDArray[np.float64]
CLEAN = ("mnist", "usps", "ardis", "dida", "swiss", "opencv", "sudoku", "photo", "small")
ONCE = 1000
"""Crops normalised at once."""


class Drawer:
    """Draws crops from a seed, with the digits of `folder`."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Read the digits and seed the generator."""
        self.random = np.random.default_rng(seed)
        self.digits = np.load(folder / "mnist.npz")["x_test"]
        self.pens = sources.strokes(folder / "unipen_digits.npz")
        assert isinstance(self.pens, PenCrops)

    def size(self) -> tuple[int, int]:
        """Choose a height and a width."""
        height = int(self.random.integers(28, 110))
        return height, int(np.clip(height * self.random.uniform(0.6, 1.4), 24, 130))

    def places(self, size: tuple[int, int]) -> tuple[Levels, Levels]:
        """List where the pixels are, from -1 to 1, downwards and across."""
        y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in size), indexing="ij")
        return y, x

    def paper(self, size: tuple[int, int]) -> Levels:
        """Draw paper, three of four times under uneven light."""
        y, x = self.places(size)
        falls = (0 * x, (x + 1) / 2, (y + 1) / 2, (x * x + y * y) / 2)
        fall = falls[self.random.integers(4)] * 0.25 * self.random.random()
        return np.asarray(self.random.uniform(150, 250) * (1 - fall))

    def pen(self, size: tuple[int, int], thick: float) -> Levels:
        """Draw a digit with a pen, thick as a share of the height: 0 to 1."""
        canvas = np.zeros(size, np.uint8)
        strokes = self.pens.strokes[self.random.integers(len(self.pens.strokes))]
        reach, middle = 0.65 * min(size), (np.array(size[::-1]) - 1) / 2
        placed = tuple((one * reach + middle).astype(np.float32) for one in strokes)
        draw_strokes(canvas, placed, max(1, round(thick * size[0])))
        return canvas / 255

    def scanned(self, level: Levels) -> GreyImage:
        """Add noise of any grain, and the compression of JPEG."""
        noise = self.random.normal(0, 1, level.shape)
        grain = self.random.choice([0, 0, 0.6, 1])
        noise = cv2.GaussianBlur(noise, (0, 0), grain) if grain else noise
        spread = self.random.choice([0, 1, 2, 4]) * self.random.random()
        crop = np.rint(level + noise * spread / noise.std()).clip(0, 255).astype(np.uint8)
        if self.random.random() >= 0.3:
            return crop
        how = [cv2.IMWRITE_JPEG_QUALITY, int(self.random.integers(60, 95))]
        data = cv2.imencode(".jpg", crop, how)[1]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)

    def empty(self) -> GreyImage:
        """Draw paper alone."""
        return self.scanned(self.paper(self.size()))

    def frame(self) -> GreyImage:
        """Draw an empty printed box."""
        size = self.size()
        inset, thick = self.random.integers(0, 4), int(self.random.integers(1, 4))
        lines = np.zeros(size)
        far = size[1] - 1 - inset, size[0] - 1 - inset
        cv2.rectangle(lines, (int(inset), int(inset)), (int(far[0]), int(far[1])), 1.0, thick)
        print_level = self.random.uniform(20, 120)
        return self.scanned(self.paper(size) * (1 - lines) + print_level * lines)

    def line(self) -> GreyImage:
        """Draw a line to write on."""
        size = self.size()
        lines, at = np.zeros(size), int(self.random.uniform(0.8, 0.97) * size[0])
        end = at + int(self.random.integers(-1, 2))
        cv2.line(lines, (0, at), (size[1] - 1, end), 1.0, int(self.random.integers(1, 3)))
        return self.scanned(self.paper(size) * (1 - 0.6 * lines))

    def shadow(self) -> GreyImage:
        """Draw a soft shadow."""
        size = self.size()
        y, x = self.places(size)
        angle, soft = self.random.uniform(0, 2 * np.pi), self.random.uniform(2, 6)
        across = x * np.cos(angle) + y * np.sin(angle) - self.random.uniform(-0.5, 0.5)
        dark = self.random.uniform(0.1, 0.4) / (1 + np.exp(-across * soft))
        return self.scanned(self.paper(size) * (1 - dark))

    def show_through(self) -> GreyImage:
        """Draw a digit on the back of the sheet."""
        size = self.size()
        behind = self.pen(size, 0.06)[:, ::-1]
        behind = cv2.GaussianBlur(behind, (0, 0), 0.03 * min(size) + 0.8)
        return self.scanned(self.paper(size) - behind * self.random.uniform(2, 7))

    def faint(self) -> GreyImage:
        """Draw a faint digit."""
        if self.random.random() < 0.5:
            share = self.random.uniform(1, 3)
            digit = self.digits[self.random.integers(len(self.digits))] / 255
            ink = cv2.resize(digit, None, fx=share, fy=share, interpolation=cv2.INTER_LINEAR)
        else:
            ink = self.pen(self.size(), self.random.uniform(0.03, 0.1))
        size = (ink.shape[0], ink.shape[1])
        even = np.full(size, self.random.uniform(120, 250))
        paper = self.paper(size) if self.random.random() < 0.5 else even
        contrast = self.random.uniform(8, 40)
        noise = self.random.normal(0, self.random.uniform(0, contrast / 4), size)
        return np.asarray(np.rint(paper - contrast * ink + noise).clip(0, 255), np.uint8)


def report(name: str, crops: list[GreyImage]) -> None:
    """Print what becomes of crops."""
    blank = review = lost = 0
    for start in range(0, len(crops), ONCE):
        found = grey_levels(crops[start : start + ONCE])
        read = found.extent.max(1) > 0
        blank += int((~read & ~found.unclear).sum())
        review += int((~read & found.unclear).sum())
        lost += int((read & has_more_ink(found.unused)).sum())
    shares = (f"{count} ({count / len(crops):.2%})" for count in (blank, review, lost))
    print(f"{name}: {len(crops)} crops, blank, review, more ink: " + ", ".join(shares), flush=True)


def main() -> None:
    """Print a line for each kind of crops."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--each", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=5000)
    chosen = parser.parse_args()
    drawer = Drawer(chosen.data, chosen.seed)
    kinds: tuple[Callable[[], GreyImage], ...] = (
        drawer.empty, drawer.frame, drawer.line, drawer.shadow, drawer.show_through, drawer.faint,
    )  # fmt: skip
    for kind in kinds:
        each = chosen.each * (10 if kind == drawer.faint else 1)
        report(f"drawn, {kind.__name__.replace('_', ' ')}", [kind() for _ in range(each)])
    readers = {**sources.READERS, **sources.TEST_READERS}
    found = sources.sets(chosen.data, readers={name: readers[name] for name in CLEAN})
    for name, one in found.items():
        assert isinstance(one, LabelledCrops)
        empty = one.labels == EMPTY_LABEL
        for kind_name, which in (("empty", empty), ("digits", ~empty)):
            if which.any():
                crops = [np.asarray(one.crops[n]) for n in np.flatnonzero(which)]
                report(f"{name}, {kind_name}", crops)


if __name__ == "__main__":
    main()
