"""Pages as they come: backs of sheets, pages of one form, boxes of a table that are one number."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_runs import Capture, run, table
from conftest import FakeClassifier, Save, drawn
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]
WHITE = np.full((1000, 800), 255, np.uint8)
RUN = ("run", "inbox", "--out", "out.csv", "--as", "form", "--workers", "0", "--settle", "0")


def form() -> Grey:
    """A page of text with a table: three boxes under one heading, beside a wide cell."""
    page = WHITE.copy()
    for n, line in enumerate(("Votes of the meeting on the 27th of May,", "to be sent by return.")):
        cv2.putText(page, line, (60, 80 + 40 * n), cv2.FONT_HERSHEY_COMPLEX, 0.8, 0, 1, cv2.LINE_AA)
    for y in (200, 280, 360):
        cv2.line(page, (100, y), (700, y), 0, 2)
    for x in (100, 460, 700):
        cv2.line(page, (x, 200), (x, 360), 0, 2)
    for n in range(3):
        cv2.line(page, (460 + 80 * n, 280), (460 + 80 * n, 360), 0, 2)
        page[296:344, 476 + 80 * n : 524 + 80 * n] = drawn(n + 2, side=48)
    return page


def save_pages(name: str, pages: Sequence[Grey]) -> None:
    first, *rest = [Image.fromarray(page) for page in pages]
    first.save(Path("inbox", name), save_all=True, append_images=rest)


def test_boxes_under_one_heading_are_one_row(save: Save, fake_classifier: FakeClassifier) -> None:
    save("a.png", form())
    assert run(*RUN) == 0
    found = {row["field"]: row for row in table()}
    assert list(found) == ["r01c01", "r01c02", "r02c01", "r02c02"]
    assert len(found["r02c02"]["value"]) == 3
    assert not found["r01c01"]["value"]


@pytest.mark.parametrize(
    ("pages", "statuses", "counted"),
    [
        ([form(), WHITE], {1: "read", 2: "blank"}, "; 1 blank page ->"),
        ([WHITE, form(), WHITE], {1: "blank", 2: "read", 3: "blank"}, "; 2 blank pages ->"),
        ([WHITE], {1: "review"}, "; 1 blank page ->"),
        ([form()], {1: "read"}, ""),
    ],
)
def test_the_back_of_a_sheet_is_blank_and_a_lone_white_page_is_for_review(
    pages: list[Grey],
    statuses: dict[int, str],
    counted: str,
    inbox: Path,
    fake_classifier: FakeClassifier,
    capsys: Capture,
) -> None:
    save_pages("a.tif", pages)
    assert run(*RUN) == 0
    assert counted in capsys.readouterr().err
    rows = table()
    for page, status in statuses.items():
        own = [row for row in rows if row["page"] == str(page)]
        if status == "read":
            assert len(own) == 4
            continue
        assert [(row["field"], row["value"], row["status"]) for row in own] == [("", "", status)]
        assert own[0]["detail"] == "nothing on it"
    assert run(*RUN[:2], "--out", "-", *RUN[4:]) == 0
    assert capsys.readouterr().out.splitlines() == Path("out.csv").read_text().splitlines()


@pytest.mark.parametrize(("count", "told"), [(4, False), (5, True)])
def test_many_pages_of_one_form_are_told_with_the_command_that_drafts_it(
    count: int, told: bool, save: Save, fake_classifier: FakeClassifier, capsys: Capture
) -> None:
    for n in range(count):
        save(f"{n} a.png", form())
    assert run(*RUN) == 0
    said = "5 pages look like one form (`batchdigits form draft 'inbox/0 a.png' --out form.toml`"
    assert (said in capsys.readouterr().err) == told
