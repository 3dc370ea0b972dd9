"""Repeated runs: known files are not read again, and no row is lost or doubled."""

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import pytest
from conftest import FakeClassifier, Save, drawn, ordinary_user, resolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from batchdigits import state
from batchdigits.errors import BusyError, OutputError
from batchdigits.extract import chunks, stream, tasks
from batchdigits.predict import predictor
from batchdigits.predict.findings import decode_findings, encode_findings
from batchdigits.run import Progress, Summary, run_job
from batchdigits.state import settling
from batchdigits.state.lock import lock_outputs
from batchdigits.summary import StopRequest

OUT = "results.csv"


def run(
    *inputs: str,
    listed: Sequence[str] = (),
    progress: Progress = lambda _done, _files: None,
    stop: StopRequest | None = None,
    **options: Any,
) -> Summary:
    job = resolve(*inputs, listed=listed, **{"settle": 0, "out": OUT, **options})
    return run_job(job, progress, stop)


def table() -> list[str]:
    return Path(OUT).read_text().splitlines()[1:]


def files() -> list[str]:
    return [line.split(",")[0].removeprefix("inbox/") for line in table()]


def kept() -> list[Path]:
    return sorted(Path().glob("*.kept-*"))


def old(path: Path, seconds: float = 3600) -> None:
    """Give a file an old modification time."""
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.fixture(autouse=True)
def five(inbox: Path, save: Save, fake_classifier: FakeClassifier) -> FakeClassifier:
    """Make an inbox of five digits with old modification times."""
    for n in range(5):
        save(f"{n}.png", drawn(n))
        old(inbox / f"{n}.png")
    return fake_classifier


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record which files are decoded."""
    seen: list[str] = []
    real = stream.extract_chunk

    def spy(chunk: Any, **more: Any) -> Any:
        seen.extend(Path(task.source.path).name for task in chunk)
        return real(chunk, **more)

    monkeypatch.setattr(stream, "extract_chunk", spy)
    return seen


def test_a_second_run_reads_nothing_and_leaves_the_table_alone(reads: list[str]) -> None:
    first = run()
    assert (first.files, first.read, first.unchanged) == (5, 5, False)
    before = os.stat(OUT)
    reads.clear()
    second = run()
    assert reads == []
    assert (second.files, second.read, second.unchanged) == (5, 0, True)
    assert second.statuses == first.statuses
    assert os.stat(OUT).st_ino == before.st_ino


def changed(inbox: Path, save: Save) -> None:
    save("2.png", drawn(7))


def added(inbox: Path, save: Save) -> None:
    save("2a.png", drawn(8))


def replaced_by_an_older_one(inbox: Path, save: Save) -> None:
    save("2.png", drawn(7))
    old(inbox / "2.png", 9000)


@pytest.mark.parametrize(
    ("happens", "read"),
    [(changed, "2.png"), (added, "2a.png"), (replaced_by_an_older_one, "2.png")],
    ids=["changed", "added", "replaced by an older one"],
)
def test_what_is_new_or_changed_is_read_and_no_more(
    inbox: Path, save: Save, reads: list[str], happens: Any, read: str
) -> None:
    run()
    reads.clear()
    happens(inbox, save)
    assert run().read == 1
    assert reads == [read]
    Path(OUT).rename("kept.csv")
    Path(f"{OUT}.state").unlink()
    run()
    assert Path("kept.csv").read_bytes() == Path(OUT).read_bytes()


def test_a_touched_or_moved_file_costs_no_reading(inbox: Path, reads: list[str]) -> None:
    run()
    reads.clear()
    os.utime(inbox / "1.png")
    (inbox / "below").mkdir()
    (inbox / "3.png").rename(inbox / "below" / "three.png")
    found = run()
    assert reads == []
    assert found.gone == 1
    assert files() == ["0.png", "1.png", "2.png", "3.png", "4.png", "below/three.png"]
    values = {line.split(",")[0]: line.split(",", 1)[1] for line in table()}
    assert values["inbox/3.png"] == values["inbox/below/three.png"]


def test_failures_are_tried_again(inbox: Path, save: Save, reads: list[str]) -> None:
    (inbox / "9.png").write_bytes(b"\x89PNG\r\n\x1a\n, and then the disk was full")
    old(inbox / "9.png")
    assert run().failed == 1
    reads.clear()
    assert run().failed == 1
    assert reads == ["9.png"]
    save("9.png", drawn(9))
    assert run().failed == 0
    reads.clear()
    assert run().read == 0


def test_rows_of_files_that_are_gone_stay_until_they_are_pruned(inbox: Path) -> None:
    run()
    before = table()
    (inbox / "1.png").unlink()
    assert run().gone == 1
    assert table() == before
    found = run(prune=True)
    assert (found.pruned, found.gone) == (1, 0)
    assert files() == ["0.png", "2.png", "3.png", "4.png"]


def test_rows_of_a_folder_that_is_suddenly_empty_are_not_pruned(
    inbox: Path, save: Save, caplog: pytest.LogCaptureFixture
) -> None:
    """One of two: as if its disk were not mounted, be it an INPUT, or below one by a link."""
    save("../second/a.png", drawn(1))
    save("../third/b.png", drawn(2))
    save("c/d.png", drawn(3))
    (inbox / "linked").symlink_to(Path("third").absolute())
    run("inbox", "second")
    rows = table()
    assert len(rows) == 8
    Path("second").rename("away")
    Path("second").mkdir()
    Path("third").rename("unmounted")
    found = run("inbox", "second", prune=True)
    assert (found.pruned, found.gone) == (0, 2)
    assert table() == rows
    assert "no images found in 'second', as if a disk were missing: the rows of 1" in caplog.text
    assert "no images found in 'inbox/linked'" in caplog.text
    shutil.rmtree(inbox / "c")
    found = run("inbox", "second", prune=True)
    assert (found.pruned, found.gone) == (1, 2)
    assert table() == [row for row in rows if "c/d.png" not in row]


def test_rows_of_a_folder_that_cannot_be_looked_into_are_not_pruned(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("sub/5.png", drawn(5))
    run()
    rows = table()
    real = os.scandir

    def denied(path: str) -> Any:
        if path == "inbox/sub":
            raise PermissionError(13, "Permission denied")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", denied)
        found = run(prune=True)
    assert (found.pruned, found.gone, found.failed) == (0, 1, 1)
    assert [row for row in table() if ",error," not in row] == rows
    assert run().failed == 0
    assert table() == rows, "the folder's own row is gone with its fault"


def test_what_was_only_not_asked_for_is_not_pruned() -> None:
    run()
    rows = table()
    found = run("inbox/1.png", prune=True)
    assert (found.pruned, found.others) == (0, 4)
    assert table() == rows[1:2]
    assert run("inbox/1.png", prune=True, append=True).pruned == 0
    assert table() == rows
    assert run(prune=True).pruned == 0
    assert table() == rows


def test_names_that_are_swapped_between_files_alike_take_their_readings_along(
    inbox: Path, fake_classifier: FakeClassifier
) -> None:
    first = drawn(3)
    value = fake_classifier.value(first)
    other = next(one for one in map(drawn, range(10)) if fake_classifier.value(one) != value)
    for name, picture in (("8.bmp", first), ("9.bmp", other)):
        cv2.imwrite(str(inbox / name), picture)
        os.utime(inbox / name, (1.6e9, 1.6e9))
    run()
    before = [row.split(",") for row in table()[-2:]]
    (inbox / "8.bmp").rename(inbox / "x")
    (inbox / "9.bmp").rename(inbox / "8.bmp")
    (inbox / "x").rename(inbox / "9.bmp")
    assert run().read == 0
    assert [row.split(",")[1:] for row in table()[-2:]] == [before[1][1:], before[0][1:]]
    assert before[0][1:] != before[1][1:]


def test_two_tables_of_one_state_may_bear_one_name(inbox: Path, save: Save) -> None:
    places = ["a/results.csv", "b/results.csv"]
    for round_ in range(2):
        save(f"{5 + round_}.png", drawn(5))
        for place in places:
            Path(place).parent.mkdir(exist_ok=True)
            run(out=place, state="common")
    assert Path(places[0]).read_bytes() == Path(places[1]).read_bytes()
    assert len(list(Path().rglob("*.csv"))) == 2, "none was taken for an edited one"


def test_a_table_is_not_emptied_for_want_of_a_state(
    inbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run()
    before = Path(OUT).read_bytes()
    Path(f"{OUT}.state").unlink()
    shutil.rmtree(inbox)
    inbox.mkdir()
    assert run().unchanged
    assert Path(OUT).read_bytes() == before
    assert kept() == []
    assert "nothing was read" in caplog.text
    Path(OUT).unlink()
    run()
    assert table() == []


@pytest.mark.parametrize("prune", [False, True])
def test_an_inbox_that_is_suddenly_empty_loses_no_row(
    inbox: Path, prune: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """As if its disk were not mounted: that is no reason to drop rows."""
    run()
    before = Path(OUT).read_bytes()
    shutil.move(str(inbox), "elsewhere")
    inbox.mkdir()
    found = run(prune=prune)
    assert (found.gone, found.pruned) == (5, 0)
    assert Path(OUT).read_bytes() == before
    assert "as if a disk were missing: the rows of 5 files are kept" in caplog.text


def test_another_threshold_judges_again_without_reading(reads: list[str]) -> None:
    run()
    reads.clear()
    strict = run(min_confidence=0.9999)
    assert strict.statuses["ok"] == 0
    assert reads == []
    assert run(min_confidence=0).statuses["ok"] == 5
    assert reads == []


def test_another_way_of_reading_reads_again(reads: list[str]) -> None:
    run()
    reads.clear()
    assert run(invert="no").read == 5
    assert run(invert="no").read == 0
    assert len(reads) == 5


def test_fresh_reads_all_again_and_keeps_the_rows_of_what_is_gone(inbox: Path) -> None:
    run()
    before = table()
    (inbox / "1.png").unlink()
    assert run(fresh=True).read == 4
    assert table() == before


def test_a_table_that_somebody_edited_is_kept_under_another_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run()
    made = Path(OUT).read_bytes()
    Path(OUT).write_text("what a person wrote, for hours")
    run()
    assert Path(OUT).read_bytes() == made
    assert [path.read_text() for path in kept()] == ["what a person wrote, for hours"]
    assert str(kept()[0]) in caplog.text
    assert kept()[0].suffix == ".csv"
    assert run().unchanged
    assert len(kept()) == 1


def test_a_table_that_is_saved_again_as_it_was_is_no_edited_one() -> None:
    run()
    Path(OUT).write_bytes(Path(OUT).read_bytes())
    assert run().unchanged
    assert kept() == []


def test_a_table_that_was_deleted_is_written_again(reads: list[str]) -> None:
    run()
    made = Path(OUT).read_bytes()
    Path(OUT).unlink()
    reads.clear()
    run()
    assert Path(OUT).read_bytes() == made
    assert reads == []


def test_a_damaged_state_is_set_aside_and_built_anew(
    inbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What only the table still knew is kept with it."""
    run()
    (inbox / "1.png").unlink()
    before = Path(OUT).read_bytes()
    Path(f"{OUT}.state").write_bytes(b"not what it was" * 1000)
    found = run()
    assert found.read == 4
    assert files() == ["0.png", "2.png", "3.png", "4.png"]
    assert "is damaged" in caplog.text
    assert before in [path.read_bytes() for path in kept()]


