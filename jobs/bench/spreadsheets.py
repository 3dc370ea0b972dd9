"""What LibreOffice makes of tables under German, French and US settings: text stays text?

    python jobs/bench/spreadsheets.py

Writes one table in each dialect, has LibreOffice without a screen open it as its import dialog
would by default (UTF-8 by the mark; commas, semicolons and tabs part columns), and prints what
cells are. Needs `soffice` in PATH (Debian: libreoffice-calc-nogui). Excel cannot be asked:
`--excel` goes by the list separator and the decimal sign that Windows has for each country.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from batchdigits.outputs import open_table_writer
from batchdigits.records import Row

VALUES = ("007", "6435.60", "12.05", "0101", "33327112")
"""Leading zeros, amounts, what may look like a day, and a plain number."""
ROWS = [Row(f"inbox/ž{n}.png", 1, "", value, 0.9907, "ok", "") for n, value in enumerate(VALUES)]
SETTINGS = {"de-DE": True, "fr-FR": True, "en-US": False}
"""Language → whether it writes decimal commas."""
IMPORT = "CSV:44/59/9,34,76,1,,0,false,false,false,false,false,0,false,false,false"
"""The import dialog's defaults, as LibreOffice's filter options name them."""
PROFILE = """\
<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Setup/L10N"><prop oor:name="ooSetupSystemLocale" oor:op="fuse">
<value>{}</value></prop></item></oor:items>
"""


class Opened(NamedTuple):
    """What the cells of an opened table are.

    Attributes:
        columns: how many the header has.
        texts: how many values are text, digit for digit.
        numbers: how many confidences are the number that was written.
    """

    columns: int
    texts: int
    numbers: int


def main() -> None:
    """Write, open and print."""
    if shutil.which("soffice") is None:
        sys.exit("soffice is not in PATH: install LibreOffice (Debian: libreoffice-calc-nogui)")
    print(f"{'settings':9} {'table':34} columns  values as text  confidences as numbers")
    for language, comma in SETTINGS.items():
        with TemporaryDirectory() as folder:
            for name, dialect in list_tables(comma).items():
                with open_table_writer(str(Path(folder, name)), **dialect) as write:
                    write(ROWS)
                found = open_in_libreoffice(Path(folder, name), language)
                asked = " ".join(f"--{one.replace('_', '-')}" for one, on in dialect.items() if on)
                print(
                    f"{language:9} {f'{name} {asked}':34} {found.columns:7}  "
                    f"{found.texts:10} of {len(ROWS)}  {found.numbers:18} of {len(ROWS)}"
                )


def list_tables(comma: bool) -> dict[str, dict[str, bool]]:
    """List names of tables with their dialects: plain, for spreadsheets of a country, and .xlsx."""
    return {
        "plain.csv": {},
        "excel.csv": {"excel": True, "decimal_comma": comma},
        "excel.tsv": {"excel": True, "decimal_comma": comma},
        "workbook.xlsx": {},
    }


def open_in_libreoffice(table: Path, language: str) -> Opened:
    """Open a table under the settings of a language, and look at its cells."""
    profile = table.parent / f"profile-{language}" / "user"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "registrymodifications.xcu").write_text(PROFILE.format(language))
    how = [f"--infilter={IMPORT}"] if table.suffix != ".xlsx" else []
    command = ["soffice", f"-env:UserInstallation={profile.parent.as_uri()}", "--headless", *how]
    command += ["--convert-to", "fods", "--outdir", str(table.parent), str(table)]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    return look_at_cells(table.with_suffix(".fods").read_text("utf-8"))


def look_at_cells(document: str) -> Opened:
    """Look at the cells of a flat OpenDocument spreadsheet."""
    body = document[document.index("<office:body") :]
    header, *rows = re.findall(r"<table:table-row.*?</table:table-row>", body, re.S)[
        : len(ROWS) + 1
    ]
    texts = numbers = 0
    for row, wanted in zip(rows, VALUES, strict=True):
        cells = list_cells(row)
        texts += ("string", wanted) in [(kind, text.strip()) for kind, text, _ in cells]
        numbers += any(kind == "float" and value == "0.9907" for kind, _, value in cells)
    return Opened(sum(kind == "string" for kind, _, _ in list_cells(header)), texts, numbers)


def list_cells(row: str) -> list[tuple[str, str, str]]:
    """List the cells of a row: type, shown text, and the value of a number."""
    found = re.findall(r"<table:table-cell([^>]*?)(?:/>|>(.*?)</table:table-cell>)", row, re.S)
    cells = []
    for attributes, inner in found:
        kind = re.search(r'office:value-type="(\w+)"', attributes)
        value = re.search(r'office:value="([^"]+)"', attributes)
        text = re.sub("<[^>]*>", "", inner)
        cells.append((kind[1] if kind else "", text, value[1] if value else ""))
    return cells


if __name__ == "__main__":
    main()
