"""Archives as inputs: the rows of their members, whatever is wrong with them, and what is kept."""

import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from archives_made import (
    details,
    digits,
    make_archive,
    make_parquet,
    make_tar,
    make_zip,
    png,
    rows,
    run,
)
from cli_runs import run as cli_run
from conftest import FakeClassifier, drawn, plan, read

from batchdigits.extract.worker import extract_chunk
from batchdigits.sources import find_sources
from batchdigits.sources.archives import entries, gzip, parquet, tar
from batchdigits.views import (
    FieldRequest,
    FileRequest,
    cut_views,
    find_picture,
    index_pictures,
    open_picture,
)

KINDS = ["a.tar", "a.tar.gz", "a.tgz", "a.zip", "a.parquet"]
NAMES = ["b.png", "a.png", "sub/c.png", "ü.png"]


@pytest.fixture(autouse=True)
def _here(inbox: Path, fake_classifier: FakeClassifier) -> None:
    """Work in a folder with an empty inbox, with the fake classifier."""


def loose(names: list[str], folder: str = "loose") -> None:
    for name, data in digits(*names):
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("workers", [0, 2])
def test_members_have_the_rows_of_loose_files(name: str, workers: int) -> None:
    make_archive(f"inbox/{name}", digits(*NAMES))
    loose(NAMES)
    run(out="packed.csv", workers=workers)
    run("loose", out="loose.csv")
    packed = Path("packed.csv").read_text("utf-8").replace(f"inbox/{name}/", "loose/")
    assert packed == Path("loose.csv").read_text("utf-8")
    assert len(rows("loose.csv")) == len(NAMES)


@pytest.mark.parametrize("name", KINDS)
def test_without_a_state_rows_are_in_the_same_order(name: str) -> None:
    make_archive(f"inbox/{name}", digits(*NAMES))
    loose(["0.png"], f"inbox/{name}-b")  # sorts between the archive and its members
    run()
    assert [(row.file, row.value, row.status) for row in read()] == rows()


def test_an_archive_may_be_named(tmp_path: Path) -> None:
    make_tar("x.TAR", digits("a.png"))
    assert [file for file, _, _ in (run("x.TAR"), rows())[1]] == ["x.TAR/a.png"]


def test_a_dry_run_lists_members() -> None:
    make_zip("inbox/a.zip", [*digits("a.png"), ("b.png", b"no png")])
    planned = [(one.file, one.read_as) for one in plan()]
    assert planned == [("inbox/a.zip/a.png", "digit"), ("inbox/a.zip/b.png", "error")]


def test_counts_are_of_members() -> None:
    make_tar("inbox/a.tar", digits("a.png", "b.png"))
    loose(["c.png"], "inbox")
    first, second = run(), run()
    assert (first.files, first.read, second.files, second.read) == (3, 3, 3, 0)


def test_a_dry_run_tells_what_is_wrong_with_an_archive() -> None:
    Path("inbox/a.tar").write_bytes(b"no tar" * 200)
    (told,) = plan()
    assert (told.file, told.read_as) == ("inbox/a.tar", "error")
    assert told.why.startswith("no tar archive")


