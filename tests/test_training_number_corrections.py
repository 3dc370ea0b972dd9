"""Numbers that people corrected: how they are cut out again, and when their reader is kept."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pypdfium2
import pytest
from cli_runs import Capture, run, table
from conftest import FakeReader, Save, drawn
from numpy.typing import NDArray
from review_forms import KEPT, say

from batchdigits import predict
from batchdigits.normalize.strips import strip
from batchdigits.predict.bundle import fingerprint_model
from batchdigits.predict.decoding import DecodedSign, DecodedStrip
from batchdigits.records import CalibrationBin
from batchdigits.templates.paper import draw_blank_form
from batchdigits.templates.template import load_template
from batchdigits.training import corrected, number_tuning
from batchdigits.training.corrected import (
    CorrectedNumbers,
    UncorrectedCounts,
    load_corrected_values,
)
from batchdigits.training.number_comparison import (
    NumberComparison,
    NumberReadings,
    describe_numbers,
    make_promise,
)

DPI = 150


def write_number(digits: str, seed: int = 0, side: int = 40) -> NDArray[np.uint8]:
    """A number as a scan: dark ink on light paper."""
    parts = [drawn(int(digit), side=side, seed=seed + n) for n, digit in enumerate(digits)]
    return np.ascontiguousarray(np.pad(np.hstack(parts), 6, constant_values=255))


def say_numbers(numbers: dict[str, str], *more: str) -> None:
    lines = [f"inbox/{name},value,{number}" for name, number in numbers.items()]
    text = "\n".join(["file,answer,value", *lines, *more]) + "\n"
    assert run("correct", "out.csv", say(text)) == 0


def read_inbox(*more: str) -> None:
    line = ("run", "inbox", "--out", "out.csv", "--workers", "0", "-q", "--device", "cpu")
    assert run(*line, *(more or ("--as", "number"))) == 0


def save_numbers(save: Save) -> dict[str, str]:
    """Sixty files of one number each."""
    numbers = {f"{n:02}.png": f"{(37 * n + 11) % 900 + 100}" for n in range(60)}
    for n, (name, number) in enumerate(numbers.items()):
        save(name, write_number(number, n))
    return numbers


@pytest.fixture(name="sixty")
def sixty_fixture(save: Save, fake_reader: FakeReader) -> dict[str, str]:
    """Sixty numbers, read and corrected."""
    numbers = save_numbers(save)
    read_inbox()
    say_numbers(numbers)
    return numbers


# --- what is learned from ---


def test_every_verified_number_is_learned_from_as_it_was_scanned(sixty: dict[str, str]) -> None:
    found = load_corrected_values(KEPT)
    assert list(found.numbers.digits) == [*sixty.values()]
    assert found.numbers.pages.tolist() == [*range(60)]
    assert (found.digits.digit_count, list(found.remarks)) == (0, [])
    assert np.array_equal(found.numbers.crops[7], write_number(sixty["07.png"], 7))
    assert found.numbers.others == (0, 0)


def test_light_ink_on_dark_is_learned_from_as_dark_on_light(
    save: Save, fake_reader: FakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrected, "MIN_NUMBERS", 1)
    monkeypatch.setattr(corrected, "MIN_PAGES", 1)
    save("a.png", np.asarray(255 - write_number("417"), np.uint8))
    save("b.png", write_number("52"))
    read_inbox()
    say_numbers({"a.png": "417"})
    numbers = load_corrected_values(KEPT).numbers
    assert np.array_equal(numbers.crops[0], write_number("417"))
    assert sum(numbers.others) == 1


def test_decimals_are_learned_as_their_digits_and_what_is_none_is_left_out(
    sixty: dict[str, str],
) -> None:
    say_numbers({"00.png": "12.50"}, "inbox/01.png,blank,", "inbox/02.png,unreadable,")
    found = load_corrected_values(KEPT)
    assert found.numbers.digits[0] == "1250"
    assert len(found.numbers.digits) == 58
    assert [*found.remarks] == [
        "1 corrections are left out: they are of values that nobody can read",
        "1 corrections are left out: they are of values without a box for each digit",
    ]


FORM = """[form]
name = "free"
size = [120, 80]
anchor = "markers"
[[field]]
name = "amount"
box = [25, 25, 60, 13]
[[field]]
name = "count"
box = [25, 50, 60, 13]
"""


def draw_form(numbers: dict[str, str]) -> NDArray[np.uint8]:
    """A scan of the form with a number in each field."""
    Path("free.toml").write_text(FORM)
    template = load_template("free.toml")
    blank = pypdfium2.PdfDocument(draw_blank_form(template))[0].render(scale=DPI / 72)
    page = np.array(blank.to_pil().convert("L"))
    for field in template.fields:
        ink = write_number(numbers[field.name], side=45)
        x, y = (round(side * DPI / 25.4) for side in field.box[:2])
        part = page[y + 10 : y + 10 + ink.shape[0], x + 30 : x + 30 + ink.shape[1]]
        np.minimum(part, ink, out=part)
    return page


@pytest.mark.parametrize("quarters", [0, 1, 2])
def test_a_field_without_boxes_is_cut_out_of_its_page_again(
    save: Save, fake_reader: FakeReader, monkeypatch: pytest.MonkeyPatch, quarters: int
) -> None:
    monkeypatch.setattr(corrected, "MIN_NUMBERS", 2)
    monkeypatch.setattr(corrected, "MIN_PAGES", 1)
    numbers = {"amount": "4217", "count": "38"}
    save("page.png", np.rot90(draw_form(numbers), quarters))
    read_inbox("--template", "free.toml")
    said = [f"inbox/page.png,{name},value,{number}" for name, number in numbers.items()]
    assert run("correct", "out.csv", say("\n".join(["file,field,answer,value", *said]) + "\n")) == 0
    found = load_corrected_values(KEPT).numbers
    assert list(found.digits) == [*numbers.values()]
    for crop, number in zip(found.crops, numbers.values(), strict=True):
        read, written = strip(crop).picture, strip(write_number(number, side=45)).picture
        assert read.shape == written.shape
        ink = written > 120
        assert (ink ^ (read > 120)).sum() < 0.25 * ink.sum()


def test_a_number_whose_ink_is_elsewhere_now_is_left_out(sixty: dict[str, str]) -> None:
    moved = np.pad(write_number(sixty["05.png"], 5), ((40, 0), (60, 0)), constant_values=255)
    cv2.imwrite("inbox/05.png", moved)
    found = load_corrected_values(KEPT)
    assert len(found.numbers.digits) == 59
    assert "'inbox/05.png': its file is another now" in found.remarks[0]


# --- what is kept ---


def readings(wrong: int, count: int = 40, sure: float = 0.99) -> NumberReadings:
    """Numbers of which the first are read wrong, all of them so sure."""
    truth = [f"{n + 10}" for n in range(count)]
    found = []
    for n, right in enumerate(truth):
        seen, other = ("99", right) if n < wrong else (right, "99")
        signs = [DecodedSign(seen[0], 3), DecodedSign(seen[1], 8)]
        found.append(DecodedStrip([(seen, sure), (other, 0.9 * (1 - sure))], signs))
    return NumberReadings(found, truth)


@pytest.mark.parametrize(
    ("before", "after", "guard", "fault"),
    [
        (readings(3), readings(2), readings(1), ""),
        (readings(3), readings(3, sure=0.95), readings(1), ""),  # as many wrong, and less sure
        (readings(3), readings(3), readings(0), "of 40 corrected numbers 3 would be wrong"),
        (readings(3), readings(4), readings(1), "of 40 corrected numbers 4 would be wrong"),
        (readings(3), readings(0), readings(2), "of 40 guard numbers 2 would be wrong, and 1 are"),
    ],
)
def test_a_reader_is_kept_if_it_is_better_and_forgot_nothing(
    before: NumberReadings, after: NumberReadings, guard: NumberReadings, fault: str
) -> None:
    found = NumberComparison(before, after, readings(1), guard, 0.5).describe_fault("base", 1.0)
    assert fault in found
    assert bool(fault) == bool(found)


@pytest.mark.parametrize(
    ("wrong", "doubtful", "rises"),
    [
        (0, 300, False),
        (1, 300, False),  # one may be chance
        (30, 300, True),
        (0, 0, False),
    ],
)
def test_threshold_and_temperature_of_a_reader_rise_on_evidence_and_never_fall(
    wrong: int, doubtful: int, rises: bool
) -> None:
    card = predict.load_card(None)
    assert card.numbers is not None
    after = readings(wrong, 80, sure=0.98)
    one = NumberComparison(readings(30, 80, sure=0.98), after, readings(0), readings(0), 0.5)
    none = np.zeros(0, np.uint8)
    numbers = CorrectedNumbers(
        [none] * 80,
        after.truth,
        np.arange(80),
        np.arange(80) < doubtful,
        UncorrectedCounts(3000, 300),
    )
    made = describe_numbers(card, one, numbers)
    assert (made["threshold"] > card.numbers.threshold) == rises
    assert made["threshold"] >= card.numbers.threshold
    assert made["calibration"]["temperature"] >= card.numbers.temperature
    worse = replace(one, corrected_before=after, corrected_after=readings(60, 80, sure=0.999))
    hotter = describe_numbers(card, worse, numbers)["calibration"]["temperature"]
    assert hotter > card.numbers.temperature
    before = sum(
        right + wrong for _, right, wrong in card.whole["numbers"]["calibration"]["readings"]
    )
    now = sum(right + wrong for _, right, wrong in made["calibration"]["readings"])
    assert now == before + 80
    assert (made["measured"]["wrong before"], made["measured"]["wrong"]) == (30, wrong)


def test_a_reader_may_be_wrong_as_often_as_its_calibration_does_not_rule_out() -> None:
    card = predict.NumberReaderCard(3, 1.0, 0.9, (CalibrationBin(0.95, 980, 20),))
    assert 0.02 < make_promise(card).allowed < 0.05
    assert make_promise(replace(card, readings=())).allowed == pytest.approx(0.002)


# --- the command ---


@pytest.fixture(name="fumbling")
def fumbling_fixture(
    inbox: Path, keras: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Any]]:
    """The shipped bundle with a reader that takes 3 for 2; learning makes it the shipped one."""
    shipped = predict.resolve_model_path(None)
    Path("fumbling").mkdir()
    for file in shipped.iterdir():
        Path("fumbling", file.name).write_bytes(file.read_bytes())
    reader = predict.load_keras_model(shipped / "number.keras")
    right = reader.get_weights()
    wrong = [one.copy() for one in right]
    wrong[-2][:, [2, 3]], wrong[-1][[2, 3]] = right[-2][:, [3, 2]], right[-1][[3, 2]]
    reader.set_weights(wrong)
    reader.save("fumbling/number.keras")
    learned: list[Any] = []

    def learn(model: Any, material: Any, *_: Any, **__: Any) -> Iterator[tuple[int, float]]:
        learned.append(material)
        model.set_weights(right)
        yield 0, 0.0

    monkeypatch.setattr(number_tuning, "learn_rounds", learn)
    monkeypatch.setattr(number_tuning, "GUARD_NUMBERS", 20)
    monkeypatch.setattr(number_tuning, "SHARES", (0.0, 1.0))
    yield learned


def train(*more: str) -> int:
    settings = ("--fine-tune", "fumbling", "--out", "new", "--device", "cpu")
    return run("train", "--from-corrections", KEPT, *settings, *more)


def test_a_bundle_learns_the_numbers_of_an_inbox(
    save: Save, fumbling: list[Any], capsys: Capture
) -> None:
    numbers = save_numbers(save)
    read_inbox("--as", "number", "--model", "fumbling")
    before = [row["value"] for row in table()]
    say_numbers(numbers)
    assert train() == 0
    out, err = capsys.readouterr()
    told = dict(line.split(" ", 1) for line in out.splitlines())
    assert int(told["corrected_numbers_wrong"]) < int(told["corrected_numbers_wrong_before"])
    assert int(told["guard_numbers_wrong"]) <= int(told["guard_numbers_wrong_before"])
    assert "corrected_digits" not in told
    assert "digits are read as before: 0 on 0 files or pages are too few" in err
    assert [len(one.real.digits) for one in fumbling] == [40, 40, 40]
    card = predict.load_card("new")
    assert card.whole["fine-tuned"]["shares of the tuned weights"] == {"number": 1.0}
    assert "too few" in card.whole["fine-tuned"]["digits stay as they were"]
    for name in ("model.keras", "careful.keras"):
        assert Path("new", name).read_bytes() == Path("fumbling", name).read_bytes()
    assert fingerprint_model("new") != fingerprint_model("fumbling")
    Path(KEPT).unlink()
    read_inbox("--as", "number", "--model", "new", "--fresh")
    after = [row["value"] for row in table()]
    wrong = [sum(map(str.__ne__, some, numbers.values())) for some in (before, after)]
    assert wrong[1] < wrong[0]


def test_a_reader_that_is_no_better_is_not_kept(
    save: Save, fumbling: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    numbers = save_numbers(save)
    read_inbox("--as", "number", "--model", "fumbling")
    say_numbers(numbers)
    monkeypatch.setattr(number_tuning, "SHARES", (0.0,))
    assert train() == 6
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("batchdigits: not kept: of 60 corrected numbers ")
    assert not Path("new").exists()
