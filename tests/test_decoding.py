"""What the network sees in each column becomes candidates, signs and boxes."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from batchdigits.postprocess.numbers import judge_number
from batchdigits.predict import augmentation, decoding, unread
from batchdigits.predict.decoding import DecodedSign, decode_logits, find_sign_boxes
from batchdigits.records import GreyImage

BLANK, SEPARATOR, FLOURISH, OTHER = 13, 10, 11, 12


def seen(*columns: int | dict[int, float], sure: float = 0.97) -> NDArray[np.float32]:
    """Give logits of columns: a class that is nearly sure, or shares of several."""
    out = np.full((len(columns), 14), (1 - sure) / 13)
    for row, column in zip(out, columns, strict=True):
        if isinstance(column, int):
            row[column] = sure
        else:
            row[:] = (1 - sum(column.values())) / (14 - len(column))
            for which, share in column.items():
                row[which] = share
    return np.log(out).astype(np.float32)


@pytest.mark.parametrize(
    ("columns", "digits", "written"),
    [
        ((BLANK, 1, BLANK, 2, BLANK), "12", "12"),
        ((1, 1, 1), "1", "1"),  # one sign over several columns
        ((1, BLANK, 1), "11", "11"),  # twice the same, parted by a blank
        ((1, SEPARATOR, 1), "11", "1.1"),  # a separator parts as a blank does
        ((5, SEPARATOR, 1, 8, BLANK, 1), "5181", "5.181"),
        ((FLOURISH, 7, SEPARATOR, FLOURISH), "7", "-7.-"),
        ((3, OTHER, 4), "3x4", "3x4"),
        ((BLANK, BLANK), "", ""),
        ((0, BLANK, 0, BLANK, 0), "000", "000"),  # leading zeros stay
    ],
)
def test_columns_become_a_string(columns: tuple[int, ...], digits: str, written: str) -> None:
    found = decode_logits(seen(*columns))
    assert found.candidates[0][0] == digits
    assert found.full_text == written


def brute(logits: NDArray[np.float32]) -> dict[str, float]:
    """Sum up over all ways along a few columns, as the definition has it."""
    shares = np.exp(logits.astype(np.float64))
    shares /= shares.sum(axis=1, keepdims=True)
    out: dict[str, float] = {}
    for way in itertools.product(range(14), repeat=len(shares)):
        share = math.prod(row[name] for row, name in zip(shares, way, strict=True))
        plain = [BLANK if name in (SEPARATOR, FLOURISH) else name for name in way]
        text = "".join(
            "0123456789..x"[name] for name, _ in itertools.groupby(plain) if name != BLANK
        )
        out[text] = out.get(text, 0.0) + share
    return out


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(-4, 6), min_size=14, max_size=14), min_size=1, max_size=3))
def test_probabilities_are_those_of_the_definition(rows: list[list[int]]) -> None:
    logits = np.array(rows, np.float32)
    true = brute(logits)
    found = decode_logits(logits, beam=400).candidates
    for text, share in found[:5]:
        assert share == pytest.approx(true[text], abs=2e-3)  # what is under LEAST is left out
    assert found[0][1] == pytest.approx(max(true.values()), abs=2e-3)
    assert math.fsum(share for _, share in found) <= 1 + 1e-9


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_candidates_fall_and_signs_stand_in_order(columns: int, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 4, (columns, 14)).astype(np.float32)
    found = decode_logits(logits)
    shares = [share for _, share in found.candidates]
    assert shares == sorted(shares, reverse=True)
    assert len({text for text, _ in found.candidates}) == len(shares) <= decoding.BEAM_WIDTH
    at = [sign.column for sign in found.signs]
    assert at == sorted(at)
    assert all(0 <= one < columns for one in at)
    told = "".join(
        sign.name for sign in found.signs if sign.name not in decoding.SEPARATOR_CHARACTERS
    )
    assert told == found.candidates[0][0]


def test_a_long_strip_has_a_probability() -> None:
    columns = [n // 2 % 10 if n % 2 else BLANK for n in range(384)]
    found = decode_logits(seen(*columns, sure=0.9))
    assert len(found.candidates[0][0]) == 192
    assert 0 < found.candidates[0][1] < 1e-3


def test_a_separator_hardly_seen_is_not_told_of() -> None:
    hardly = {BLANK: 0.9, SEPARATOR: 0.07}
    clearly = {BLANK: 0.45, SEPARATOR: 0.5}
    assert decode_logits(seen(1, hardly, 2)).full_text == "12"
    assert decode_logits(seen(1, clearly, 2)).full_text == "1.2"


def test_boxes_hold_the_ink_of_their_signs() -> None:
    picture = np.zeros((40, 128), np.uint8)
    picture[5:35, 10:20] = 255
    picture[8:30, 40:64] = 255
    picture[28:32, 70:74] = 255
    signs = [DecodedSign("1", 3), DecodedSign("0", 12), DecodedSign(".", 17)]
    assert find_sign_boxes(picture, signs) == [(10, 5, 10, 30), (40, 8, 24, 22), (70, 28, 4, 4)]


def test_a_sign_without_ink_has_a_box_all_the_same() -> None:
    (box,) = find_sign_boxes(np.zeros((40, 96), np.uint8), [DecodedSign("1", 3)])
    assert box == (0, 0, 96, 40)
    assert find_sign_boxes(np.zeros((40, 96), np.uint8), []) == []


# --- a second look ---


class Doubtful:
    """Reads a bright strip for sure; a dim one as 7, and as 1 where it leans the least bit."""

    def __init__(self) -> None:
        self.full_text: list[GreyImage] = []

    def __call__(self, strips: Sequence[GreyImage]) -> list[NDArray[np.float32]]:
        self.full_text += strips
        return [self._one(one) for one in strips]

    @staticmethod
    def _one(strip: GreyImage) -> NDArray[np.float32]:
        if strip.max() > 200:
            return seen(BLANK, 4, BLANK, sure=0.9999)
        leans = strip[10].argmax() != strip[-10].argmax()
        return seen(BLANK, {1: 0.8, 7: 0.1} if leans else {7: 0.6, 1: 0.3}, BLANK)


def upright_stroke(level: int) -> GreyImage:
    strip = np.zeros((40, 96), np.uint8)
    strip[4:36, 5:8] = level
    return strip


def test_only_what_is_in_doubt_is_looked_at_again() -> None:
    network = Doubtful()
    sure, doubtful = upright_stroke(255), upright_stroke(120)
    found = augmentation.read_strips(network, [sure, doubtful, sure], [10, 10, 10])
    assert len(network.full_text) == 3 + len(augmentation.LOOK_DISTORTIONS)
    assert [one.candidates[0][0] for one in found] == ["4", "1", "4"]
    assert found[1].signs == [DecodedSign("1", 1)]
    share = dict(found[1].candidates)
    assert 0.2 < share["7"] < share["1"] < 0.8


def test_a_look_at_a_strip_hangs_on_nothing_beside_it() -> None:
    strips = [upright_stroke(level) for level in (255, 120, 90, 255, 60)]
    together = augmentation.read_strips(Doubtful(), strips, [10] * 5)
    assert together == [augmentation.read_strips(Doubtful(), [one], [10])[0] for one in strips]
    assert augmentation.read_strips(Doubtful(), [], []) == []


@settings(max_examples=50, deadline=None)
@given(
    lean=st.floats(-0.3, 0.3),
    wider=st.floats(0.9, 1.1),
    taller=st.floats(0.9, 1.05),
    right=st.floats(-3, 3),
)
def test_a_strip_is_altered_about_its_middle(
    lean: float, wider: float, taller: float, right: float
) -> None:
    strip = np.zeros((41, 97), np.uint8)
    for x, y in ((48, 20), (30, 8), (66, 32)):
        strip[y - 2 : y + 3, x - 2 : x + 3] = 255
    found = augmentation.distort_strip(strip, lean=lean, wider=wider, taller=taller, right=right)
    assert found.shape == strip.shape
    for x, y in ((48, 20), (30, 8), (66, 32)):
        at_y = 20 + (y - 20) * taller
        at_x = 48 + (x - 48) * wider - lean * (at_y - 20) + right
        assert found[round(at_y), round(at_x)] > 150


@pytest.mark.parametrize(
    ("strokes", "text"),
    [
        ((13, 29), "12"),  # each has its sign
        ((13, 29, 60), "12x"),  # tall ink without a sign
        ((2, 13, 29), "x12"),
    ],
)
def test_tall_ink_without_a_sign_is_no_digit(strokes: tuple[int, ...], text: str) -> None:
    picture = np.zeros((40, 96), np.uint8)
    for x in strokes:
        picture[6:34, x : x + 3] = 90
    picture[30:34, 80:82] = 255  # a dot is no digit that was passed over
    read = decode_logits(seen(BLANK, BLANK, BLANK, 1, BLANK, BLANK, BLANK, 2, *[BLANK] * 16))
    found = unread.mark_unread_ink(picture, read)
    assert found.full_text == text
    assert found.candidates[0][0] == text
    assert (found.candidates[-len(read.candidates) :]) == read.candidates


def test_ink_that_was_passed_over_sends_a_number_to_review() -> None:
    picture = np.zeros((40, 96), np.uint8)
    picture[6:34, 13:16] = picture[6:34, 60:63] = 255
    logits = seen(BLANK, BLANK, BLANK, 1, *[BLANK] * 20, sure=0.9999)
    (found,) = augmentation.read_strips(lambda strips: [logits] * len(strips), [picture], [10])
    assert found.full_text == "1x"


@pytest.mark.parametrize(
    ("candidates", "shown"),
    [
        ([("2", 0.6), ("12", 0.3)], "12"),  # a 1 that may be there
        ([("2", 0.6), ("12", 0.06)], "12"),
        ([("2", 0.6), ("12", 0.05)], "2"),  # hardly ever
        ([("2", 0.6), ("17", 0.3)], "2"),  # it explains the ink, but the rest differs
        ([("2", 0.6), ("21", 0.3)], "2"),  # the digit stands elsewhere
        ([("2", 0.6), ("x2", 0.3)], "2"),
    ],
)
def test_ink_without_a_sign_is_shown_as_the_digit_that_it_may_be(
    candidates: list[tuple[str, float]], shown: str
) -> None:
    picture = np.zeros((40, 96), np.uint8)
    picture[6:34, 13:16] = picture[6:34, 40:43] = 255
    read = decoding.DecodedStrip(candidates, [DecodedSign("2", 10)])
    found = unread.mark_unread_ink(picture, read)
    judged = judge_number(None, found, 0.0)
    assert (judged.value, judged.status) == (shown, "review")


@pytest.mark.parametrize(
    ("row", "size", "text"),
    [
        (30, 3, "1.2"),  # a point on the line
        (30, 1, "12"),  # a speck
        (4, 3, "12"),  # high up
        (18, 12, "12"),  # a stroke
    ],
)
def test_a_tiny_point_between_digits_is_a_separator(row: int, size: int, text: str) -> None:
    picture = np.zeros((40, 96), np.uint8)
    picture[6:34, 13:16] = picture[6:34, 45:48] = 255
    picture[row : row + size, 28 : 28 + size] = 60
    read = decoding.DecodedStrip([("12", 1.0)], [DecodedSign("1", 3), DecodedSign("2", 11)])
    assert unread.mark_unread_points(picture, read).full_text == text
