"""Pictures of fields for people: where the field is in them, and which way up."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from batchdigits.records import GreyImage, Source
from batchdigits.sources.inspection import hash_source
from batchdigits.views import (
    FieldRequest,
    FileRequest,
    cut_file_views,
    cut_views,
    find_picture,
    index_pictures,
)

BOX = (100, 60, 120, 40)
SPOTS = [(100, 60, 40, 40), (140, 60, 40, 40), (180, 60, 40, 40)]


def page() -> GreyImage:
    """A white page with a black field whose left third is grey."""
    grey = np.full((300, 500), 255, np.uint8)
    grey[60:100, 100:220] = 0
    grey[60:100, 100:140] = 128
    return grey


def turn(box: tuple[int, int, int, int], quarters: int) -> tuple[int, int, int, int]:
    """Return where a box of the upright page is in the page turned anticlockwise."""
    left, top, wide, high = box
    size = (500, 300)
    for _ in range(quarters):
        left, top, wide, high, size = (
            *(top, size[0] - left - wide, high, wide),
            (size[1], size[0]),
        )
    return left, top, wide, high


def save(path: Path, grey: GreyImage) -> str:
    path.write_bytes(cv2.imencode(".png", grey)[1].tobytes())
    return str(path)


def decode(picture: bytes) -> GreyImage:
    return np.asarray(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE))


@pytest.mark.parametrize("quarters", range(4))
def test_a_field_is_shown_upright_in_its_surroundings(tmp_path: Path, quarters: int) -> None:
    path = save(tmp_path / "a.png", np.ascontiguousarray(np.rot90(page(), quarters)))
    field = FieldRequest(1, turn(BOX, quarters), [turn(one, quarters) for one in SPOTS], quarters)
    (found,) = cut_views([FileRequest(path, "", [field], [1])], max_pixels=10**6)
    (view,) = found.fields
    assert view is not None
    strip = decode(view.strip)
    left, top, wide, high = (
        round(share * strip.shape[1 - side % 2]) for side, share in enumerate(view.frame)
    )
    inside = strip[top + 3 : top + high - 3, left + 3 : left + wide - 3].astype(int)
    assert np.ptp(strip[: top - 3]) < 20  # nothing of the field is above its frame
    assert abs(inside[:, : inside.shape[1] // 3 - 5].mean() - 128) < 15
    assert inside[:, inside.shape[1] // 3 + 5 :].mean() < 15
    assert [round(decode(tile).mean() / 128) for tile in view.tiles] == [1, 0, 0]
    assert view.digits.shape == (3, 28, 28)
    shown = decode(found.pages[1])
    assert shown.shape == (300, 500)


def test_a_picture_that_is_one_digit_is_its_own_strip(tmp_path: Path) -> None:
    grey = np.full((40, 30), 255, np.uint8)
    grey[10:30, 14:17] = 0
    path = save(tmp_path / "a.png", grey)
    field = FieldRequest(1, (0, 0, 30, 40), [(0, 0, 30, 40)])
    (found,) = cut_views([FileRequest(path, "", [field])], max_pixels=10**6)
    (view,) = found.fields
    assert view is not None
    assert (decode(view.strip).shape, view.frame) == ((40, 30), (0, 0, 1, 1))
    assert (list(view.tiles), view.digits.shape) == ([], (1, 28, 28))


@pytest.mark.parametrize(
    ("contents", "content", "reason"),
    [
        (None, "", "its file is not where it was"),
        (b"no picture", "", "not an image"),
        (b"no picture", "00", "its file is another now"),
    ],
)
def test_what_cannot_be_shown_has_a_reason(
    tmp_path: Path, contents: bytes | None, content: str, reason: str
) -> None:
    if contents is not None:
        (tmp_path / "a.png").write_bytes(contents)
    path = "" if contents is None else str(tmp_path / "a.png")
    request = FileRequest(path, content, [FieldRequest(1, BOX)], [1])
    (found,) = cut_file_views([request], max_pixels=10**6, page_seconds=20, count=1)
    assert (list(found.fields), found.pages) == ([None], {})
    assert reason in found.fault


def test_a_page_that_is_too_large_is_not_decoded(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", page())
    (found,) = cut_views([FileRequest(path, "", [FieldRequest(1, BOX)])], max_pixels=1000)
    assert found.fields == [None]
    assert "px" in found.fault or "pixels" in found.fault


def test_a_moved_picture_is_found_by_its_content(tmp_path: Path) -> None:
    for name, level in (("a.png", 10), ("a-2.png", 20), ("b.png", 30)):
        (tmp_path / "done").mkdir(exist_ok=True)
        save(tmp_path / "done" / name, np.full((9, 9), level, np.uint8))
    moved = index_pictures([str(tmp_path / "done")])
    second = str(tmp_path / "done" / "a-2.png")
    content = (hash_source(Source("", second)).content or b"").hex()
    assert find_picture("inbox/a.png", content, moved) == second
    assert find_picture("inbox/c.png", content, moved) == ""
