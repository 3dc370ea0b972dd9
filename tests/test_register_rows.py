"""A form of one row of boxes looks the same upside down: what tells its turns and places apart."""

import cv2
import numpy as np
import pytest

from batchdigits.records import GreyImage
from batchdigits.register import (
    Pose,
    RegistrationFailure,
    build_reference,
    register_page,
)
from batchdigits.templates.template import Template

PX_PER_MM = 6
WIDE, HIGH = 210, 280
BOX = 8.0
ROW = (84.0, 100.0)
TEXT = (
    "the quick brown fox jumps over a lazy dog while old boats drift by the bank of that "
    "broad lake and children hold their hats in fresh wind before dark clouds block all light"
)
PRINT, SCRIPT = cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX


def template(anchor: str) -> Template:
    """A form of nine boxes in a row, off the middle of the page."""
    form = {"name": "row", "size": [WIDE, HIGH], "anchor": anchor}
    if anchor == "image":
        form["reference"] = "blank.png"
    fields = [{"name": "number", "box": [*ROW, 9 * BOX, 10], "cells": 9}]
    return Template.model_validate({"form": form, "field": fields})


def draw_page(
    *,
    place: tuple[float, float] = ROW,
    count: int = 9,
    font: int | None = PRINT,
    seed: int = 1,
) -> GreyImage:
    """Draw a page of text with a row of boxes, its top left corner at a place, mm."""
    page = np.full((HIGH * PX_PER_MM, WIDE * PX_PER_MM), 255, np.uint8)
    if font is not None:
        random = np.random.default_rng(seed)
        for y in range(90, page.shape[0] - 60, 48):
            line = " ".join(random.permutation(TEXT.split())[:10])
            cv2.putText(page, line, (90, y), font, 0.9, 0, 1, cv2.LINE_AA)
    left, top = (round(side * PX_PER_MM) for side in place)
    page[top - 40 : top + 100, left - 40 : left + round(count * BOX * PX_PER_MM) + 40] = 255
    for n in range(count):
        x = left + round(n * BOX * PX_PER_MM)
        end = (x + round(BOX * PX_PER_MM), top + 10 * PX_PER_MM)
        cv2.rectangle(page, (x, top), end, 0, 2)
    return page


def measure_error(pose: Pose | RegistrationFailure, place: tuple[float, float], turn: int) -> float:
    """Return how far off the row's ends are, at most, mm."""
    assert isinstance(pose, Pose), pose
    ends = np.array([ROW, (ROW[0] + 9 * BOX, ROW[1] + 10)])
    truth = (np.array(place) + ends - ROW) * PX_PER_MM
    wide, high = WIDE * PX_PER_MM - 1, HIGH * PX_PER_MM - 1
    for _ in range(turn):
        truth, (wide, high) = np.column_stack([high - truth[:, 1], truth[:, 0]]), (high, wide)
    seen = cv2.perspectiveTransform(ends[None], pose.matrix)[0]
    return float(np.linalg.norm(seen - truth, axis=1).max()) / PX_PER_MM


FOUND = [
    ("page", ROW, PRINT, 0, "text, place and turn are as usual"),
    ("page", ROW, PRINT, 1, "text and place agree on a turn"),
    ("page", ROW, PRINT, 2, "text and place agree that it is upside down"),
    ("page", ROW, PRINT, 3, "text and place agree on a turn"),
    ("page", ROW, None, 0, "no text, but it lies as pages usually do"),
    *(
        ("page", (30.0, 180.0), PRINT, turn, "elsewhere on the page, but its signs tell the turn")
        for turn in range(4)
    ),
    *(("image", ROW, PRINT, turn, "the reference's print tells the turn") for turn in range(4)),
    *(
        ("image", (30.0, 180.0), PRINT, turn, "print that stands elsewhere tells it too")
        for turn in range(4)
    ),
]


@pytest.mark.parametrize(("anchor", "place", "font", "turn", "why"), FOUND)
def test_a_row_is_found_where_the_rest_of_the_page_tells_its_turn(
    anchor: str, place: tuple[float, float], font: int | None, turn: int, why: str
) -> None:
    grey = np.ascontiguousarray(np.rot90(draw_page(place=place, font=font), -turn))
    reference = build_reference(draw_page()) if anchor == "image" else None
    pose = register_page(grey, template(anchor), reference)
    assert measure_error(pose, place, turn) < 0.5, why


LOST = [
    ("page", draw_page(font=None)[::-1, ::-1], "two ways", "upside down without any text"),
    ("page", np.rot90(draw_page(font=None)), "two ways", "on its side without any text"),
    (
        "page",
        draw_page(place=(30.0, 180.0), font=None)[::-1, ::-1],
        "two ways",
        "upside down, and elsewhere, without any text",
    ),
    ("page", draw_page(count=11), "two ways", "a longer row: nine of its boxes are any"),
    ("image", draw_page(font=SCRIPT), "another form", "nine boxes in another kind of print"),
    ("page", np.hstack([draw_page(), draw_page(seed=2)]), "twice", "two pages beside each other"),
    ("image", np.hstack([draw_page()] * 2), "twice", "two pages beside each other"),
]


@pytest.mark.parametrize(("anchor", "grey", "words", "why"), LOST)
def test_a_row_is_refused_where_nothing_tells_its_turn_or_place(
    anchor: str, grey: GreyImage, words: str, why: str
) -> None:
    reference = build_reference(draw_page()) if anchor == "image" else None
    lost = register_page(np.ascontiguousarray(grey), template(anchor), reference)
    assert isinstance(lost, RegistrationFailure), why
    assert words in lost.why, why


def reduce(grey: GreyImage, share: float) -> GreyImage:
    small = cv2.resize(grey, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


CAUSES = [
    ("page", reduce(draw_page(), 0.25), "too coarse: about 38 dpi"),
    ("image", (draw_page() * 0.04).astype(np.uint8), "too dark"),
    ("image", (draw_page() * 0.04 + 120).astype(np.uint8), "too faint"),
    ("page", np.full_like(draw_page(), 255), "empty"),
    (
        "image",
        np.where(np.arange(WIDE * PX_PER_MM) < 110 * PX_PER_MM, draw_page(), 90).astype(np.uint8),
        "partly covered or cut off: the print is this form's",
    ),
]


@pytest.mark.parametrize(("anchor", "grey", "words"), CAUSES)
def test_the_true_cause_is_told_in_one_line(anchor: str, grey: GreyImage, words: str) -> None:
    reference = build_reference(draw_page()) if anchor == "image" else None
    lost = register_page(grey, template(anchor), reference)
    assert isinstance(lost, RegistrationFailure)
    assert words in lost.why
    assert "\n" not in lost.why