@pytest.mark.parametrize("age", [0.0, 4.0, -4.0], ids=["now", "4 s ago", "in 4 s"])
def test_a_file_that_was_just_written_waits_for_next_time(
    inbox: Path, save: Save, age: float
) -> None:
    assert run(settle=0).read == 5
    save("7.png", drawn(7))
    old(inbox / "7.png", age)
    found = run(settle=5)
    assert (found.left, found.read) == (1, 0)
    assert "7.png" not in files()
    assert run(settle=0).left == 0
    assert "7.png" in files()


@pytest.mark.parametrize(
    ("known", "typed", "waits"),
    [
        pytest.param((), "inbox", True, id="a folder that was never read"),
        pytest.param(("inbox",), "inbox", False, id="a folder that was read"),
        pytest.param(("inbox",), "./inbox", False, id="spelled in another way"),
        pytest.param(("inbox",), "other", True, id="another folder into the same table"),
        pytest.param((), "inbox/7.png", False, id="a file that is named is never waited for"),
    ],
)
def test_the_first_time_a_folder_is_read_it_waits_once(
    inbox: Path,
    save: Save,
    monkeypatch: pytest.MonkeyPatch,
    known: tuple[str, ...],
    typed: str,
    waits: bool,
) -> None:
    """Else the first table of what was just copied would be empty."""
    if known:
        run(*known)
    for name in ("7.png", "../other/8.png"):
        save(name, drawn(7))
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        for path in (inbox / "7.png", inbox / "../other/8.png"):
            old(path, 6)  # as if it were later

    monkeypatch.setattr(settling, "sleep", sleep)
    found = run(typed, settle=5)
    assert len(waited) == waits
    assert all(0 < seconds < 5.1 for seconds in waited)
    assert found.left == (not waits and typed != "inbox/7.png")


