"""From planned files to rows: a row for everything, in order, the same every time."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import FakeClassifier, Save, drawn, plan, resolve
from conftest import read as rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import batchdigits
from batchdigits import predict
from batchdigits.errors import ModelError, UsageError
from batchdigits.extract import chunk_builder, chunks, stream, tasks, worker
from batchdigits.records import CalibrationBin, GreyImage, Source
from batchdigits.run import read_rows


def test_each_reading_stands_under_its_own_name(
    inbox: Path, save: Save, fake_classifier: FakeClassifier
) -> None:
    wanted = {}
    for n in range(300):
        crop = drawn(n % 10, side=20 + n % 40, seed=n)
        save(f"{n:03}.png", crop)
        wanted[f"inbox/{n:03}.png"] = fake_classifier.value(crop)
    assert len(set(wanted.values())) > 3
    assert {row.file: row.value for row in rows(workers=2)} == wanted


@pytest.fixture
def mixed(inbox: Path, save: Save) -> list[str]:
    """Write crops of every status into one folder; return their names in the order of the table."""
    for n in range(40):
        save(f"digit{n:02}.png", drawn(n % 10, seed=n))
    save("blank.png", np.full((30, 30), 230, np.uint8))
    (inbox / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (inbox / "empty.png").write_bytes(b"")
    tiff = io.BytesIO()
    pages = [Image.fromarray(drawn(d)) for d in (3, 4, 5)]
    pages[0].save(tiff, "TIFF", save_all=True, append_images=pages[1:])
    (inbox / "three.tif").write_bytes(tiff.getvalue())
    save("wide.png", np.full((100, 400), 255, np.uint8))
    return sorted(path.name for path in inbox.iterdir())


def test_every_image_has_its_rows_in_order(
    mixed: list[str], fake_classifier: FakeClassifier
) -> None:
    found = rows()
    wanted = [f"inbox/{name}" for name in mixed for _ in range(3 if name == "three.tif" else 1)]
    assert [row.file for row in found] == wanted
    status = {row.file: row.status for row in found}
    assert status["inbox/blank.png"] == "blank"
    assert status["inbox/broken.png"] == status["inbox/empty.png"] == "error"
    assert status["inbox/wide.png"] == "blank"
    assert [row.page for row in found if row.file == "inbox/three.tif"] == [1, 2, 3]
    for row in found:
        assert (row.confidence is None) == (row.status in ("blank", "error"))
        assert bool(row.detail) == (row.status != "ok")


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("batch_size", [1, 7, 10_000])
def test_workers_and_batches_change_nothing(
    mixed: list[str],
    fake_classifier: FakeClassifier,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    batch_size: int,
) -> None:
    reference = rows()
    monkeypatch.setattr(chunks, "MIN_CHUNK_FILES", 5)
    assert rows(workers=workers, batch_size=batch_size) == reference


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(files=st.integers(1, 60), batch_size=st.integers(1, 60), room=st.integers(1, 20_000))
def test_any_cut_into_chunks_gives_the_same_rows(
    mixed: list[str],
    fake_classifier: FakeClassifier,
    files: int,
    batch_size: int,
    room: int,
) -> None:
    reference = rows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "MIN_CHUNK_FILES", files)
        patch.setattr(chunks, "MAX_CHUNK_BYTES", room)
        patch.setattr(chunk_builder, "MAX_PENDING_PIXELS", room)
        assert rows(batch_size=batch_size) == reference


@pytest.mark.parametrize(
    ("suffix", "size", "most", "reason"),
    [
        (
            "png",
            10_000,
            chunks.LIKELY_PAGES_PER_CHUNK,
            "a page of boxes in black and white at 200 dpi",
        ),
        ("TIF", 4_200, chunks.LIKELY_PAGES_PER_CHUNK, "the same as a fax"),
        ("pdf", 900, chunks.LIKELY_PAGES_PER_CHUNK, "holds pages alone"),
        ("jpg", 140_000, tasks.MAX_CHUNK_PAGES, "a page of 100 million pixels takes 4 s"),
    ],
)
def test_a_worker_takes_few_files_at_a_time_that_may_be_pages(
    inbox: Path, suffix: str, size: int, most: int, reason: str
) -> None:
    sources = []
    for n in range(400):
        page = n % 2 and n >= 200
        path = inbox / f"{n:03}.{suffix if page else 'png'}"
        path.write_bytes(bytes(size if page else 400))
        sources.append(Source(f"inbox/{path.name}", str(path)))
    cut = list(chunks.make_chunks(map(tasks.Task, sources), len(sources), 1))
    assert [task.source for chunk in cut for task in chunk] == sources
    assert len(cut[0]) >= 100, "crops are worked on together"
    for chunk in cut:
        sizes = [os.path.getsize(task.source.path) for task in chunk]
        assert sizes.count(size) <= most, reason


@pytest.mark.parametrize(("seconds", "batches"), [(-1, 5), (1e9, 1)])
def test_files_that_hold_nothing_do_not_wait_for_a_full_batch(
    inbox: Path, save: Save, monkeypatch: pytest.MonkeyPatch, seconds: float, batches: int
) -> None:
    """Else what a stopped run has read of a thousand blank pages could not be kept."""
    monkeypatch.setattr(stream, "MAX_BATCH_WAIT_S", seconds)
    monkeypatch.setattr(chunks, "MIN_CHUNK_FILES", 2)
    for n in range(10):
        save(f"{n}.png", np.full((30, 30), 230, np.uint8))
    assert [len(batch) for batch in read_rows(resolve())] == [10 // batches] * batches


def test_a_file_that_fells_its_worker_is_an_error_and_its_neighbours_are_read(
    inbox: Path, save: Save, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "WORKER_MEMORY_MIB", 64)
    for n in range(6):
        save(f"{n}.png", drawn(n))
    large = cv2.imencode(".jpg", np.full((9000, 9000), 200, np.uint8))[1]  # 77 MiB when decoded
    (inbox / "3a.jpg").write_bytes(large.tobytes())
    found = rows(workers=2)
    assert [row.file[6:] for row in found if row.status == "error"] == ["3a.jpg"]
    assert found[4].detail == "could not be read: needs more than 64 MiB of memory"
    values = [row.value for row in found if row.status != "error"]
    assert values == [fake_classifier.value(drawn(n)) for n in range(6)]


@pytest.mark.parametrize(
    ("as_", "width", "height", "kind"),
    [
        ("auto", 28, 28, "digit"),
        ("auto", 1, 1, "digit"),
        ("auto", 256, 256, "digit"),  # the largest
        ("auto", 257, 257, "form"),  # over it
        ("auto", 160, 100, "digit"),  # 1.6 times as wide
        ("auto", 161, 100, "number"),  # wider
        ("auto", 60, 256, "digit"),  # however narrow
        ("auto", 60, 257, "form"),
        ("auto", 20_000, 3, "number"),
        ("auto", 960, 599, "number"),
        ("auto", 961, 600, "form"),  # too high for a number
        ("auto", 2480, 3508, "form"),  # A4 at 300 dpi
        ("digit", 2480, 3508, "digit"),  # the user knows
        ("number", 28, 28, "number"),
        ("form", 28, 28, "form"),
    ],
)
def test_what_an_image_is_taken_for(as_: str, width: int, height: int, kind: str) -> None:
    assert worker.choose_image_kind(as_, height, width)[0] == kind  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "picture", "status", "words"),
    [
        ("white", np.full((28, 28), 255, np.uint8), "blank", "no ink"),
        ("black", np.zeros((28, 28), np.uint8), "blank", "no ink"),
        ("one-pixel", np.full((1, 1), 9, np.uint8), "blank", "no ink"),
        ("column", np.full((40, 1), 255, np.uint8), "blank", "no ink"),
        ("page", np.full((1000, 700), 255, np.uint8), "review", "nothing on it"),
        (
            "words",
            cv2.putText(np.full((1000, 700), 255, np.uint8), "no box", (90, 400), 0, 3, 0, 4),
            "review",
            "no boxes found",
        ),
        (
            "dot",
            cv2.circle(np.full((100, 100), 255, np.uint8), (50, 50), 2, 0, -1),
            "review",
            "a mark of",
        ),
        (
            "comma",
            cv2.line(np.full((100, 100), 255, np.uint8), (52, 60), (46, 72), 0, 4),
            "review",
            "a mark of",
        ),
        ("thread", np.tile(np.array([255, 0, 255], np.uint8), (150, 1)), "review", "3 x 150 px"),
        (
            "busy",
            np.random.default_rng(1).integers(0, 255, (60, 60), np.uint8),
            "review",
            "clearly",
        ),
    ],
)
def test_what_is_no_digit_is_never_ok(
    save: Save, fake_classifier: FakeClassifier, name: str, picture: object, status: str, words: str
) -> None:
    save(f"{name}.png", np.asarray(picture))
    (row,) = rows()
    assert (row.value, row.status) == ("", status)
    assert words in row.detail
    assert row.confidence == (0.0 if status == "review" else None)


def test_a_digit_beside_which_more_is_written_is_read_and_for_review(
    save: Save, fake_classifier: FakeClassifier
) -> None:
    save("two.png", np.hstack([drawn(5, side=40), drawn(8, side=40)])[:, 8:72])
    save("one.png", drawn(5, side=40))
    one, two = rows()
    assert (one.status, one.detail) == ("ok", "")
    assert (two.status, two.detail) == ("review", "more ink than one digit")
    assert len(two.value) == 1
    assert two.confidence


@pytest.mark.parametrize(
    ("levels", "status", "detail"),
    [
        (0, "blank", "no ink"),
        (4, "blank", "no ink"),  # as the grain of paper has
        (10, "review", "something faint is there"),
    ],
)
def test_a_number_too_faint_to_be_read_is_not_blank(
    save: Save, fake_reader: object, levels: int, status: str, detail: str
) -> None:
    ink = np.hstack([255 - drawn(digit, side=40) for digit in (4, 2, 0)]).astype(np.float64)
    save("number.png", np.rint(230 - ink / 255 * levels).astype(np.uint8))
    (row,) = rows(as_="number")
    assert (row.value, row.status, row.detail) == ("", status, detail)


def test_the_shipped_model_knows_what_is_no_digit(save: Save) -> None:
    def paper() -> GreyImage:
        return np.full((60, 60), 235, np.uint8)

    def strokes(*lines: list[list[int]], thick: int = 4) -> GreyImage:
        return cv2.polylines(paper(), [np.array(line) for line in lines], False, 40, thick)

    strangers = {
        "blot": cv2.rectangle(paper(), (16, 18), (44, 42), 30, -1),
        "tick": strokes([[14, 32], [24, 46], [48, 12]]),
        "cross": strokes([[14, 14], [46, 46]], [[46, 14], [14, 46]]),
        "plus": strokes([[30, 10], [30, 50]], [[10, 30], [50, 30]]),
        "dash": strokes([[12, 31], [48, 30]]),
        "corner": strokes([[18, 59], [18, 20], [59, 20]], thick=3),
        "scribble": strokes([[8, 40], [20, 14], [24, 44], [34, 12], [38, 46], [52, 16]]),
    }
    for letter in "AEFHKMNPRWX":
        strangers[letter] = cv2.putText(paper(), letter, (14, 46), 0, 1.4, 40, 3, cv2.LINE_AA)
    for name, picture in strangers.items():
        save(f"{name}.png", picture)
    for digit in range(10):
        save(f"digit-{digit}.png", drawn(digit, side=60))
    found = {row.file: row for row in rows()}
    digits = {name: row for name, row in found.items() if "digit" in name}
    assert [row.value for row in digits.values() if row.status == "ok"] == list("0123456789")
    assert {name for name, row in found.items() if row.status == "ok"} == set(digits)


@pytest.fixture
def scans(inbox: Path) -> Path:
    """Two digits, a page of a PDF each, as large as they are."""
    pictures = [Image.fromarray(drawn(digit)).convert("RGB") for digit in (3, 4)]
    pictures[0].save(inbox / "scan.pdf", save_all=True, append_images=pictures[1:], quality=100)
    return inbox / "scan.pdf"


def test_pages_of_a_pdf_are_pages_whatever_their_size(scans: Path) -> None:
    found = rows()
    assert [(row.page, row.status) for row in found] == [(1, "review"), (2, "review")]
    assert {row.detail for row in found} == {"no boxes found"}
    (line,) = plan()
    assert line == ("inbox/scan.pdf", "form", 2, "PDF, 28 x 28 px: PDF")


def test_pages_of_a_pdf_are_digits_where_the_user_says_so(
    scans: Path, fake_classifier: FakeClassifier
) -> None:
    found = rows(as_="digit")
    assert [row.page for row in found] == [1, 2]
    assert all(row.value for row in found)


def test_a_pdf_that_cannot_be_read_is_an_error(inbox: Path) -> None:
    (inbox / "scan.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    (row,) = rows()
    assert (row.page, row.status, row.confidence) == (1, "error", None)
    assert row.detail == "truncated or damaged PDF; copy or scan it again"


def test_thresholds_compare_what_is_written(
    save: Save, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.png", drawn(5))
    (row,) = rows(min_confidence=0)
    assert row.status == "ok"
    assert row.confidence is not None
    assert rows(min_confidence=row.confidence)[0].status == "ok"
    (above,) = rows(min_confidence=row.confidence + 0.0001)
    assert above.status == "review"
    assert above.detail.startswith(f"under {round(row.confidence + 0.0001, 4)}; may be ")
    assert rows(min_confidence=1)[0].status == "review"  # nothing is certain


class Doubtful:
    """Is sure that what it sees is no digit, with 3 and then 8 as the likeliest digits."""

    device = "fake"

    def logits(self, pictures: np.ndarray) -> np.ndarray:
        return np.tile(
            np.array([[0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 2.5]], np.float32), (len(pictures), 1)
        )


def card(**more: object) -> predict.Card:
    settings: dict[str, object] = {
        "name": "eleven",
        "preprocessing": None,
        "temperature": 1.0,
        "threshold": 0.5,
        "calibrated": True,
        "whole": {},
    }
    return predict.Card(**(settings | more))  # type: ignore[arg-type]


@pytest.mark.parametrize("threshold", [0, 0.2, 1, None])
def test_not_a_digit_is_for_review_whatever_the_threshold(
    save: Save, monkeypatch: pytest.MonkeyPatch, threshold: float | None
) -> None:
    monkeypatch.setattr(predict, "load_card", lambda path: card(threshold=0.0))
    monkeypatch.setattr(predict, "load_classifier", lambda path, **_: Doubtful())
    save("a.png", drawn(3))
    (row,) = rows(min_confidence=threshold)
    assert (row.value, row.status) == ("3", "review")
    assert row.detail == "not a digit; if it is one, 3 or 8"
    assert row.confidence == 0.2439  # exp(2) / (exp(2.5) + exp(2) + exp(1) + 8 exp(0)), cut


def test_some_doubt_whether_it_is_a_digit_lowers_its_confidence(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LessDoubtful(Doubtful):
        def logits(self, pictures: np.ndarray) -> np.ndarray:
            return super().logits(pictures) - np.float32([[0] * 10 + [1]])

    monkeypatch.setattr(predict, "load_card", lambda path: card())
    monkeypatch.setattr(predict, "load_classifier", lambda path, **_: LessDoubtful())
    save("a.png", drawn(3))
    (row,) = rows(min_confidence=0)
    assert (row.value, row.status, row.detail) == ("3", "ok", "")
    assert row.confidence == 0.3271  # with 4.48 for exp(1.5) instead of 12.18
    (row,) = rows()
    assert row.detail == "under 0.5; may be 8"


GOOD = (CalibrationBin(0.9, 400, 0), CalibrationBin(0.5, 80, 1), CalibrationBin(0.2, 0, 20))


@pytest.mark.parametrize(
    ("error", "threshold"),
    [(0.008, 0.9), (0.02, 0.5), (0.9, 0.2)],
    ids=["the surest alone", "the highest bound that fits", "nearly anything goes"],
)
def test_a_target_error_takes_its_threshold_from_the_card(
    inbox: Path, monkeypatch: pytest.MonkeyPatch, error: float, threshold: float
) -> None:
    monkeypatch.setattr(predict, "load_card", lambda path: card(readings=GOOD))
    assert resolve(target_error=error).thresholds == (threshold, threshold)


def test_audited_results_go_before_the_card(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "load_card", lambda path: card(readings=GOOD))
    Path("audited.csv").write_text("confidence,value,truth\n" + "0.7,1,1\n" * 500)
    assert resolve(target_error=0.01, calibration=Path("audited.csv")).threshold == 0.7


@pytest.mark.parametrize(
    ("known", "more", "words"),
    [
        ({"calibrated": False}, {}, "is uncalibrated"),
        ({"calibrated": False}, {"calibration": "audited.csv"}, "is uncalibrated"),
        ({}, {}, "holds no calibration data"),
        ({"readings": GOOD}, {"target_error": 1e-6}, "the smallest that the 501 values"),
        ({"readings": (CalibrationBin(0.5, 0, 9),)}, {}, "support none"),
    ],
    ids=["uncalibrated", "though audited", "no readings", "too small", "all wrong"],
)
def test_a_target_error_that_the_model_cannot_promise_is_refused_before_anything_is_read(
    save: Save,
    fake_classifier: FakeClassifier,
    monkeypatch: pytest.MonkeyPatch,
    known: dict[str, object],
    more: dict[str, object],
    words: str,
) -> None:
    monkeypatch.setattr(predict, "load_card", lambda path: card(**known))
    monkeypatch.setattr(stream, "extract_chunk", None)
    save("a.png", drawn(3))
    with pytest.raises(ModelError, match=words) as caught:
        rows(**({"target_error": 0.1} | more))
    assert "\n" not in str(caught.value)
    assert "calibrate" in str(caught.value)


def test_a_target_error_judges_a_whole_run_by_its_threshold(
    save: Save, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "load_card", lambda path: card(readings=GOOD, threshold=1.0))
    for n in range(20):
        save(f"{n}.png", drawn(n % 10, seed=n))
    found = rows(target_error=0.02)
    assert {row.status for row in found} == {"ok", "review"}
    assert all((row.status == "ok") == (row.confidence >= 0.5) for row in found)  # type: ignore[operator]
    assert found == rows(min_confidence=0.5)
    table = batchdigits.read("inbox", target_error=0.02, workers=0)
    assert list(table["status"]) == [row.status for row in found]


def test_a_folder_without_images_never_loads_the_model(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object, **_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(predict, "load_classifier", refuse)
    (inbox / "note.txt").write_text("nothing here")
    assert rows() == []


def test_a_model_for_other_preprocessing_is_refused(
    inbox: Path, monkeypatch: pytest.MonkeyPatch, save: Save
) -> None:
    card = predict.Card("old", 99, 1.0, 0.9, True, {})
    monkeypatch.setattr(predict, "load_card", lambda path: card)
    with pytest.raises(ModelError, match="preprocessing version 99"):
        rows()


def test_a_plain_model_is_called_uncalibrated(
    save: Save,
    fake_classifier: FakeClassifier,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    card = predict.Card("mine.keras", None, 1.0, 0.95, False, {})
    monkeypatch.setattr(predict, "load_card", lambda path: card)
    save("a.png", drawn(1))
    rows()
    assert "uncalibrated" in caplog.text


def test_read_gives_the_table(save: Save, fake_classifier: FakeClassifier) -> None:
    save("007.png", drawn(7))
    save("blank.png", np.full((28, 28), 255, np.uint8))
    table = batchdigits.read("inbox", workers=0, min_confidence=0)
    assert list(table["value"]) == [fake_classifier.value(drawn(7)), ""]
    assert list(table["status"]) == ["ok", "blank"]
    assert table["confidence"].isna().tolist() == [False, True]
    assert len(batchdigits.read([Path("inbox"), os.path.abspath("inbox")], workers=0)) == 2


def test_read_refuses_what_it_does_not_know() -> None:
    with pytest.raises(UsageError, match=r"unknown option 'min_confidense'.*'min_confidence'"):
        batchdigits.read(".", min_confidense=0.9)


def test_plan_tells_what_would_be_read_without_reading(mixed: list[str]) -> None:
    lines = {line.file[6:]: line for line in plan(workers=1)}
    assert list(lines) == mixed
    assert lines["digit00.png"].read_as == "digit"
    assert lines["wide.png"].read_as == "number"
    assert lines["three.tif"].pages == 3
    assert lines["empty.png"].read_as == "error"
    assert "28 x 28" in lines["digit00.png"].why
