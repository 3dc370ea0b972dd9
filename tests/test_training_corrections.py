"""Training from corrections: which digits are learned from, and when a bundle is kept."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cli_runs import Capture, run
from conftest import Save, drawn
from numpy.typing import NDArray
from review_forms import KEPT, copy_scans, read_forms, row, say

from batchdigits import predict
from batchdigits.errors import UsageError
from batchdigits.labelled import EMPTY_LABEL
from batchdigits.options import TrainOptions
from batchdigits.training import averaging, corrected, digit_tuning, guard
from batchdigits.training.comparison import Comparison, Readings
from batchdigits.training.corrected import (
    CorrectedDigits,
    CorrectedNumbers,
    CorrectedValues,
    UncorrectedCounts,
    load_corrected_values,
)
from batchdigits.training.network import Kind
from batchdigits.training.parting import part_pages
from batchdigits.training.tuned_card import Learned, make_card


def mirrored(digit: int, seed: int) -> NDArray[np.uint8]:
    """A digit as nobody writes it: what a model has to learn anew."""
    return np.ascontiguousarray(drawn(digit, side=40, seed=seed)[:, ::-1])


def say_all(digits: dict[str, str], *more: str) -> None:
    """Merge the truth about files of the inbox into the table."""
    lines = [f"inbox/{name},value,{digit}" for name, digit in digits.items()]
    text = "\n".join(["file,answer,value", *lines, *more]) + "\n"
    assert run("correct", "out.csv", say(text)) == 0


@pytest.fixture(name="sixty")
def sixty_fixture(save: Save, fake_classifier: object) -> dict[str, str]:
    """Sixty files of one digit, read and corrected."""
    digits = {}
    for n in range(60):
        digit = (2, 3, 7)[n % 3]
        save(f"{n:02}.png", mirrored(digit, n))
        digits[f"{n:02}.png"] = str(digit)
    assert run("run", "inbox", "--out", "out.csv", "--as", "digit", "--workers", "0", "-q") == 0
    say_all(digits)
    return digits


# --- what is learned from ---


def test_every_verified_digit_is_learned_from_as_the_network_sees_it(sixty: dict[str, str]) -> None:
    values = load_corrected_values(KEPT)
    found = values.digits
    assert found.labels.tolist() == [int(digit) for digit in sixty.values()]
    assert found.pages.tolist() == [*range(60)]
    assert found.pictures.shape == (60, 28, 28)
    assert all(picture.max() > 200 and picture[0].max() == 0 for picture in found.pictures)
    assert (found.digit_count, found.page_count, list(values.remarks)) == (60, 60, [])
    assert sum(found.others) == 0


def test_what_was_for_review_and_what_nobody_verified_is_counted(
    save: Save, fake_classifier: object
) -> None:
    for n in range(70):
        save(f"{n:02}.png", mirrored((2, 3, 7)[n % 3], n))
    assert run("run", "inbox", "--out", "out.csv", "--as", "digit", "--workers", "0", "-q") == 0
    statuses = [line.rpartition(",")[0] for line in Path("out.csv").read_text().splitlines()[1:]]
    doubtful = [",review" in line for line in statuses]
    say_all({f"{n:02}.png": "2" for n in range(60)})
    found = load_corrected_values(KEPT).digits
    assert found.doubtful.tolist() == doubtful[:60]
    assert found.others == (doubtful[60:].count(False), doubtful[60:].count(True))


def test_what_nobody_can_read_and_what_was_taken_back_is_left_out(sixty: dict[str, str]) -> None:
    say_all({}, "inbox/00.png,unreadable,", "inbox/01.png,withdrawn,", "inbox/02.png,blank,")
    values = load_corrected_values(KEPT)
    found = values.digits
    assert found.labels.tolist()[:2] == [EMPTY_LABEL, 2]
    assert (len(found.labels), found.digit_count) == (58, 57)
    assert [*values.remarks] == [
        "1 corrections are left out: they are of values that nobody can read"
    ]


def test_files_that_are_gone_or_others_now_are_left_out_and_named(sixty: dict[str, str]) -> None:
    Path("done").mkdir()
    shutil.move("inbox/05.png", "done/05.png")
    cv2.imwrite("inbox/06.png", drawn(1))
    found = load_corrected_values(KEPT)
    assert found.digits.digit_count == 58
    gone, other = found.remarks
    assert "'inbox/05.png': its file is not where it was" in gone
    assert "--pictures" in gone
    assert "'inbox/06.png': its file is another now" in other
    assert load_corrected_values(KEPT, ["done"]).digits.digit_count == 59


def test_a_value_of_several_boxes_gives_its_single_digits(
    inbox: Path, fake_classifier: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrected, "MIN_DIGITS", 4)
    monkeypatch.setattr(corrected, "MIN_PAGES", 1)
    copy_scans("01-scan.png")
    upright = cv2.imread("inbox/01-scan.png", cv2.IMREAD_GRAYSCALE)
    assert upright is not None
    cv2.imwrite("inbox/turned.png", np.rot90(upright))
    read_forms()
    said = [
        "file,page,field,answer,value",
        *(f"inbox/{name},1,birth_year,value,1922" for name in ("01-scan.png", "turned.png")),
        "inbox/01-scan.png,1,visits,value,7",  # of two boxes: which of them is not known
    ]
    assert row("birth_year")["value"]
    assert run("correct", "out.csv", say("\n".join(said) + "\n")) == 0
    values = load_corrected_values(KEPT)
    found = values.digits
    assert found.labels.tolist() == [1, 9, 2, 2] * 2
    assert found.pages.tolist() == [0] * 4 + [1] * 4
    assert "without a box for each digit" in " ".join(values.remarks)
    upright_digits, turned_digits = found.pictures[:4] > 99, found.pictures[4:] > 99
    for one, other in zip(upright_digits, turned_digits, strict=True):
        assert one.sum() > 30
        assert (one ^ other).sum() < 0.5 * one.sum()  # the same digit, and upright


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none.csv.corrections.csv", "does not exist"),
        ("said.csv", "merge corrections by batchdigits correct"),
        ("other.csv.corrections.csv", "none of its 60 corrections belongs to a row"),
        ("empty.csv.corrections.csv", "is empty: expected 50 digits or more on 3 files"),
        ("bare.csv.corrections.csv", "has no state"),
    ],
)
def test_a_file_that_cannot_be_learned_from_is_refused(
    sixty: dict[str, str], save: Save, name: str, expected: str
) -> None:
    Path("elsewhere").mkdir()
    cv2.imwrite("elsewhere/a.png", drawn(3))
    for out in ("other.csv", "empty.csv"):
        assert run("run", "elsewhere", "--out", out, "--workers", "0", "-q") == 0
    shutil.copy(KEPT, "other.csv.corrections.csv")
    Path("empty.csv.corrections.csv").write_text(Path(KEPT).read_text().splitlines()[0] + "\n")
    shutil.copy("out.csv", "bare.csv")
    shutil.copy(KEPT, "bare.csv.corrections.csv")
    with pytest.raises(UsageError, match=expected) as caught:
        load_corrected_values(name)
    assert "\n" not in str(caught.value)


def test_too_few_corrections_say_how_many_are_needed(sixty: dict[str, str]) -> None:
    for n in range(11):
        Path(f"inbox/{n:02}.png").unlink()
    with pytest.raises(UsageError, match=r"got 49 digits on 49 files .*expected 50 digits or more"):
        load_corrected_values(KEPT)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"data": ["a.npz"]}, "leave out --data"),
        ({"recipe": "numbers"}, "expected the recipe default, got numbers"),
        (
            {"from_corrections": None, "recipe": "default", "pictures": ["a"]},
            "--pictures goes with",
        ),
    ],
)
def test_options_that_do_not_go_with_corrections(more: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        TrainOptions.from_settings({"out": "new", "from_corrections": KEPT, **more})


# --- what is kept ---


def readings(wrong: int, count: int = 20, sure: float = 9.0) -> Readings:
    """Readings of which some are wrong, all of them so sure."""
    labels = np.arange(count) % 10
    logits = np.zeros((count, 11), np.float32)
    logits[np.arange(count), (labels + (np.arange(count) < wrong)) % 10] = sure
    return Readings(logits, labels)


SHARES: dict[Kind, float] = {"quick": 0.5, "careful": 0.5}


def corrections_of(read: Readings, doubtful: int, others: UncorrectedCounts) -> CorrectedValues:
    """Corrected digits of a page each, of which the first were for review."""
    count = len(read.labels)
    digits = CorrectedDigits(
        np.zeros((count, 28, 28), np.uint8),
        read.labels,
        np.arange(count),
        np.arange(count) < doubtful,
        others,
    )
    none = np.zeros(0, np.int64)
    numbers = CorrectedNumbers((), (), none, none > 0, UncorrectedCounts(0, 0))
    return CorrectedValues(digits, numbers, "out.csv", ())


def make_digit_card(card: predict.Card, one: Comparison, digits: CorrectedValues) -> dict[str, Any]:
    return make_card(card, Learned(one, None, {"numbers": "too few"}), digits, "mine")


@pytest.mark.parametrize(
    ("corrected_before", "corrected_after", "guard_after", "fault"),
    [
        (readings(3), readings(2), readings(1), ""),
        (readings(3), readings(3, sure=8.0), readings(0), ""),  # as many wrong, and less sure
        (readings(3), readings(3), readings(1), "of 20 corrected digits 3 would be wrong"),
        (readings(3), readings(4), readings(1), "of 20 corrected digits 4 would be wrong"),
        (readings(3), readings(0), readings(2), "of 20 guard digits 2 would be wrong, and 1 are"),
    ],
)
def test_a_bundle_is_kept_if_it_is_better_and_forgot_nothing(
    corrected_before: Readings, corrected_after: Readings, guard_after: Readings, fault: str
) -> None:
    one = Comparison(corrected_before, corrected_after, readings(1), guard_after, SHARES)
    found = one.describe_fault("base", 1.0)
    assert fault in found
    assert bool(fault) == bool(found)


def test_each_part_has_as_many_pages_with_digits_and_with_numbers() -> None:
    pages = np.repeat(np.arange(30), 4)
    folds = part_pages(pages, np.arange(27, 36), 1)
    assert np.bincount(folds[pages]).tolist() == [40, 40, 40]
    assert np.bincount(folds[27:]).tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("after", "surer"),
    [(readings(0, 200), False), (readings(60, 200, sure=12.0), True)],
    ids=["all right", "many wrong and surer"],
)
def test_a_bundle_never_becomes_surer_than_it_was(after: Readings, surer: bool) -> None:
    card = predict.load_card(None)
    one = Comparison(readings(70, 200), after, readings(0), readings(0), SHARES)
    digits = corrections_of(after, 200, UncorrectedCounts(1000, 0))
    made = make_digit_card(card, one, digits)
    assert (made["calibration"]["temperature"] > card.temperature) == surer
    assert made["threshold"] >= card.threshold
    ratio = made["careful"]["temperature"] / made["calibration"]["temperature"]
    assert ratio == pytest.approx(card.whole["careful"]["temperature"] / card.temperature, rel=1e-3)
    before = sum(right + wrong for _, right, wrong in card.whole["calibration"]["readings"])
    now = sum(right + wrong for _, right, wrong in made["calibration"]["readings"])
    assert now == before + 200
    assert made["measured"]["wrong"] == after.count_wrong()
    assert made["training"][-1]["source"] == "what people said about out.csv"
    assert made["numbers"] == card.whole["numbers"]


def test_a_share_of_a_network_is_taken_that_forgets_nothing_and_reads_best() -> None:
    """Networks whose readings depend on their shares in a known way."""
    card = predict.load_card(None)
    count = len(averaging.SHARES)

    def read(quick: list[int], careful: list[int], doubted: int) -> averaging.SharedReadings:
        """So many of 20 digits are wrong at each share; the first few are doubted."""
        sure, unsure = np.full(20, 30.0), np.where(np.arange(20) < doubted, 1.0, 30.0)
        logits = [
            np.stack([readings(wrong).logits / 9 * by[:, None] for wrong in some])
            for some, by in ((quick, unsure), (careful, sure))
        ]
        return averaging.SharedReadings(*logits, readings(0).labels, card)

    flat = [2] * count
    falling = [10 - n for n in range(count)]  # the larger the share, the fewer are wrong
    growing = [1] * 5 + [3] * 6  # from half on the guard digits are forgotten
    assert averaging.choose_shares(read(flat, falling, 12), read([0] * count, growing, 12)) == (
        0,
        4,
    )
    assert averaging.choose_shares(read(falling, flat, 0), read(growing, flat, 0))[0] == 4
    assert (
        averaging.choose_shares(read(falling, falling, 20), read([0] * count, [0, *[1] * 10], 20))[
            1
        ]
        == 0
    ), "whatever it brings, nothing may be forgotten"


@pytest.mark.parametrize(
    ("wrong", "doubtful", "others", "rises"),
    [
        (0, 300, UncorrectedCounts(3000, 300), False),
        (1, 300, UncorrectedCounts(3000, 300), False),  # one may be chance
        (6, 300, UncorrectedCounts(3000, 300), True),
        (6, 300, UncorrectedCounts(3_000_000, 0), False),  # few of the whole inbox
        (6, 0, UncorrectedCounts(3_000_000, 300_000), False),  # sure ones stand for themselves
        (6, 300, UncorrectedCounts(3_000_000, 300_000), True),  # doubtful ones for a thousand more
    ],
)
def test_the_threshold_rises_where_the_inbox_as_a_whole_would_have_more_mistakes(
    wrong: int, doubtful: int, others: UncorrectedCounts, rises: bool
) -> None:
    card = predict.load_card(None)
    after = readings(wrong, 300, sure=6.9)  # 99%
    one = Comparison(readings(30, 300), after, readings(0), readings(0), SHARES)
    made = make_digit_card(card, one, corrections_of(after, doubtful, others))
    assert (made["threshold"] > card.threshold) == rises


def test_guard_digits_are_never_among_those_that_are_learned() -> None:
    found = guard.load_guard_digits()
    for part in found:
        assert np.bincount(part.labels).tolist() == [200] * 10
    kept, learned = ({digit.tobytes() for digit in np.asarray(part.crops)} for part in found)
    assert not kept & learned
    assert len(kept) == len(learned) == 2000


# --- the command ---


@pytest.fixture(name="few_guards")
def few_guards_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have fewer guard digits, so that a training takes seconds."""
    rows = np.arange(0, 2000, 20)
    some = guard.GuardDigits(*(part.select(rows) for part in guard.load_guard_digits()))
    monkeypatch.setattr(digit_tuning, "load_guard_digits", lambda: some)
    yield


