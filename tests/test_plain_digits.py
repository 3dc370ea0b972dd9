"""Plain digits by columns: the same rows, the same stored text, as file by file."""

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from archives_made import make_archive
from conftest import Save, drawn, read, resolve
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from state_records import entry, path_fixture  # noqa: F401 (a fixture)

from batchdigits import state
from batchdigits.extract.chunk_builder import DigitSpot, ExtractedItem
from batchdigits.extract.chunks import TaskChunk
from batchdigits.extract.members import expand_archives
from batchdigits.extract.plain_crops import PlainCrops
from batchdigits.extract.tasks import FileTasks, Task
from batchdigits.extract.worker import extract_chunk
from batchdigits.predict.findings import (
    DigitPrediction,
    Finding,
    TaskFindings,
    decode_findings,
    encode_findings,
)
from batchdigits.predict.plain_digits import ChunkFindings, PlainDigits, decode_file_findings
from batchdigits.records import FileSnapshot, Member, Source
from batchdigits.run import run_job
from batchdigits.sources.inspection import digest_bytes, stat_source

OUT = "results.csv"
digit, share = st.integers(0, 9), st.floats(0, 1)
side = st.integers(1, 9000)


def columns(*reads: tuple[int, int, int, float, int, float, bool]) -> PlainDigits:
    """Make the predictions for crops, each given by width, height and what was read."""
    widths, heights, *predictions = map(list, zip(*reads, strict=True))
    count = len(reads)
    contents = [b"content %d" % n for n in range(count)]
    return PlainDigits(
        PlainCrops(range(count), widths, heights, range(1, count + 1), contents),  # type: ignore[arg-type]
        *predictions,  # type: ignore[arg-type]
    )


@given(st.lists(st.tuples(side, side, digit, share, digit, share, st.booleans()), min_size=1))
def test_the_stored_text_is_that_of_any_finding(
    reads: list[tuple[int, int, int, float, int, float, bool]],
) -> None:
    for text, (width, height, first, sure, second, likely, other) in zip(
        columns(*reads).encode(), reads, strict=True
    ):
        shares = [0.0] * 10
        shares[second] = likely
        item = ExtractedItem(0, 1, None, "", None, (DigitSpot(None, "", (0, 0, width, height)),))
        finding = Finding(item, (DigitPrediction(first, sure, second, other, shares),))
        assert text == encode_findings([finding])
        assert decode_file_findings(text) == decode_findings(text) == [finding]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"version":3', '"version":2', "of another version"),
        ('"confidence"', '"sure"', "a key that is not known"),
        ('"place":[0,0,9,9]', '"place":[0,0,9,9],"new":1', "one key more"),
        ("}]}]}", "}]}]}]", "no JSON"),
    ],
)
def test_a_text_that_is_not_known_is_refused(old: str, new: str, reason: str) -> None:
    (text,) = columns((9, 9, 7, 0.5, 1, 0.25, False)).encode()
    assert old in text
    with pytest.raises((ValueError, KeyError)):
        decode_file_findings(text.replace(old, new))