def test_no_command_is_told_that_does_not_work_on_members(
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_tar("inbox/a.tar", [(f"{n}.png", sheet()) for n in range(6)])
    cli_run("run", "inbox", "--out", "results.csv", "--workers", "0")
    assert "pages look like one form (`form draft` takes one that is unpacked)" in (
        capsys.readouterr().err
    )


def sheet() -> bytes:
    """Return a page with a row of four boxes."""
    page = np.full((400, 300), 255, np.uint8)
    for n in range(4):
        page[100:160, 40 + 50 * n : 91 + 50 * n] = 0
        page[103:157, 43 + 50 * n : 88 + 50 * n] = 255
        page[110:150, 45 + 50 * n : 85 + 50 * n] = drawn(n, side=40)
    return bytes(cv2.imencode(".png", page)[1].tobytes())


# --- what is not read twice ---


@pytest.mark.parametrize("name", KINDS)
def test_an_unchanged_archive_is_not_opened_again(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_archive(f"inbox/{name}", digits(*NAMES))
    os.utime(f"inbox/{name}", (1e9, 1e9))
    run()
    before = Path("results.csv").stat()
    monkeypatch.setattr("batchdigits.extract.members.walk_archive", None)
    summary = run()
    assert (summary.read, summary.unchanged) == (0, True)
    assert Path("results.csv").stat() == before


@pytest.mark.parametrize("name", KINDS)
def test_of_a_changed_archive_only_new_content_is_read(name: str) -> None:
    make_archive(f"inbox/{name}", digits(*NAMES))
    run()
    make_archive(f"inbox/{name}", [*digits(*NAMES), ("new.png", png(9, seed=99))])
    assert run().read == 1
    assert len(rows()) == len(NAMES) + 1


def test_a_touched_or_copied_archive_is_not_read() -> None:
    make_tar("inbox/a.tar", digits(*NAMES))
    os.utime("inbox/a.tar", (1e9, 1e9))
    run()
    os.utime("inbox/a.tar", (2e9, 2e9))
    assert run().read == 0
    Path("inbox/b.tar").write_bytes(Path("inbox/a.tar").read_bytes())
    assert run().read == 0
    assert len(rows()) == 2 * len(NAMES)


def test_failed_members_are_tried_again_alone() -> None:
    make_tar("inbox/a.tar", [*digits(*NAMES), ("bad.png", b"\x89PNG\r\n\x1a\nbroken")])
    os.utime("inbox/a.tar", (1e9, 1e9))
    run()
    assert run().read == 1
    assert len(rows()) == len(NAMES) + 1


def test_a_run_that_is_killed_goes_on_with_the_next_member(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_tar("inbox/a.tar", digits(*(f"{n:03}.png" for n in range(200))))
    os.utime("inbox/a.tar", (1e9, 1e9))
    count = iter(range(2))

    def breaks(*given: object, **more: object) -> object:
        if next(count, None) is None:
            raise KeyboardInterrupt
        return extract_chunk(*given, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr("batchdigits.extract.stream.extract_chunk", breaks)
        with pytest.raises(KeyboardInterrupt):
            run(batch_size=1)
    assert 0 < run().read < 200
    assert len(rows()) == 200


@pytest.mark.parametrize("named", [True, False])
def test_an_archive_that_changes_while_it_is_read(
    named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tar("inbox/a.tar", digits("a.png", "b.png"))

    def touches(*given: object, **more: object) -> object:
        os.utime("inbox/a.tar", (1e9, 1e9))
        return extract_chunk(*given, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr("batchdigits.extract.stream.extract_chunk", touches)
        summary = run("inbox/a.tar" if named else "inbox")
    assert summary.gone == 0
    assert [status for _, _, status in rows()] == (["error"] * 3 if named else [])
    assert (run().read, [status for _, _, status in rows()].count("error")) == (2, 0)


def test_members_that_vanish_keep_their_rows_until_prune() -> None:
    make_tar("inbox/a.tar", digits("a.png", "b.png"))
    run()
    make_tar("inbox/a.tar", digits("a.png"))
    run()
    assert len(rows()) == 2
    run(prune=True)
    assert [file for file, _, _ in rows()] == ["inbox/a.tar/a.png"]


def test_an_archive_that_is_gone_keeps_the_rows_of_its_members_until_prune() -> None:
    make_tar("inbox/a.tar", digits("a.png", "b.png"))
    loose(["c.png"], "inbox")
    run()
    Path("inbox/a.tar").unlink()
    assert (run().gone, len(rows())) == (2, 3)
    run(prune=True)
    assert [file for file, _, _ in rows()] == ["inbox/c.png"]


def test_nothing_is_pruned_behind_a_cut() -> None:
    make_tar("inbox/a.tar", digits("a.png", "b.png", "c.png"))
    run()
    whole = Path("inbox/a.tar").read_bytes()
    Path("inbox/a.tar").write_bytes(whole[:1100])
    run(prune=True)
    assert [file for file, _, status in rows() if status != "error"] == [
        "inbox/a.tar/a.png",
        "inbox/a.tar/b.png",
        "inbox/a.tar/c.png",
    ]


# --- moving ---


@pytest.mark.parametrize(
    ("members", "folder"),
    [
        pytest.param(digits("a.png", "b.png"), "done", id="all read"),
        pytest.param([*digits("a.png"), ("b.png", b"broken")], "failed", id="one failed"),
    ],
)
def test_an_archive_is_moved_as_a_whole(members: list[tuple[str, bytes]], folder: str) -> None:
    make_tar("inbox/a.tar", members)
    os.utime("inbox/a.tar", (1e9, 1e9))
    run(move_done="done", move_failed="failed")
    before = rows()
    assert Path(folder, "a.tar").exists()
    assert not Path("inbox/a.tar").exists()
    assert run(move_done="done", move_failed="failed").gone == 0
    assert rows() == before
    assert len(before) == 2


def test_an_archive_with_a_failed_member_stays_without_a_folder_for_it() -> None:
    make_tar("inbox/a.tar", [*digits("a.png"), ("b.png", b"broken")])
    run(move_done="done")
    assert Path("inbox/a.tar").exists()


# --- bad input ---


HOSTILE = [
    ("../up.png", r"inbox/{}/\x2e\x2e/up.png"),
    ("sub/../../up.png", r"inbox/{}/sub/\x2e\x2e/\x2e\x2e/up.png"),
    ("/etc/up.png", r"inbox/{}/\x2fetc/up.png"),
    ("./here.png", "inbox/{}/here.png"),
    ("a\nb.png", r"inbox/{}/a\x0ab.png"),
    ("=1+1.png", "inbox/{}/=1+1.png"),
    ("back\\slash.png", r"inbox/{}/back\\slash.png"),
]


@pytest.mark.parametrize("name", KINDS)
def test_names_that_lead_out_are_spelled_safely_and_lead_nowhere(name: str) -> None:
    members = digits(*(bad for bad, _ in HOSTILE))
    good = sorted(spelled.format(name) for _, spelled in HOSTILE)
    for more in ([], digits("more.png")):  # changed, the state must know them again
        make_archive(f"inbox/{name}", [*members, *more])
        run("inbox", f"inbox/{name}")  # INPUTs that overlap may spell names anew
        assert sorted(file for file, _, _ in rows() if "more" not in file) == good
    run("inbox")
    assert sorted(file for file, _, _ in rows() if "more" not in file) == good
    assert {*os.listdir()} == {"inbox", "results.csv", "results.csv.state", ".results.csv.lock"}
    assert os.listdir("inbox") == [name]


@pytest.mark.parametrize("name", KINDS)
def test_members_of_one_name_have_a_row_each(name: str) -> None:
    members = [("a.png", png(n, seed=n)) for n in range(3)] + [("a.png (2)", png(7, seed=7))]
    if name.endswith(".zip"):
        with pytest.warns(UserWarning, match="Duplicate name"):
            make_archive(f"inbox/{name}", members)
    else:
        make_archive(f"inbox/{name}", members)
    run()
    first = rows()
    assert len(first) == 4
    assert len({file for file, _, _ in first}) == 4
    assert f"inbox/{name}/a.png" in [file for file, _, _ in first]
    assert (run().read, rows()) == (0, first)


def test_links_and_devices_have_a_row_and_lead_nowhere() -> None:
    Path("secret.png").write_bytes(png(3))
    with tarfile.open("inbox/a.tar", "w") as archive:
        for name, kind in (("soft.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../secret.png"
            archive.addfile(info)
        info = tarfile.TarInfo("pipe.png")
        info.type = tarfile.FIFOTYPE
        archive.addfile(info)
        info = tarfile.TarInfo("link.txt")
        info.type, info.linkname = tarfile.SYMTYPE, "x"
        archive.addfile(info)
        info = tarfile.TarInfo("good.png")
        info.size = len(png(1))
        archive.addfile(info, io.BytesIO(png(1)))
    with zipfile.ZipFile("inbox/b.zip", "w") as packed:
        one = zipfile.ZipInfo("soft.png")
        one.external_attr = 0o120777 << 16
        packed.writestr(one, "../secret.png")
    summary = run()
    link = "a link to '../secret.png', not followed: put the file itself in"
    assert details() == {
        "inbox/a.tar/hard.png": link,
        "inbox/a.tar/pipe.png": "not a regular file but a pipe: put the file itself in",
        "inbox/a.tar/soft.png": link,
        "inbox/b.zip/soft.png": "a link, not followed: put the file itself in",
    }
    assert summary.skipped == {"not an image": 1}
    assert len(rows()) == 5


@pytest.mark.parametrize(
    ("keep", "read_before", "why"),
    [
        pytest.param(-1024, 3, "without the mark of its end", id="without its end"),
        pytest.param(-1100, 2, "within 'c.png'", id="within data"),
        pytest.param(1024 + 100, 1, "within a header", id="within a header"),
    ],
)
def test_a_tar_that_is_cut_short(keep: int, read_before: int, why: str) -> None:
    data = [(name, png(n)[:400].ljust(512, b"\0")) for n, name in enumerate("abc")]
    make_tar("whole.tar", [(f"{name}.png", one) for name, one in data])
    whole = Path("whole.tar").read_bytes().rstrip(b"\0")
    size = 3 * 1024 + 1024
    whole = whole.ljust(size, b"\0")
    Path("inbox/a.tar").write_bytes(whole[:keep])
    run()
    assert details()["inbox/a.tar"] == f"cut short: it ends {why}; copy it again"
    assert len(rows()) == read_before + 1


@pytest.mark.parametrize("keep", [-20, 200])
def test_a_packed_tar_that_is_cut_short(keep: int) -> None:
    make_tar("whole.tar.gz", digits(*(f"{n:02}.png" for n in range(40))), "w:gz")
    Path("inbox/a.tar.gz").write_bytes(Path("whole.tar.gz").read_bytes()[:keep])
    run()
    assert "cut short" in details()["inbox/a.tar.gz"]
    good = [file for file, _, status in rows() if status != "error"]
    assert len(good) == (40 if keep < 0 else 0)


def spoil(path: str, at: int, data: bytes) -> None:
    with Path(path).open("r+b") as file:
        file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        file.write(data)


def test_a_damaged_header_ends_a_tar() -> None:
    make_tar("inbox/a.tar", digits("a.png", "b.png", "c.png"))
    with tarfile.open("inbox/a.tar") as archive:
        start = archive.getmembers()[1].offset
    spoil("inbox/a.tar", start + 130, b"!!!")
    run()
    assert "a header is not what was written" in details()["inbox/a.tar"]
    assert [status for _, _, status in rows()].count("error") == 1
    assert len(rows()) == 2


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        pytest.param("a.tar", b"", "empty file", id="tar of 0 bytes"),
        pytest.param("a.tar", b"no tar" * 200, "no tar archive", id="no tar"),
        pytest.param("a.tar", b"\0" * 10240, "an empty archive", id="tar without members"),
        pytest.param("a.tgz", b"\x1f\x8bno gzip" * 99, "damaged", id="no gzip"),
        pytest.param("a.zip", b"no zip" * 200, "no zip, or cut short", id="no zip"),
        pytest.param("a.parquet", b"no" * 200, "no Parquet file", id="no parquet"),
    ],
)
def test_what_is_no_archive_is_one_error_row(name: str, content: bytes, why: str) -> None:
    Path("inbox", name).write_bytes(content)
    for _ in range(2):
        run()
        assert [file for file, _, _ in rows()] == [f"inbox/{name}"]
        assert why in details()[f"inbox/{name}"]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip", "a.parquet"])
def test_an_empty_archive_is_one_error_row(name: str) -> None:
    if name.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"image": pa.array([], pa.binary())}), f"inbox/{name}")
    else:
        make_archive(f"inbox/{name}", [])
    run()
    assert details() == {f"inbox/{name}": "an empty archive: no file is in it"}


def test_an_archive_without_images_is_skipped_in_a_folder_and_an_error_if_named() -> None:
    make_zip("inbox/a.zip", [("a.txt", b"text")])
    loose(["b.png"], "inbox")
    summary = run()
    assert summary.skipped == {"an archive without images": 1, "not an image": 1}
    assert [file for file, _, _ in rows()] == ["inbox/b.png"]
    run("inbox/a.zip", out="named.csv")
    assert details("named.csv")["inbox/a.zip"].startswith("no image is in it")


def test_other_members_are_skipped_as_loose_files_are() -> None:
    make_tar("inner.tar", digits("x.png"))
    names = [".hidden.png", "__MACOSX/._a.png", "b.png.part", ".git/c.png", "a.json", "a.cls"]
    members = [*digits(*names), ("in.tar", Path("inner.tar").read_bytes())]
    members = [(name, b"7" if name.endswith((".json", ".cls")) else one) for name, one in members]
    members += [("without-suffix", png(5)), ("good.png", png(6))]
    make_tar("inbox/a.tar", members)
    make_zip("inbox/b.zip", members)
    make_tar("inbox/c.tgz", members, "w:gz")
    summary = run()
    expected = ["good.png", "without-suffix"]
    assert [file for file, _, _ in rows()] == [
        f"inbox/{one}/{name}" for one in ("a.tar", "b.zip", "c.tgz") for name in expected
    ]
    assert summary.skipped == {
        "an archive in an archive, which is not opened": 3,
        "hidden or half-written": 12,
        "not an image": 6,
    }


def test_an_encrypted_zip_says_so() -> None:
    make_zip("inbox/a.zip", digits("a.png", "b.png"))
    data = bytearray(Path("inbox/a.zip").read_bytes())
    at = -1
    while (at := data.find(b"PK\1\2", at + 1)) >= 0:
        data[at + 8] |= 1
    Path("inbox/a.zip").write_bytes(data)
    run()
    assert set(details().values()) == {
        "encrypted: it needs a password; make the zip again without one"
    }
    assert len(details()) == 2


def test_a_zip_packed_otherwise_says_how() -> None:
    make_zip("inbox/a.zip", digits("a.png"), zipfile.ZIP_LZMA)
    run()
    assert "(LZMA): expected stored or deflated" in details()["inbox/a.zip/a.png"]


def test_a_spoilt_member_of_a_zip_is_one_error_row() -> None:
    make_zip("inbox/a.zip", digits("a.png", "b.png"), zipfile.ZIP_STORED)
    with zipfile.ZipFile("inbox/a.zip") as archive:
        start = archive.getinfo("b.png").header_offset
    spoil("inbox/a.zip", start + 60, b"spoilt")
    run()
    assert "not what was packed" in details()["inbox/a.zip/b.png"]
    assert len(rows()) == 2


def test_a_zip_of_64_bits_and_one_behind_a_program_are_read() -> None:
    make_zip("inbox/a.zip", digits("a.png", "b.png"))
    plain = Path("inbox/a.zip").read_bytes()
    Path("inbox/b.zip").write_bytes(b"#!/bin/sh\nexit\n" + plain)
    at = plain.rfind(b"PK\5\6")
    _, _, _, _, count, size, start, _ = struct.unpack_from("<4s4H2LH", plain, at)
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    old = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    Path("inbox/c.zip").write_bytes(plain[:at] + end + locator + old)
    run()
    assert [file for file, _, _ in rows()] == [
        f"inbox/{one}.zip/{name}.png" for one in "abc" for name in "ab"
    ]


def test_a_member_that_is_larger_than_a_zip_says_is_not_unpacked() -> None:
    make_zip("inbox/a.zip", [("a.png", b"\0" * 100_000)])
    data = bytearray(Path("inbox/a.zip").read_bytes())
    at = data.find(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<L", 100)
    Path("inbox/a.zip").write_bytes(data)
    run()
    assert details()["inbox/a.zip/a.png"].startswith("damaged zip, or a bomb")


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip", "a.parquet"])
def test_a_bomb_is_one_error_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MIN_BOMB_BYTES", 1 << 20)
    members = [("a.png", png(1)), ("b.png", b"\0" * (4 << 20))]
    if name.endswith(".parquet"):
        make_parquet(f"inbox/{name}", members, compression="gzip", use_dictionary=False)
    else:
        make_archive(f"inbox/{name}", members)
    run()
    assert "as a bomb does" in details()[f"inbox/{name}"]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip", "a.parquet"])
def test_the_limits_of_files_hold_for_members(name: str) -> None:
    make_archive(f"inbox/{name}", digits("a.png"))
    run(max_pixels=100)
    assert "over the limit of 100 (--max-pixels)" in details()[f"inbox/{name}/a.png"]


def test_a_large_member_of_a_stream_is_an_error_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "MAX_STREAMED_BYTES", 1000)
    monkeypatch.setattr(parquet, "MAX_STREAMED_BYTES", 1000)
    big = [*digits("a.png"), ("b.png", b"\x89PNG" * 500)]
    make_tar("inbox/a.tgz", big, "w:gz")
    make_parquet("inbox/b.parquet", big)
    run()
    assert len(rows()) == 4
    for name in ("inbox/a.tgz/b.png", "inbox/b.parquet/b.png"):
        assert "put it into a .tar or a .zip" in details()[name]


# --- kinds of tar ---


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_long_and_odd_names_of_every_form_of_tar(form: int) -> None:
    long = "folder/" * 20 + "name.png"
    make_tar("inbox/a.tar", digits(long, "ü.png", "b.png"), format=form)
    run()
    assert [file.removeprefix("inbox/a.tar/") for file, _, _ in rows()] == ["b.png", long, "ü.png"]


def test_two_tars_in_one_file_are_both_read() -> None:
    make_tar("one.tar", digits("a.png"))
    make_tar("two.tar", digits("a.png", "b.png"))
    joined = Path("one.tar").read_bytes() + Path("two.tar").read_bytes()
    Path("inbox/a.tar").write_bytes(joined)
    run()
    assert [file for file, _, _ in rows()] == [
        "inbox/a.tar/a.png",
        "inbox/a.tar/a.png (2)",
        "inbox/a.tar/b.png",
    ]


def test_streams_of_gzip_one_behind_the_other_are_one_archive() -> None:
    import gzip as standard

    make_tar("a.tar", digits(*(f"{n}.png" for n in range(9))))
    data = Path("a.tar").read_bytes()
    packed = standard.compress(data[:1000]) + standard.compress(data[1000:]) + b"\0" * 512
    Path("inbox/a.tar.gz").write_bytes(packed)
    run()
    assert len(rows()) == 9


def test_a_tar_named_otherwise_is_known_by_its_beginning() -> None:
    make_tar("inbox/a.tar", digits("a.png"), "w:gz")
    make_tar("inbox/b.tgz", digits("a.png"))
    run()
    assert [status for _, _, status in rows()].count("error") == 0
    assert len(rows()) == 2


# --- kinds of Parquet ---


def write_parquet(path: str, **columns: object) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)  # type: ignore[arg-type]


def test_images_without_a_path_are_named_by_their_rows() -> None:
    write_parquet("inbox/a.parquet", label=[1, 2], png=[png(1), png(2)])
    write_parquet("inbox/b.parquet", image=[png(3), None], other=[b"x", b"y"])
    run()
    assert [file for file, _, _ in rows()] == [
        "inbox/a.parquet/row-000000000",
        "inbox/a.parquet/row-000000001",
        "inbox/b.parquet/row-000000000",
        "inbox/b.parquet/row-000000001",
    ]
    assert details() == {
        "inbox/b.parquet/row-000000001": "no image in this row: its bytes are missing"
    }


@pytest.mark.parametrize(
    ("columns", "got"),
    [
        pytest.param({"label": [1], "text": ["x"]}, "got the columns label, text", id="none"),
        pytest.param({"x": [b"1"], "y": [b"2"]}, "got several of bytes (x, y)", id="several"),
    ],
)
def test_parquet_without_a_column_of_images_says_what_was_expected(
    columns: dict[str, object], got: str
) -> None:
    write_parquet("inbox/a.parquet", **columns)
    run()
    assert details()["inbox/a.parquet"].startswith("expected a column of image files")
    assert details()["inbox/a.parquet"].endswith(got)


def test_a_table_of_results_in_a_folder_is_no_archive() -> None:
    loose(["a.png"], "inbox")
    run(out="inbox/earlier.parquet")
    summary = run()
    assert summary.skipped["a table of results"] == 1
    assert len(rows()) == 1


def test_without_pyarrow_an_error_row_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    make_parquet("inbox/a.parquet", digits("a.png"))

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(parquet, "import_module", missing)
    run()
    assert "pip install 'batchdigits[parquet]'" in details()["inbox/a.parquet"]


# --- what people look at ---


@pytest.mark.parametrize("name", KINDS)
def test_pictures_of_members_are_cut_out_of_their_archive(name: str) -> None:
    make_archive(f"inbox/{name}", digits("../a.png", "b.png"))
    run(min_confidence=1.0, move_done="done")  # all are for review, and the archive is moved
    (file, *_), *_ = rows()
    wanted = FieldRequest(1, None)
    requests = [
        FileRequest(find_picture(one, "", index_pictures(["done"])), "", [wanted], [], one)
        for one in (file, f"inbox/{name}/no such.png")
    ]
    shown, missing = cut_views(requests, max_pixels=10**6)
    assert shown.fields[0] is not None
    assert missing.fault == "its file is not where it was"
    with open_picture(requests[0].path, file) as place:
        assert place == dict(digits("../a.png"))["../a.png"]


def test_a_review_shows_members_and_takes_what_is_said() -> None:
    make_tar("inbox/a.tar", digits(*NAMES))
    run(min_confidence=1.0)
    assert cli_run("review", "results.csv", "--out", "page.html", "--quiet") == 0
    page = Path("page.html").read_text("utf-8")
    assert "its file is not where it was" not in page.replace("&#39;", "'")
    copy = Path("results.csv").read_text("utf-8").splitlines()
    columns = copy[1].split(",")
    columns[3] = "4" if columns[3] != "4" else "5"
    Path("copy.csv").write_text("\n".join([copy[0], ",".join(columns)]) + "\n", "utf-8")
    assert cli_run("correct", "results.csv", "copy.csv", "--quiet") == 0
    run(min_confidence=1.0, fresh=True)
    assert next((value, status) for _, value, status in rows()) == (columns[3], "verified")


# --- in small pieces ---


def test_only_runs_take_archives_for_sources() -> None:
    make_tar("inbox/a.tar", digits("a.png"))
    found = find_sources(["inbox"])
    assert (found.sources, found.skipped) == ([], {"not an image": 1})


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_stream_is_the_same_in_pieces_of_any_size(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tar("inbox/a.tgz", digits(*NAMES), "w:gz")
    monkeypatch.setattr(gzip, "PIECE_BYTES", size)
    assert len(read()) == len(NAMES)