def train(*more: str) -> int:
    settings = ("--fine-tune", "default", "--out", "new", "--device", "cpu", "--epochs", "8")
    return run("train", "--from-corrections", KEPT, *settings, *more)


@pytest.mark.usefixtures("few_guards")
def test_a_bundle_learns_the_digits_of_an_inbox(
    sixty: dict[str, str], keras: Any, capsys: Capture
) -> None:
    assert train() == 0
    out, err = capsys.readouterr()
    told = dict(line.split(" ", 1) for line in out.splitlines())
    assert int(told["corrected_wrong"]) < int(told["corrected_wrong_before"]) <= 60
    assert int(told["guard_wrong"]) <= int(told["guard_wrong_before"])
    assert "60 verified digits on 60 files or pages" in err
    card = predict.load_card("new")
    assert card.name == "new"
    assert card.whole["fine-tuned"]["from"] == predict.load_card(None).name
    shares = card.whole["fine-tuned"]["shares of the tuned weights"]
    assert set(shares) == {"quick", "careful"}
    assert 0 < max(shares.values()) <= 1
    shipped = predict.resolve_model_path(None)
    for name in ("number.keras",):
        assert Path("new", name).read_bytes() == (shipped / name).read_bytes()
    for name in ("model.keras", "careful.keras"):
        assert Path("new", name).read_bytes() != (shipped / name).read_bytes()
    assert not list(Path().glob("new.*"))


@pytest.mark.usefixtures("few_guards")
def test_a_bundle_that_is_no_better_is_not_kept(
    sixty: dict[str, str], keras: Any, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(digit_tuning, "tune_networks", lambda start, sets, plan: start)
    assert train() == 6
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("batchdigits: not kept: of 60 corrected digits ")
    assert not Path("new").exists()


def test_a_model_without_a_careful_network_is_refused(
    sixty: dict[str, str], tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(predict.resolve_model_path(None), "quick")
    card = json.loads(Path("quick/card.json").read_text("utf-8"))
    del card["careful"]
    Path("quick/card.json").write_text(json.dumps(card))
    assert run("train", "--from-corrections", KEPT, "--fine-tune", "quick", "--out", "new") == 6
    assert "expected a bundle of the recipe default" in capsys.readouterr().err
