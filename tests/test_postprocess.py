"""Numbers of several digits: from a strip to its row in the table."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import FakeReader, Save
from conftest import read as rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchdigits import predict
from batchdigits.extract import chunks
from batchdigits.extract.chunk_builder import ChunkBuilder, StripPlacement, decode_strip
from batchdigits.normalize.strips import HEIGHT
from batchdigits.postprocess.numbers import judge_number
from batchdigits.predict.decoding import DecodedSign, DecodedStrip
from batchdigits.predict.numbers import list_number_digits
from batchdigits.records import GreyImage
from batchdigits.templates import Field


def line(text: str, seed: int = 0) -> GreyImage:
    """Draw a number, dark on light, at least 1.6 times as wide as high."""
    random = np.random.default_rng(seed)
    picture = np.full((60, 40 + 30 * max(3, len(text))), 240, np.uint8)
    pen = int(random.integers(2, 5))
    cv2.putText(picture, text, (15 + int(random.integers(9)), 45), 0, 1.2, 30, pen, cv2.LINE_AA)
    return picture


def seen(
    text: str, *others: tuple[str, float], share: float = 0.97, apart: int = 8
) -> DecodedStrip:
    """Make a reading: the signs, and candidates with their probabilities."""
    signs = [DecodedSign(name, 3 + apart * at) for at, name in enumerate(text)]
    plain = text.replace(".", "").replace("-", "")
    return DecodedStrip([(plain, share), *others], signs)


# --- what a row says ---


@pytest.mark.parametrize(
    ("found", "value", "status", "words"),
    [
        (seen("4711"), "4711", "ok", ""),
        (seen("0042"), "0042", "ok", ""),  # leading zeros stay
        (seen("5.181"), "5181", "ok", "written 5.181"),  # thousands: told, and ok
        (seen("1.234.567"), "1234567", "ok", "written 1.234.567"),
        (seen("2.440.-"), "2440", "ok", "written 2.440"),  # a flourish behind is none among them
        (seen("--100"), "100", "ok", ""),
        (seen("12.50"), "1250", "review", "written 12.50"),  # must never silently be 1250
        (seen("1.2.3"), "123", "review", "written 1.2.3"),
        (seen("4567.890"), "4567890", "review", "written 4567.890"),  # no thousands: 4567
        (seen("12-50"), "1250", "review", "written 12-50"),
        (seen("47", ("41", 0.2), share=0.7), "47", "review", "may be 41"),
        (seen("4x7", ("417", 0.2)), "417", "review", "not a number"),
        (seen("xx"), "", "review", "not a number"),
        (seen("x", ("4", 0.1)), "", "review", "not a number"),  # a guess helps nobody
        (seen("x", ("4", 0.4), share=0.5), "4", "review", "may be 4"),
        (seen("", ("1", 0.1)), "1", "review", "no digits"),
        (seen("1" * 21), "1" * 21, "review", "more than the 20"),
        (seen("12", apart=30), "12", "review", "two numbers on one line"),
        (seen("1234", apart=30), "1234", "ok", ""),  # all far apart, as in boxes
    ],
)
def test_what_a_number_is(found: DecodedStrip, value: str, status: str, words: str) -> None:
    said = judge_number(None, found, 0.9)
    assert (said.value, said.status) == (value, status)
    assert words in said.detail
    assert bool(said.detail) >= (status != "ok")
    assert said.confidence is not None
    assert 0 <= said.confidence <= 0.9999


def test_two_numbers_on_one_line_are_told_apart() -> None:
    signs = [DecodedSign(name, at) for name, at in zip("1234", (3, 10, 40, 47), strict=True)]
    said = judge_number(None, DecodedStrip([("1234", 0.99)], signs), 0.5)
    assert said.status == "review"
    assert "12 34" in said.detail


def field(**rules: Any) -> Field:
    return Field(name="amount", box=(10, 10, 60, 10), **rules)


@pytest.mark.parametrize(
    ("rules", "found", "value", "status", "words"),
    [
        ({"decimals": 2}, seen("12.50"), "12.50", "ok", ""),
        ({"decimals": 2}, seen("1.212.50"), "1212.50", "ok", ""),
        ({"decimals": 2}, seen("12-50"), "12.50", "ok", ""),
        ({"decimals": 2}, seen("1250"), "12.50", "review", "no separator"),
        ({"decimals": 2}, seen("12.5"), "1.25", "review", "decimals"),
        ({"decimals": 2}, seen("1.250"), "12.50", "review", "decimals"),
        ({"pattern": "[0-9]{7}"}, seen("555-1234"), "5551234", "ok", "written 555-1234"),
        (
            {"pattern": "[0-9]{4}"},
            seen("123", ("1123", 0.2), share=0.79),
            "1123",
            "ok",
            "corrected by rule",
        ),
        ({"pattern": "[0-9]{4}"}, seen("123", ("12", 0.02)), "123", "review", "does not match"),
        ({"max": 31}, seen("37", ("31", 0.2), share=0.79), "31", "ok", "corrected by rule"),
        ({"max": 31}, seen("37", ("31", 0.0001), share=0.9), "37", "review", "may be 31"),
        ({"check": "luhn"}, seen("79", ("78", 0.28), share=0.7), "79", "review", "check digit"),
        ({"check": "luhn"}, seen("18", ("19", 0.28), share=0.7), "18", "ok", "confirmed"),
        ({"pattern": "[0-9]{2}"}, seen("1x", ("17", 0.02)), "17", "review", "not a number"),
    ],
    ids=lambda one: str(one) if isinstance(one, dict) else None,
)
def test_rules_choose_among_candidates(
    rules: dict[str, Any], found: DecodedStrip, value: str, status: str, words: str
) -> None:
    said = judge_number(field(**rules), found, 0.9)
    assert (said.value, said.status) == (value, status)
    assert words in said.detail


def test_a_reason_to_review_outweighs_all() -> None:
    said = judge_number(field(), seen("4711"), 0.5, "boxes of 12 px are too few")
    assert (said.value, said.status) == ("4711", "review")
    assert said.detail.startswith("boxes of 12 px")


def test_digits_are_told_with_boxes_in_the_page_and_what_else_they_may_be() -> None:
    strip = np.zeros((40, 96), np.uint8)
    strip[4:36, 10:20] = strip[4:36, 40:60] = 255
    found = DecodedStrip(
        [("47", 0.8), ("41", 0.15), ("4", 0.05)], [DecodedSign("4", 3), DecodedSign("7", 12)]
    )
    lies = StripPlacement((100.0, 200.0), (0.5, 2.0), 0.0)
    four, seven = list_number_digits(strip, lies, found)
    assert four.place == (105, 208, 5, 64)
    assert seven.place == (120, 208, 10, 64)
    assert (four.digit, four.confidence, four.runner_up) == ("4", 0.95, "")
    assert seven[:4] == ("7", 0.8, "1", 0.15)


# --- from files to rows ---


def test_each_number_stands_under_its_own_name(
    inbox: Path, save: Save, fake_reader: FakeReader
) -> None:
    wanted = {}
    for n in range(60):
        crop = line(str(n * n), seed=n)
        save(f"{n:02}.png", crop)
        wanted[f"inbox/{n:02}.png"] = fake_reader.value(crop)
    assert len(set(wanted.values())) > 20
    assert {row.file: row.value for row in rows(workers=2)} == wanted


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(files=st.integers(1, 30), batch_size=st.integers(1, 60))
def test_any_cut_into_chunks_gives_the_same_rows(
    inbox: Path, save: Save, fake_reader: FakeReader, files: int, batch_size: int
) -> None:
    for n in range(20):
        save(f"{n:02}.png", line(str(7 ** (n % 12)), seed=n))
        save(f"{n:02}-digit.png", line("7", seed=n)[:, :60])
    reference = rows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "MIN_CHUNK_FILES", files)
        assert rows(batch_size=batch_size) == reference


@pytest.mark.parametrize(
    ("name", "picture", "status", "words"),
    [
        ("white", np.full((30, 200), 255, np.uint8), "blank", "no ink"),
        ("long", np.full((30, 8_000), 240, np.uint8), "blank", "no ink"),
        ("row", np.full((1, 40), 255, np.uint8), "blank", "no ink"),
        ("chain", np.tile(line("8888888"), 9), "review", "too long"),
    ],
)
def test_what_is_no_number_is_never_ok(
    save: Save, fake_reader: FakeReader, name: str, picture: GreyImage, status: str, words: str
) -> None:
    save(f"{name}.png", picture)
    (row,) = rows()
    assert (row.value, row.status) == ("", status)
    assert words in row.detail
    assert row.confidence == (0.0 if status == "review" else None)


def test_a_model_without_a_number_reader_says_so(
    save: Save, fake_reader: FakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = replace(predict.load_card(None), numbers=None)
    monkeypatch.setattr(predict, "load_card", lambda path: card)
    save("a.png", line("4711"))
    save("b.png", np.full((30, 200), 255, np.uint8))
    number, blank = rows()
    assert (number.status, number.value, number.confidence) == ("review", "", 0.0)
    assert "no number reader" in number.detail
    assert blank.status == "blank"


@pytest.mark.parametrize(
    ("sign", "minus"),
    [
        ([(8, 28, 22, 4)], True),
        ([(8, 28, 22, 4), (8, 38, 22, 4)], False),  # "=", with which amounts are closed up
        ([(8, 50, 22, 4)], False),  # on the line: what is left of a ruled one
        ([(8, 24, 10, 10)], False),  # a dot
        ([], False),
    ],
    ids=["minus", "equals", "low", "dot", "nothing"],
)
def test_a_number_with_a_minus_is_never_ok(
    save: Save, fake_reader: FakeReader, sign: list[tuple[int, int, int, int]], *, minus: bool
) -> None:
    crop = np.pad(line("47"), ((0, 0), (30, 0)), constant_values=255)
    for x, y, wide, high in sign:
        crop[y : y + high, x : x + wide] = 30
    save("a.png", crop)
    (row,) = rows(as_="number", min_confidence=0)
    assert ("a minus" in row.detail) == minus
    assert (row.status == "review") >= minus


def test_the_user_may_say_that_images_are_numbers(save: Save, fake_reader: FakeReader) -> None:
    crop = line("12")[:, :90]
    save("a.png", crop)
    (as_digit,), (as_number,) = rows(), rows(as_="number")
    assert len(as_digit.value) <= 1
    assert as_number.value == fake_reader.value(crop)


def test_a_place_on_a_page_is_where_its_digits_are() -> None:
    crop = line("19")
    crop = cv2.resize(crop, None, fx=2, fy=2)  # drawn twice as large as it is on the page
    builder = ChunkBuilder("auto")
    builder.add_number(0, 1, None, crop, (300, 400, crop.shape[1] / 2, crop.shape[0] / 2), "")
    prepared = builder.finish_chunk()
    (item,), (packed,) = prepared.items, prepared.strips
    strip = decode_strip(packed)
    assert item.number is not None
    y, x = np.nonzero(strip > 110)
    leaning = x + item.number.slant * (HEIGHT / 2 - y)
    left = item.number.origin[0] + leaning.min() * item.number.scale[0]
    bottom = item.number.origin[1] + (y.max() + 1) * item.number.scale[1]
    inked = np.nonzero(crop < 130)
    assert left == pytest.approx(300 + inked[1].min() / 2, abs=1.5)
    assert bottom == pytest.approx(400 + (inked[0].max() + 1) / 2, abs=1.5)
