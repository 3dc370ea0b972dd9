"""Make `samples/` from MNIST's test set, or its expected table anew after a change.

    python jobs/samples/regenerate.py                    # the expected tables alone
    python jobs/samples/regenerate.py --mnist mnist.npz  # the pictures and the truth too

Refuses to write an expected table that agrees less with its `truth.csv` than the present one, or
that has a wrong value with status ok. The pages of `samples/forms/` are made by `forms.py`.
"""

import argparse
import csv
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from strips import strips

SAMPLES = Path("samples")
FORMS = SAMPLES / "forms"
EACH = 3
"""Plain samples of each digit."""

Grey = NDArray[np.uint8]
Pick = Callable[[int], Grey]
"""Gives some test digit with this label."""


def main() -> None:
    """Regenerate what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, help=".npz with x_test and y_test")
    given = parser.parse_args()
    if not SAMPLES.is_dir():
        sys.exit("run this in the project's root: there is no folder 'samples' here")
    if given.mnist:
        data = np.load(given.mnist)
        make(data["x_test"], data["y_test"])
    expect(SAMPLES, [SAMPLES / name for name in ("awkward", "digits", "numbers")], {})
    expect(FORMS, [FORMS], {"template": str(FORMS / "membership.toml")})


def make(digits: Grey, labels: NDArray[np.int64]) -> None:
    """Write the pictures and their truth."""
    random = np.random.default_rng(28)
    truth: dict[tuple[str, int], str] = {}

    def pick(label: int) -> Grey:
        return np.asarray(digits[random.choice(np.flatnonzero(labels == label))])

    for folder in ("digits", "awkward", "numbers"):
        (SAMPLES / folder).mkdir(parents=True, exist_ok=True)
    for label in range(10):
        for at in random.choice(np.flatnonzero(labels == label), EACH, replace=False):
            name = f"digits/{at:05}.png"
            save(name, digits[at])
            truth[name, 1] = str(label)
    for name, label, picture in awkward(pick, random):
        save(f"awkward/{name}", picture)
        truth[f"awkward/{name}", 1] = label
    truth |= others(pick)
    for name, picture in no_digits(pick):
        save(f"awkward/{name}", picture)
        truth[f"awkward/{name}", 1] = "none"
    for name, value, picture in strips(pick, random):
        save(f"numbers/{name}", picture)
        truth[f"numbers/{name}", 1] = value
    with (SAMPLES / "truth.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", "page", "value"))
        table.writerows((f"samples/{n}", page, v) for (n, page), v in sorted(truth.items()))


def save(name: str, picture: Grey) -> None:
    """Write a picture by OpenCV, which takes the format from the name."""
    (SAMPLES / name).write_bytes(cv2.imencode(Path(name).suffix, picture)[1].tobytes())


def awkward(pick: Pick, random: np.random.Generator) -> Iterator[tuple[str, str, Grey]]:
    """Yield pictures as scanners make them: name, value, picture."""
    paper = np.linspace(150, 250, 60)[:, None] + np.linspace(0, -40, 60)
    grain = random.normal(0, 3, (60, 60))

    def on_paper(digit: Grey, ink: float = 140) -> Grey:
        large = cv2.resize(digit, (60, 60), interpolation=cv2.INTER_CUBIC)
        return (paper + grain - large / 255.0 * ink).clip(0, 255).astype(np.uint8)

    yield "light-on-dark.png", "4", pick(4)
    yield "dark-on-light.png", "7", 255 - pick(7)
    pen = 255 - pick(2)
    blue = np.dstack([np.full_like(pen, 255), pen, pen])
    yield "blue-ink.png", "2", blue
    yield "uneven-paper.jpg", "3", on_paper(pick(3))
    yield "faint-pencil.png", "5", on_paper(pick(5), ink=30)
    boxed = on_paper(pick(6))
    boxed[2:4] = boxed[-3:-1] = boxed[:, 2:4] = boxed[:, -3:-1] = 60
    yield "in-a-box.png", "6", boxed
    small = cv2.resize(pick(9), (16, 16), interpolation=cv2.INTER_AREA)
    yield "fax.png", "9", np.where(small > 90, 0, 255).astype(np.uint8)
    yield "empty-box.png", "", (paper + grain).clip(0, 255).astype(np.uint8)
    yield "full-stop.png", "none", cv2.circle(np.full((60, 60), 240, np.uint8), (40, 44), 2, 30, -1)
    yield "=1+1.png", "1", 255 - pick(1)


def others(pick: Pick) -> dict[tuple[str, int], str]:
    """Write what OpenCV cannot: rotation by EXIF, pages, a broken file, a strip, a page."""
    turned = Image.fromarray(255 - pick(5)).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to stand upright
    turned.save(SAMPLES / "awkward/turned-by-exif.jpg", exif=exif, quality=95)
    pages = [Image.fromarray(255 - pick(label)) for label in (8, 0)]
    pages[0].save(
        SAMPLES / "awkward/two-pages.tif",
        save_all=True,
        append_images=pages[1:],
        compression="tiff_deflate",
    )
    whole = io.BytesIO()
    Image.fromarray(pick(1)).save(whole, "PNG")
    (SAMPLES / "awkward/broken.png").write_bytes(whole.getvalue()[:-60])
    strip = np.hstack([255 - pick(label) for label in (1, 9, 8, 4)])
    save("awkward/a-number.png", strip)
    return {
        ("awkward/turned-by-exif.jpg", 1): "5",
        ("awkward/two-pages.tif", 1): "8",
        ("awkward/two-pages.tif", 2): "0",
        ("awkward/broken.png", 1): "1",
        ("awkward/a-number.png", 1): "1984",
    }


def no_digits(pick: Pick) -> Iterator[tuple[str, Grey]]:
    """Yield pictures with ink that is no digit: a tick, a digit struck out, a corner of a box."""
    tick = np.full((60, 60), 240, np.uint8)
    yield "tick.png", cv2.polylines(tick, [np.array([[14, 32], [24, 46], [48, 12]])], False, 60, 4)
    struck = cv2.resize(255 - pick(6), (60, 60), interpolation=cv2.INTER_CUBIC)
    for low in (22, 30, 38):
        cv2.line(struck, (6, low + 6), (54, low - 6), 20, 3, cv2.LINE_AA)
    yield "struck-out.png", struck
    corner = np.full((60, 60), 240, np.uint8)
    yield (
        "corner.png",
        cv2.polylines(corner, [np.array([[18, 59], [18, 20], [59, 20]])], False, 60, 3),
    )


def expect(folder: Path, inputs: list[Path], options: dict[str, str]) -> None:
    """Write the expected table of what is in a folder, if it is no worse than the present one."""
    from batchdigits import outputs
    from batchdigits.evaluate import is_right, match_truth, read_results, read_truth
    from batchdigits.job import Inputs, resolve_job
    from batchdigits.options import RunOptions
    from batchdigits.run import read_rows

    place = folder / "expected.csv"
    truth = read_truth(str(folder / "truth.csv"))
    job = resolve_job(
        RunOptions.from_settings({"workers": 1, **options}), Inputs(list(map(str, inputs)))
    )
    rows = [row for batch in read_rows(job) for row in batch]
    if len(rows) != len(truth.lines):
        sys.exit(f"{folder}: truth.csv and the pictures do not belong together: run with --mnist")
    readings = match_truth(outputs.build_dataframe(rows), truth).readings
    good = is_right(readings)
    for name in readings["file"][(readings["status"] == "ok") & ~good]:
        sys.exit(f"refused: {name} is read wrong and called ok")
    before = 0
    if place.exists():
        known = read_results(str(place))
        before = is_right(known.merge(truth.lines, on=truth.key)).sum()
    if good.sum() < before:
        sys.exit(f"refused: {good.sum()} of {len(readings)} are right, {before} were before")
    with outputs.open_table_writer(str(place)) as write:
        write(rows)
    print(f"{folder}: {good.sum()} of {len(readings)} are right; {before} were before")


if __name__ == "__main__":
    main()