def test_what_is_written_on_while_a_run_waits_is_left_for_next_time(
    inbox: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("7.png", drawn(7))
    monkeypatch.setattr(settling, "sleep", lambda _: save("7.png", drawn(8)))
    assert run(settle=5).left == 1
    assert "7.png" not in files()


def test_a_file_from_the_future_was_there_when_the_clock_went_back(inbox: Path) -> None:
    old(inbox / "3.png", -90_000)
    assert run(settle=5).left == 0
    assert "3.png" in files()


def test_a_named_file_has_a_row_however_new(inbox: Path, save: Save) -> None:
    save("7.png", drawn(7))
    found = run("inbox/7.png", settle=5)
    assert (found.left, files()) == (0, ["7.png"])


def test_a_known_file_that_is_being_written_keeps_its_row(inbox: Path, save: Save) -> None:
    run()
    before = table()
    save("2.png", drawn(9))
    assert run(settle=5).left == 1
    assert table() == before


@pytest.mark.parametrize("named", [False, True])
def test_a_file_that_changes_while_it_is_read_is_never_believed(
    save: Save, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    real = stream.extract_chunk

    def slow(chunk: Any, **more: Any) -> Any:
        save("2.png", drawn(8))
        return real(chunk, **more)

    with monkeypatch.context() as patch:
        patch.setattr(stream, "extract_chunk", slow)
        found = run(*(["inbox/2.png"] if named else []))
    assert (found.left, found.read) == ((0, 1) if named else (1, 4))
    rows = [line for line in table() if "/2.png" in line]
    assert ["changed while it was read" in row for row in rows] == [True] * named
    run()
    value = fake_classifier.value(drawn(8))
    assert [line.split(",")[3] for line in table() if "/2.png," in line] == [value]


def test_what_a_killed_run_had_read_is_not_read_again(
    monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    class Killed(BaseException):
        pass

    real = predictor.Predictor.predict_batch
    calls = []

    def dies(self: predictor.Predictor, batch: Any) -> Any:
        calls.append(batch)
        if len(calls) == 2:
            raise Killed
        return real(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(chunks, "MIN_CHUNK_FILES", 2)
        patch.setattr(predictor.Predictor, "predict_batch", dies)
        with pytest.raises(Killed):
            run(batch_size=1)
    assert not Path(OUT).exists()
    reads.clear()
    assert run().read == 3
    assert reads == ["2.png", "3.png", "4.png"]
    assert files() == [f"{n}.png" for n in range(5)]


def known_files() -> int:
    with closing(sqlite3.connect(f"{OUT}.state", timeout=30)) as state:
        return int(state.execute("SELECT count(*) FROM files").fetchone()[0])


def test_what_is_told_as_done_is_safe_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    real, told = state.StateStore.save_readings, []

    def slow(self: state.StateStore, *given: Any, **more: Any) -> None:
        time.sleep(0.02)
        real(self, *given, **more)

    def progress(done: int, files: int) -> None:
        told.append(done)
        if Path(f"{OUT}.state").exists():
            assert done <= known_files()
            assert files == 5

    monkeypatch.setattr(state.StateStore, "save_readings", slow)
    monkeypatch.setattr(chunks, "MIN_CHUNK_FILES", 1)
    run(batch_size=1, progress=progress)
    assert told[-1] == 5


def test_a_stopped_run_has_shown_the_pages_that_it_has_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else nobody would ever see them: they are not read again."""
    stop = StopRequest()

    def progress(done: int, files: int) -> None:
        if done:
            stop.asked = KeyboardInterrupt()

    monkeypatch.setattr(chunks, "MIN_CHUNK_FILES", 1)
    monkeypatch.setattr(stream, "MAX_BATCH_WAIT_S", -1)
    Path("shown").mkdir()
    options = {"batch_size": 1, "as_": "form", "debug_pages": "shown"}
    with pytest.raises(KeyboardInterrupt):
        run(progress=progress, stop=stop, **options)
    assert 1 <= known_files() == len(list(Path("shown").rglob("*.png"))) < 5
    run(**options)
    assert len(list(Path("shown").rglob("*.png"))) == 5


@pytest.mark.parametrize("touched", [False, True], ids=["as it was", "changed since"])
def test_of_a_long_file_only_the_pages_are_read_that_a_killed_run_had_not(
    inbox: Path, monkeypatch: pytest.MonkeyPatch, *, touched: bool
) -> None:
    class Killed(BaseException):
        pass

    pages = [Image.fromarray(drawn(n % 10, seed=n)) for n in range(40)]
    place = inbox / "long.tif"
    pages[0].save(place, "TIFF", save_all=True, append_images=pages[1:])
    old(place)
    monkeypatch.setattr(tasks, "MULTIPAGE_BYTES_BY_SUFFIX", {".tif": 0})
    run()
    whole = table()
    for one in (OUT, f"{OUT}.state"):
        Path(one).unlink()
    real, seen = stream.extract_chunk, []

    def dies(chunk: Any, **more: Any) -> Any:
        seen.extend(task.page for task in chunk if task.page)
        if 20 in seen:
            raise Killed
        return real(chunk, **more)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(stream, "extract_chunk", dies)
        run(batch_size=1)
    assert not Path(OUT).exists()
    if touched:
        old(place, 1800)
    seen.clear()
    monkeypatch.setattr(
        stream,
        "extract_chunk",
        lambda chunk, **more: (
            seen.extend(task.page for task in chunk if task.page),
            real(chunk, **more),
        )[1],
    )
    run()
    assert table() == whole
    assert seen[-1] == 40
    assert len(seen) == (40 if touched else len(set(seen) - set(range(1, 17))))


def test_a_second_run_is_refused_while_one_is_writing() -> None:
    with lock_outputs([OUT]), pytest.raises(BusyError, match="another run is still writing"):
        run()
    assert run().read == 5


def test_a_second_run_waits_as_long_as_it_is_told() -> None:
    begun = threading.Event()

    def hold() -> None:
        with lock_outputs([OUT]):
            begun.set()
            time.sleep(0.5)

    other = threading.Thread(target=hold)
    other.start()
    begun.wait()
    assert run(wait=30).read == 5
    other.join()


def test_the_lock_of_a_link_is_that_of_what_it_leads_to() -> None:
    Path("real").mkdir()
    Path("link.csv").symlink_to("real/out.csv")
    with lock_outputs(["link.csv"]), pytest.raises(BusyError), lock_outputs(["real/out.csv"]):
        pass


def test_a_folder_that_cannot_be_written_is_told_of(inbox: Path) -> None:
    os.chmod(".", 0o555)
    with ordinary_user(), pytest.raises(OutputError, match="cannot"):
        run()
    os.chmod(".", 0o755)
    assert not Path(OUT).exists()


def test_standard_output_keeps_no_state_unless_one_is_given(
    capfd: pytest.CaptureFixture[str], reads: list[str]
) -> None:
    run(out="-")
    first = capfd.readouterr().out
    assert sorted(path.name for path in Path().iterdir()) == ["inbox"]
    for _ in range(2):
        reads.clear()
        run(out="-", state="s.state")
        assert capfd.readouterr().out == first
    assert reads == []


def test_digits_are_told_from_what_is_known(inbox: Path, reads: list[str]) -> None:
    run()
    reads.clear()
    run(digits_out="digits.csv")
    assert reads == []
    assert len(Path("digits.csv").read_text().splitlines()) == 6
    Path("digits.csv").write_text("edited")
    run(digits_out="digits.csv")
    assert [path.read_text() for path in Path().glob("digits.kept-*")] == ["edited"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "change", "remove", "move", "touch", "break", "forget"]),
            st.integers(0, 5),
        ),
        max_size=8,
    )
)
def test_many_nights_end_like_one(inbox: Path, save: Save, steps: list[tuple[str, int]]) -> None:
    """Whatever happens between runs, the table is that of one run over what is there in the end."""
    for path in (*inbox.iterdir(), *Path().glob(f"{OUT}*"), *kept()):
        path.unlink()
    for count, (step, n) in enumerate(steps):
        place = inbox / f"{n}.png"
        if step in ("add", "change"):
            save(place.name, drawn((n + count) % 10, seed=count))
        elif step == "remove":
            place.unlink(missing_ok=True)
        elif step == "move" and place.exists():
            place.replace(inbox / f"{(n + 1) % 6}.png")
        elif step == "touch" and place.exists():
            os.utime(place)
        elif step == "break":
            place.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
        elif step == "forget":
            Path(f"{OUT}.state").unlink(missing_ok=True)
        run(prune=True)
    several = Path(OUT).read_bytes() if steps and any(inbox.iterdir()) else None
    for path in Path().glob(f"{OUT}*"):
        path.unlink()
    run()
    if several is not None:
        assert Path(OUT).read_bytes() == several


def test_a_ledger_holds_what_a_table_is_made_of() -> None:
    """Stored and read again, findings are what they were: the same rows, to the last bit."""
    run()
    with state.open_store(f"{OUT}.state") as known:
        texts = [one.findings for one in known.list_file_records()]
    assert len(texts) == 5
    for text in texts:
        assert encode_findings(decode_findings(text)) == text
