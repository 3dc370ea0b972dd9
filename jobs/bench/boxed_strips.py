"""Boxed strips of MNIST's training digits, read as `run` does, box by box.

python jobs/bench/boxed_strips.py mnist.npz
"""

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

import batchdigits

COUNT = 1000


def measure(mnist: Path) -> None:
    """Read strips of boxes and print how many are right."""
    strips, truth = make_strips(mnist)
    with tempfile.TemporaryDirectory() as folder:
        for at, strip in enumerate(strips):
            cv2.imwrite(f"{folder}/{at:05}.png", strip)
        found = batchdigits.read(folder, device="cpu")
    right = found["value"].to_numpy() == np.array(truth)
    ok = found["status"].to_numpy() == "ok"
    print(
        f"boxed strips: {right.mean():.2%} of {COUNT} right; {ok.mean():.2%} ok, "
        f"{(ok & ~right).sum()} of them wrong"
    )


def make_strips(mnist: Path) -> tuple[list[np.ndarray], list[str]]:
    """Make strips of boxes, each with a digit, as a form's field is cut out of a scan."""
    data = np.load(mnist)
    digits, labels = data["x_train"], data["y_train"]
    random = np.random.default_rng(5)
    strips, truth = [], []
    for _ in range(COUNT):
        many = int(random.integers(4, 11))
        at = random.integers(len(labels), size=many)
        strips.append(draw_row([digits[n] for n in at], random))
        truth.append("".join(str(labels[n]) for n in at))
    return strips, truth


def draw_row(digits: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """Write digits into a row of boxes, dark on light: a comb, or boxes apart."""
    high, wide = int(random.integers(44, 60)), int(random.integers(36, 52))
    gap, thick = int(random.choice((0, 0, 8))), int(random.integers(1, 4))
    page = np.full((high + 20, 20 + len(digits) * (wide + gap)), 0, np.float32)
    for at, digit in enumerate(digits):
        x = 10 + at * (wide + gap)
        cv2.rectangle(page, (x, 10), (x + wide, 10 + high), float(random.uniform(90, 220)), thick)
        side = int(min(wide, high) * random.uniform(0.85, 1.0)) - 2 * thick
        small = cv2.resize(digit, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
        left, top = x + (wide - side) // 2 + 1, 10 + (high - side) // 2 + 1
        part = page[top : top + side, left : left + side]
        np.maximum(part, small, out=part)
    light = random.uniform(200, 250)
    grey = light - page * random.uniform(0.5, 0.9) + random.normal(0, 3, page.shape)
    return np.clip(grey, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    measure(Path(sys.argv[1]))
