"""Pages without a template: each box that is found is a row."""

import csv
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import FakeClassifier, Save, drawn, resolve
from conftest import read as rows
from numpy.typing import NDArray

from batchdigits.errors import OutputError
from batchdigits.outputs import debug_pages
from batchdigits.run import run_job


def undescribed() -> NDArray[np.uint8]:
    """Draw a page: a row of four boxes, of which three are filled in, and a table of 2 x 3."""
    page = np.full((1000, 800), 255, np.uint8)
    for n in range(4):
        cv2.rectangle(page, (100 + 60 * n, 100), (160 + 60 * n, 180), 0, 2)
        if n < 3:
            page[116:164, 106 + 60 * n : 154 + 60 * n] = drawn(n + 1, side=48)
    for n in range(3):
        cv2.line(page, (100, 300 + 60 * n), (580, 300 + 60 * n), 0, 2)
    for n in range(4):
        cv2.line(page, (100 + 160 * n, 300), (100 + 160 * n, 420), 0, 2)
    page[306:354, 300:348] = drawn(7, side=48)
    return page


CELLS = [f"r{r:02}c{c:02}" for r in (1, 2) for c in (1, 2, 3)]


def test_boxes_of_a_page_without_a_template_are_rows(
    save: Save, fake_classifier: FakeClassifier
) -> None:
    save("a.png", undescribed())
    save("b.png", drawn(5))
    found = rows()
    page = [row for row in found if row.file == "inbox/a.png"]
    assert [row.field for row in page] == ["box_001", *CELLS]
    status = {row.field: row.status for row in page}
    assert len(next(row.value for row in page if row.field == "box_001")) == 3
    assert [field for field in CELLS if status[field] != "blank"] == ["r01c02"]
    assert found[-1].file == "inbox/b.png"
    assert found[-1].field == ""


def test_a_page_of_light_ink_is_read_the_same(save: Save, fake_classifier: FakeClassifier) -> None:
    save("a.png", undescribed())
    dark = [(row.field, row.value) for row in rows()]
    save("a.png", 255 - undescribed())
    assert [(row.field, row.value) for row in rows()] == dark


def test_wide_without_a_template_has_the_columns_that_were_found(
    save: Save, fake_classifier: FakeClassifier
) -> None:
    save("a.png", undescribed())
    save("b.png", drawn(5))
    run_job(resolve(wide=True, out="wide.csv"))
    with Path("wide.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert list(first)[2:-3] == ["box_001", *CELLS, "value"]
    assert len(first["box_001"]) == 3
    assert second["value"] != ""


def test_debug_pages_show_what_was_found_and_are_no_inputs(
    save: Save, fake_classifier: FakeClassifier
) -> None:
    save("sub/a b;ö.png", undescribed())
    for _ in range(2):  # the second run finds the pictures of the first there
        assert run_job(resolve(debug_pages="inbox/shown", out="r.csv", settle=0)).files == 1
    (shown,) = Path("inbox/shown").iterdir()
    assert re.fullmatch(r"[A-Za-z0-9._-]+-001\.png", shown.name)
    picture = cv2.imread(str(shown))
    assert picture.shape == (1000, 800, 3)
    assert (np.ptp(picture.astype(int), axis=2) > 60).sum() > 500  # it is drawn on, in colours


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_read(save: Save) -> None:
    save("a.png", undescribed())
    with pytest.raises(OutputError, match=r"--debug-pages 'inbox/a\.png/x' takes no files"):
        run_job(resolve(out="r.csv", debug_pages="inbox/a.png/x"))


def test_a_folder_for_pages_that_takes_no_files_is_told_before_anything_is_read(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    save("a.png", undescribed())
    Path("shut").mkdir()
    monkeypatch.setattr("tempfile.TemporaryFile", refuses)
    with pytest.raises(OutputError, match="--debug-pages 'shut' takes no files: Permission denied"):
        debug_pages.prepare_debug_folder("shut")
