"""How many keys it takes to settle what is for review, in a real browser.

    python jobs/bench/keystrokes.py results.csv truth.csv [--chromium /usr/bin/chromium]

Makes the page of a table, and settles it as a person who reads every picture right would: Enter
where the reading is right, else the digits that are wrong, or the whole value, whichever takes
fewer keys; `b` for a blank box, `x` where the truth is `none`. Told are the keys that were pressed
for each value and for 100 values of the table, beside those of typing every value and Enter; and
how many values are wrong afterwards. `truth.csv` has the columns file, page, field, value.
"""

import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def main() -> None:
    """Settle a table's values in a browser, and print how many keys that took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results")
    parser.add_argument("truth")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    chosen = parser.parse_args()
    truth = read_truth(chosen.truth)
    with open(chosen.results, encoding="utf-8-sig") as file:  # noqa: PTH123
        rows = [one for one in csv.DictReader(file) if find_truth(truth, one) is not None]
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "review.html"
        line = [sys.executable, "-m", "batchdigits", "review", chosen.results, "--out", str(page)]
        subprocess.run([*line, "-q"], check=True)
        keys, items, left_wrong = settle(page, truth, chosen.chromium)
    typed = sum(len(find_truth(truth, one) or "") + 1 for one in rows)
    silent = sum(one["status"] == "ok" and one["value"] != find_truth(truth, one) for one in rows)
    print(
        f"{items} of {len(rows)} values asked, {keys} keys: {keys / max(items, 1):.2f} for each; "
        f"{100 * keys / max(len(rows), 1):.0f} keys for 100 values, {100 * typed / len(rows):.0f} "
        f"to type them all; wrong afterwards {left_wrong} of those asked, {silent} of the others"
    )


def read_truth(path: str) -> dict[tuple[str, str, str], str]:
    """Return values by the end of the file's name, page and field."""
    with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123
        return {
            (Path(one["file"]).name, one.get("page") or "1", one.get("field") or ""): one["value"]
            for one in csv.DictReader(file)
        }


def find_truth(truth: dict[tuple[str, str, str], str], row: dict[str, Any]) -> str | None:
    """Return the truth of a row of the table, or of an item of the page; None if there is none."""
    return truth.get((Path(row["file"]).name, str(row["page"]), row["field"]))


def settle(
    page: Path, truth: dict[tuple[str, str, str], str], chromium: str
) -> tuple[int, int, int]:
    """Settle a page; return the keys, the items with a truth, and those that came out wrong."""
    from playwright.sync_api import sync_playwright

    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text())
    items = json.loads(data[1] if data else "{}")["items"]
    keys = known = 0
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready=yes]")
        for item in items:
            right = find_truth(truth, item)
            presses = ["ArrowRight"] if right is None else choose_keys(item, right)
            for press in presses:
                tab.keyboard.press(press)
            if tab.is_visible("#warning") and "once more" in (tab.text_content("#warning") or ""):
                presses = [*presses, presses[-1]]
                tab.keyboard.press(presses[-1])
            if right is not None:
                keys, known = keys + len(presses), known + 1
        answers = tab.evaluate("answers")
        browser.close()
    wrong = sum(
        answers[str(at)]["value"] != (find_truth(truth, item) or "").replace("none", "")
        for at, item in enumerate(items)
        if str(at) in answers
    )
    return keys, known, wrong


def choose_keys(item: dict[str, Any], right: str) -> list[str]:
    """Return the keys that a person presses for a value."""
    if right == "none":
        return ["x"]
    if not right:
        return ["b"]
    value = item["value"]
    if value == right:
        return ["Enter"]
    if not item["field"] and len(value) <= 1 and len(right) == 1:
        return [right]
    doubtful = item["doubtful"] if len(value) == len(right) else []
    for count in range(1, len(doubtful) + 1):
        places = sorted(doubtful[:count])
        signs = list(value)
        for place in places:
            signs[place] = right[place]
        if "".join(signs) == right and 3 * count < len(value.replace(".", "")):
            return [*(right[place] for place in places), "Enter"]
    return [*right, "Enter"]


if __name__ == "__main__":
    main()
