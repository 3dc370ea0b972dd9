"""Make the pictures of the review page in the documentation, light and dark.

    python jobs/samples/screenshots.py [--out docs/pictures] [--chromium /usr/bin/chromium]

Reads the sample forms, makes the page of their values, and takes pictures of it in a browser. Run
it, and look at them, whenever the page changes.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

ROOT = Path(__file__).parent.parent.parent
WIDTH, HEIGHT = 1100, 620


def main() -> None:
    """Read the sample forms, and take pictures of their review."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs/pictures")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    chosen = parser.parse_args()
    chosen.out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        table, page = Path(folder) / "forms.csv", Path(folder) / "review.html"
        start = [sys.executable, "-m", "batchdigits"]
        read = ["run", "samples/forms", "--template", "samples/forms/membership.toml", "-q"]
        more = ["--out", str(table), "--min-confidence", "0.985"]
        subprocess.run([*start, *read, *more], check=False, cwd=ROOT)
        make = ["review", str(table), "--out", str(page), "--groups", "-q"]
        subprocess.run([*start, *make], check=True, cwd=ROOT)
        take_pictures(page, chosen.out, chosen.chromium)


def take_pictures(page: Path, out: Path, chromium: str) -> None:
    """Take pictures of a page, one by one and in groups, in both schemes."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            size = {"width": WIDTH, "height": HEIGHT}
            tab = browser.new_context(color_scheme=scheme, viewport=size).new_page()
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready=yes]")
            tab.evaluate("document.querySelector('h1').textContent = 'Review of forms.csv'")
            save(out / f"review-one-{scheme}.png", tab.screenshot())
            tab.keyboard.press("g")
            tab.keyboard.press("5")
            tab.wait_for_timeout(300)
            save(out / f"review-groups-{scheme}.png", tab.screenshot())
        browser.close()


def save(path: Path, png: bytes) -> None:
    """Write a picture as small as PNG allows."""
    import numpy as np

    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    path.write_bytes(cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())


if __name__ == "__main__":
    main()
