"""How fast the page of a review opens and steps, in a real browser.

    python jobs/bench/review_page.py review.html [--items 5000] [--chromium /usr/bin/chromium]

Takes a page that `review` made, repeats its values until there are so many, and measures the time
until it can be used, the time of a step in the page (median and the slowest of 200), and of a sheet
of a group.
"""

import argparse
import json
import re
import statistics
import tempfile
import time
from pathlib import Path

STEP = """() => { const start = performance.now();
    dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
    document.body.getBoundingClientRect();
    return performance.now() - start; }"""


def main() -> None:
    """Open a page with many values, and print how long it takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    chosen = parser.parse_args()
    text = chosen.page.read_text("utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    page = json.loads(data)
    some = [one for one in page["items"] if one["how"] != "group"]
    page["items"] = [dict(some[n % len(some)], file=f"inbox/{n}.png") for n in range(chosen.items)]
    with tempfile.TemporaryDirectory() as folder:
        many = Path(folder) / "many.html"
        many.write_text(text.replace(data, json.dumps(page)), "utf-8")
        measure(many, chosen.chromium)


def measure(page: Path, chromium: str) -> None:
    """Measure a page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        start = time.monotonic()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready=yes]")
        opened = time.monotonic() - start
        steps = [tab.evaluate(STEP) for _ in range(200)]
        start = time.monotonic()
        tab.keyboard.press("g")
        tab.wait_for_selector("#tiles button")
        sheet = time.monotonic() - start
        browser.close()
    print(
        f"{page.stat().st_size / 1e6:.1f} MB: opens in {opened:.2f} s, a step takes "
        f"{statistics.median(steps):.1f} ms (slowest {max(steps):.1f}), a sheet {sheet:.2f} s"
    )


if __name__ == "__main__":
    main()
