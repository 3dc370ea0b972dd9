"""Where the silent errors of a table are on the sheets of a review in groups.

    python jobs/bench/silent.py results.csv truth.csv

Makes the page of a table with `--groups`, and tells of each value that is `ok` and wrong how far
down its sheet its most unlike digit is. `truth.csv` has the columns file, page, field, value.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from keystrokes import find_truth, read_truth


def main() -> None:
    """Make the page of a table, and print where its silent errors are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results")
    parser.add_argument("truth")
    chosen = parser.parse_args()
    truth = read_truth(chosen.truth)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "review.html"
        line = [sys.executable, "-m", "batchdigits", "review", chosen.results, "--out", str(page)]
        subprocess.run([*line, "--groups", "-q"], check=True)
        text = page.read_text("utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    sure = [one for one in json.loads(data)["items"] if one["status"] == "ok"]
    wrong = [one for one in sure if find_truth(truth, one) not in (None, one["value"])]
    for one in wrong:
        place = min(one.get("ranks", [1.0]))
        right = find_truth(truth, one)
        print(f"{one['value']} is {right} ({one['confidence']}): at {place:.1%} of its sheet")
    early = sum(min(one.get("ranks", [1.0])) < 0.1 for one in wrong)
    print(f"{early} of {len(wrong)} silent errors among {len(sure):,} are in the first tenth")


if __name__ == "__main__":
    main()