@pytest.fixture
def mixed(inbox: Path, save: Save) -> Path:
    """Write plain digits among what is none: blank, more ink, two alike, pages, strips, faults."""
    for n in range(20):
        save(f"{n:02}.png", drawn(n % 10, side=20 + n, seed=n))
    (inbox / "05 again.png").write_bytes((inbox / "05.png").read_bytes())
    save("03 two.png", 255 - np.kron(np.eye(2, dtype=np.uint8), 255 - drawn(3)))
    save("04 blank.png", np.full((30, 30), 230, np.uint8))
    save("06 strip.png", np.hstack([drawn(n) for n in range(5)]))
    pages = [Image.fromarray(drawn(n)) for n in range(6)]
    pages[0].save(inbox / "07 several.tif", save_all=True, append_images=pages[1:3])
    pages[0].save(inbox / "08 many.tif", save_all=True, append_images=pages[1:])
    pages[1].save(inbox / "09 one.tif")
    (inbox / "10 broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    return inbox


def test_only_files_of_which_there_is_nothing_more_to_say_are_put_into_columns(mixed: Path) -> None:
    sources = [Source(path.name, str(path)) for path in sorted(mixed.iterdir())]
    chunk = list(FileTasks(sources, [stat_source(one) for one in sources]))
    found = extract_chunk(chunk, as_="auto", invert="auto", max_pixels=10**6)
    names = [sources[index].file for index in found.plain.indexes]
    digits = [f"{n:02}.png" for n in range(20)]
    assert names == sorted([*digits, "05 again.png", "09 one.tif"])
    assert not {item.source for item in found.items} & {*found.plain.indexes}
    bare = extract_chunk([Task(one) for one in sources], as_="auto", invert="auto", max_pixels=9**6)
    assert len(bare.items) == len(found.items) + len(names)
    lone = [n for n, item in enumerate(bare.items) if item.source in found.plain.indexes]
    assert [bare.items[n].spots[0].place[2:] for n in lone] == [
        *zip(found.plain.widths, found.plain.heights, strict=True)
    ]
    assert sorted(map(bytes, bare.pictures)) == sorted(map(bytes, found.pictures))


@pytest.mark.usefixtures("mixed", "fake_classifier")
def test_a_run_with_a_state_gives_the_rows_of_one_without() -> None:
    """Without a state, nothing is put into columns."""
    options = {"settle": 0, "digits_out": "digits.csv", "workers": 2}
    summary = run_job(resolve(out=OUT, **options))
    first = Path(OUT).read_text(), Path("digits.csv").read_text()
    rows = read()
    told = [line.split(",") for line in first[0].splitlines()[1:]]
    assert [(row.file, str(row.page), row.value, row.status) for row in rows] == [
        (file, page, value, status) for file, page, _, value, _, status, *_ in told
    ]
    assert (summary.read, summary.crops + summary.pages) == (28, 34)
    run_job(resolve(out=OUT, fresh=True, batch_size=1, **{**options, "workers": 0}))
    assert (Path(OUT).read_text(), Path("digits.csv").read_text()) == first


def test_readings_that_are_kept_at_once_are_found_each_by_its_content(path: str) -> None:
    """Contents may be there already, or several times among them; the last findings stand."""
    names = ["a.png", "b.png", "c.png", "d.png"]
    contents = ["new", "twice", "twice", "known"]
    entries = [entry(name, content=of) for name, of in zip(names, contents, strict=True)]
    with state.open_store(path) as known, known.transaction():
        key = known.add_key("model 1", "{}")
        known.save_findings(entry("e.png", content="known"), key, "before", failed=False)
        known.save_readings(entries, key, ["one", "two", "three", "four"])
        earlier = known.load_earlier_readings(entries)
        assert earlier["c.png"] == ("{}", "three")
        assert known.load_earlier_readings([entry("b.png", content="other")]) == {}
        found = {one.file: (one.findings, one.reading) for one in known.list_file_records()}
    assert {name: text for name, (text, _) in found.items()} == {
        "a.png": "one",
        "b.png": "three",
        "c.png": "three",
        "d.png": "four",
        "e.png": "four",
    }
    assert found["b.png"] == found["c.png"]
    with state.open_store(path) as known:  # every row has the checksum of what it holds
        assert len(list(known.list_file_records())) == 5
    assert not list(Path(path).parent.glob("results.csv.kept-*"))


SOURCE = Source("in/a.png", "in/a.png", "", False, "in")
SNAPSHOT = FileSnapshot("in/a.png", 5, 7, 0)


@pytest.mark.parametrize(
    "odd",
    [
        Task(SOURCE, entry=SNAPSHOT),
        Task(SOURCE),
        Task(Source("./=1", "=1", "", True), entry=SNAPSHOT._replace(file="./=1")),
        Task(SOURCE, 2, False, SNAPSHOT),
        Task(SOURCE, entry=SNAPSHOT._replace(sure=3)),
        Task(SOURCE, entry=SNAPSHOT, known=frozenset({1})),
        Task(SOURCE, entry=SNAPSHOT, expected=3),
        Task(SOURCE, entry=SNAPSHOT, archive="in/a.tar", content=b"digest"),
        Task(Source("in", "in", "cannot be read"), entry=SNAPSHOT._replace(file="in")),
        Task(Source("a.tar/b", "a.tar", member=Member(5)), entry=SNAPSHOT._replace(file="a.tar/b")),
    ],
)
def test_a_chunk_comes_to_another_process_as_it_was(odd: Task) -> None:
    chunk = TaskChunk([Task(SOURCE, entry=SNAPSHOT), odd])
    came = pickle.loads(pickle.dumps(chunk))
    assert came == list(chunk)
    assert [(one.source.top, one.source.member) for one in came] == [
        (one.source.top, one.source.member) for one in chunk
    ]


def in_archive(n: int, **more: Any) -> Task:
    """Make the task of a member of an archive."""
    file = f"a.tar/{n}.png"
    own = {"member": Member(5, 512 * n), "top": "in", "listed": None} | more.pop("source", {})
    source = Source(file, "a.tar", named=True, **own)
    return Task(source, entry=SNAPSHOT._replace(file=file), archive="a.tar")._replace(**more)


@pytest.mark.parametrize(
    ("odd", "is_short"),
    [
        pytest.param(in_archive(9), True, id="as the others"),
        pytest.param(in_archive(9, source={"member": Member(5, 7, 3, True, 99)}), True, id="zip"),
        pytest.param(in_archive(9, source={"member": Member(2, data=b"xy")}), True, id="bytes"),
        pytest.param(in_archive(9, source={"listed": SNAPSHOT}), False, id="an object"),
        pytest.param(in_archive(9, source={"fault": "a link"}), False, id="that cannot be read"),
        pytest.param(in_archive(9, content=b"known"), False, id="of known content"),
        pytest.param(in_archive(9, archive="b.tar"), False, id="of another archive"),
        pytest.param(in_archive(9, closes=True), False, id="what closes the archive"),
        pytest.param(in_archive(9, entry=None), False, id="of which no snapshot is wanted"),
        pytest.param(Task(SOURCE, entry=SNAPSHOT), False, id="a file of its own"),
    ],
)
def test_members_of_an_archive_come_to_another_process_as_they_were(
    odd: Task, is_short: bool
) -> None:
    chunk = TaskChunk([*map(in_archive, range(50)), odd])
    sent = pickle.dumps(chunk)
    came = pickle.loads(sent)
    assert came == list(chunk)
    for one, before in zip(came, chunk, strict=True):
        for name in ("top", "member", "listed", "is_archive", "fault", "named"):
            assert getattr(one.source, name) == getattr(before.source, name)
    assert (len(sent) < len(pickle.dumps(list(chunk))) / 2) == is_short


@pytest.mark.usefixtures("inbox")
def test_members_of_an_archive_are_plain_crops_as_files_are() -> None:
    data = cv2.imencode(".png", drawn(7))[1].tobytes()
    make_archive("a.tar", [("0.png", data), ("half.png", data[:50]), ("1.png", data)])
    found = FileTasks([archive := Source("a.tar", "a.tar", is_archive=True)])
    listed = stat_source(archive)
    tasks = [one._replace(entry=listed._replace(file=one.source.file))
             for one in expand_archives(found, found)]  # fmt: skip
    chunk = extract_chunk(tasks, as_="digit", invert="auto", max_pixels=10**6)
    assert chunk.plain.indexes == (0, 2)
    assert chunk.plain.contents[0] == digest_bytes(data)
    assert [item.status for item in chunk.items] == ["error"]


def test_images_in_memory_come_to_another_process_too() -> None:
    images = [drawn(n) for n in range(2)]
    came = pickle.loads(pickle.dumps(TaskChunk(FileTasks([SOURCE] * 2, images=images))))
    assert [one.image.tolist() for one in came] == [one.tolist() for one in images]


def test_findings_get_back_the_tasks_that_they_came_without() -> None:
    tasks = [
        Task(Source(f"{n}.png", f"{n}.png"), entry=FileSnapshot(f"{n}.png", n, n, 0))
        for n in range(4)
    ]
    read = columns((9, 8, 1, 0.5, 2, 0.25, False), (7, 6, 3, 0.75, 4, 0.125, True))
    read = read._replace(crops=read.crops._replace(indexes=[0, 2]))
    others = [TaskFindings(tasks[n], [], [], tasks[n].entry) for n in (1, 3)]
    whole = ChunkFindings(tasks, read, others)
    bare = whole.without_tasks()
    assert bare.task_count == 4
    assert not any(one.task for one in bare.others)
    assert bare.with_tasks(tasks) == whole
    listed = whole.list_findings()
    assert [one.task for one in listed] == tasks
    assert listed[2].stood == FileSnapshot("2.png", 2, 2, 2, b"content 1")
    assert listed[0].findings[0].item.spots[0].place == (0, 0, 9, 8)
