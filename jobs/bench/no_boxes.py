"""Count the groups of boxes that are found on pages that have none: text, drawings, screens.

    python jobs/bench/no_boxes.py TEXTS [--fonts FOLDER] [--pages 300] [--seed 1] [--worst FOLDER]

TEXTS is a folder of texts and web pages, such as `/usr/share/doc`. A page is a text in a font of
FOLDER, in one to three columns; a drawing of curves, charts and maps; or a web page as Chromium
shows it. Half of them are askew by up to two degrees, blurred, noisy or JPEG. The goal is one
false group in 50 pages. Web pages may have menus in frames, which are tables; `--worst` draws them.
"""

import argparse
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from batchdigits import layout

SHARES = {"text": 0.6, "drawing": 0.25, "screen": 0.15}
"""Of all pages."""
SIDES = (827, 1240, 1654, 2480)
"""Widths of pages, px: A4 at 100 to 300 dpi."""
MIN_TEXT_BYTES = 3000
SCREEN = (1280, 1600)
Random = np.random.Generator
Page = np.ndarray


def main() -> None:
    """Make pages, find boxes on them, and print how many there are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", type=Path)
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worst", type=Path, help="folder for pictures of pages with boxes")
    given = parser.parse_args()
    texts = [one for one in list_files(given.texts) if one.suffix in {"", ".txt", ".md", ".rst"}]
    texts = [one for one in texts if one.stat().st_size >= MIN_TEXT_BYTES]
    sites = [one for one in list_files(given.texts) if one.suffix == ".html"]
    fonts = [one for one in list_files(given.fonts) if one.suffix in {".ttf", ".otf"}]
    pages, groups = Counter[str](), Counter[str]()
    for number in range(given.pages):
        random = np.random.default_rng((given.seed, number))
        kind = str(random.choice(list(SHARES), p=list(SHARES.values())))
        if kind == "screen" and sites:
            page = take_screen(sites[random.integers(len(sites))])
        elif kind == "drawing":
            page = draw_drawing(random)
        else:
            kind = "text"
            page = draw_text(texts[random.integers(len(texts))], fonts, random)
        if random.random() < 0.5:
            page = damage(page, random)
        found = [one for one in layout.find(page) if not one.opened]
        pages[kind] += 1
        groups[kind] += len(found)
        if found and given.worst:
            print(f"page {number}, {kind}: {len(found)} groups", file=sys.stderr)
            given.worst.mkdir(exist_ok=True)
            cv2.imwrite(str(given.worst / f"{number:04}.png"), draw_found(page, found))
    for kind, count in pages.items():
        print(f"{kind}: {groups[kind]} groups on {count} pages")
    print(f"seed {given.seed}: {groups.total()} groups on {pages.total()} pages without boxes")


def list_files(folder: Path) -> list[Path]:
    """List the files below a folder, in the order of their names."""
    return sorted(one for one in folder.rglob("*") if one.is_file())


def draw_text(place: Path, fonts: list[Path], random: Random) -> Page:
    """Draw a page of a text, uint8, (height, width)."""
    wide = int(random.choice(SIDES))
    high = round(wide * 1.414)
    size = round(wide * random.uniform(0.011, 0.024))
    font = ImageFont.truetype(str(fonts[random.integers(len(fonts))]), size)
    columns = int(random.integers(1, 4))
    margin, gap = wide // 12, wide // 30
    column = (wide - 2 * margin - (columns - 1) * gap) // columns
    letters = max(8, round(column / font.getlength("n")))
    words = place.read_text("utf-8", errors="replace")
    start = int(random.integers(max(1, len(words) - MIN_TEXT_BYTES)))
    lines = [
        line
        for part in words[start : start + 40_000].splitlines()
        for line in textwrap.wrap(part, letters) or [""]
    ]
    sheet = Image.new("L", (wide, high), 255)
    pen = ImageDraw.Draw(sheet)
    pitch = round(size * random.uniform(1.15, 1.6))
    rows = (high - 2 * margin) // pitch
    for n, line in enumerate(lines[: columns * rows]):
        at = (margin + n // rows * (column + gap), margin + n % rows * pitch)
        pen.text(at, line, font=font, fill=int(random.integers(0, 60)))
    if random.random() < 0.4:
        pen.line(
            (margin, margin // 2, wide - margin, margin // 2), fill=0, width=max(1, wide // 800)
        )
    return np.asarray(sheet)


def draw_drawing(random: Random) -> Page:
    """Draw a page of curves, circles, axes with bars, and a few numbers."""
    wide = int(random.choice(SIDES))
    page = np.full((round(wide * random.uniform(0.7, 1.414)), wide), 255, np.uint8)
    high = page.shape[0]
    line = max(1, wide // 800)
    for _ in range(int(random.integers(5, 60))):
        walk = np.cumsum(random.normal(0, wide / 60, (50, 2)), axis=0) + random.uniform(0, wide, 2)
        shade, width = int(random.integers(0, 140)), line * int(random.integers(1, 4))
        cv2.polylines(page, [walk.astype(np.int32)], False, shade, width, cv2.LINE_AA)
    for _ in range(int(random.integers(0, 30))):
        at = (int(random.integers(wide)), int(random.integers(high)))
        cv2.circle(page, at, int(random.integers(5, wide // 10)), 0, line, cv2.LINE_AA)
    for _ in range(int(random.integers(0, 4))):
        draw_chart(page, random)
    for _ in range(int(random.integers(0, 40))):
        at = (int(random.integers(wide)), int(random.integers(high)))
        text, size = str(random.integers(1000)), wide / 2500 * random.uniform(0.8, 2)
        cv2.putText(page, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, 0, line, cv2.LINE_AA)
    return page


def draw_chart(page: Page, random: Random) -> None:
    """Draw a chart with two axes and their ticks, and filled bars."""
    high, wide = page.shape
    side = int(random.integers(wide // 6, wide // 3))
    left, bottom = int(random.integers(wide - side)), int(random.integers(side, high))
    line = max(1, wide // 900)
    cv2.rectangle(page, (left, bottom - side), (left + side, bottom), 255, -1)
    cv2.line(page, (left, bottom - side), (left, bottom), 0, line)
    cv2.line(page, (left, bottom), (left + side, bottom), 0, line)
    bars = int(random.integers(4, 12))
    for n in range(bars):
        x, top = left + (n * side) // bars, bottom - int(random.uniform(0.1, 0.95) * side)
        shade = int(random.integers(60, 200))
        cv2.rectangle(page, (x + 2 * line, top), (x + side // bars - 2 * line, bottom), shade, -1)
        cv2.line(page, (x, bottom), (x, bottom + 5 * line), 0, line)


def take_screen(place: Path) -> Page:
    """Return a web page as Chromium shows it, uint8, (height, width)."""
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        options += [f"--window-size={SCREEN[0]},{SCREEN[1]}", f"--screenshot={shot}"]
        subprocess.run(
            ["chromium", *options, place.resolve().as_uri()], check=True, capture_output=True
        )
        return np.asarray(cv2.imread(str(shot), cv2.IMREAD_GRAYSCALE))


def damage(page: Page, random: Random) -> Page:
    """Turn a page a little, blur it, and add noise and JPEG."""
    high, wide = page.shape
    turn = cv2.getRotationMatrix2D((wide / 2, high / 2), random.uniform(-2, 2), 1)
    out = cv2.warpAffine(page, turn, (wide, high), borderValue=255)
    out = cv2.GaussianBlur(out, (0, 0), random.uniform(0.3, 1.2))
    noisy = out + random.normal(0, random.uniform(0, 8), out.shape)
    out = np.clip(noisy, 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(40, 95))]
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", out, quality)[1], cv2.IMREAD_GRAYSCALE))


def draw_found(page: Page, found: list[layout.Found]) -> Page:
    """Draw the boxes that were found onto a page, in colour."""
    shown = cv2.cvtColor(page, cv2.COLOR_GRAY2BGR)
    for group in found:
        cv2.polylines(shown, np.rint(group.boxes).astype(np.int32), True, (0, 0, 255), 3)
    return np.asarray(shown)


if __name__ == "__main__":
    main()
