import contextlib
import os
import socket
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ordinary_user
from hypothesis import given
from hypothesis import strategies as st

from batchdigits import sources
from batchdigits.errors import UsageError
from batchdigits.records import Source
from batchdigits.sources import escape_path, find_sources, parse_path_list, unescape_path

any_bytes = pytest.mark.skipif(
    sys.platform != "linux", reason="a name of any bytes, or two in one letter, need Linux"
)
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def not_root(here: Path) -> Iterator[None]:
    here.chmod(0o777)
    with ordinary_user():
        yield


@contextlib.contextmanager
def forbidden(path: str) -> Iterator[None]:
    mode = Path(path).stat().st_mode
    Path(path).chmod(0)
    try:
        yield
    finally:
        Path(path).chmod(mode)


def put(*names: str, content: bytes = b"") -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)


def files(*inputs: str, **more: list[str]) -> list[str]:
    return [source.file for source in find_sources(inputs, **more).sources]


# --- the spelling of a path ---


@pytest.mark.parametrize(
    ("raw", "file"),
    [
        pytest.param(b"inbox/a.png", "inbox/a.png", id="plain stays"),
        pytest.param(b"./inbox//a", "./inbox//a", id="never normalised"),
        pytest.param("größe/数.png".encode(), "größe/数.png", id="unicode stays"),
        pytest.param(b"a\\b", "a\\\\b", id="backslash doubled"),
        pytest.param(b"a\\x41", "a\\\\x41", id="what looks like an escape is none"),
        pytest.param(b"a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f", id="control characters and DEL"),
        pytest.param(b"a\xc2\x85", "a\\xc2\\x85", id="C1 control, by its bytes"),
        pytest.param(b"a\x85", "a\\x85", id="the raw byte is another name"),
        pytest.param(b"a\xff\xc3", "a\\xff\\xc3", id="undecodable bytes"),
        pytest.param(b"=1+1.png", "./=1+1.png", id="formula ="),
        pytest.param(b"+1", "./+1", id="formula +"),
        pytest.param(b"-x.png", "./-x.png", id="formula - (an option to a shell, too)"),
        pytest.param(b"@a", "./@a", id="formula @"),
        pytest.param(b"\t=1", "./\\x09=1", id="control character in front"),
        pytest.param(b"\xc2\x9f1", "./\\xc2\\x9f1", id="C1 in front"),
        pytest.param(b"a/=1", "a/=1", id="only the start matters"),
        pytest.param(b"", "", id="empty"),
    ],
)
def test_spell_and_back(raw: bytes, file: str) -> None:
    assert escape_path(os.fsdecode(raw)) == file
    assert unescape_path(file).removeprefix(b"./") == raw.removeprefix(b"./")


TRICKY = [
    b"\\",
    b"x",
    b"0a",
    b"=",
    b"./",
    b"\n",
    b"\x7f",
    b"\xc2\x85",
    b"\x85",
    b"\xff",
    "é".encode(),
]
names = st.lists(st.one_of(st.sampled_from(TRICKY), st.binary(max_size=4))).map(b"".join)


@given(names)
def test_any_bytes_survive_the_table(raw: bytes) -> None:
    path = raw.decode("utf-8", "surrogateescape")
    file = escape_path(path)
    file.encode("utf-8")  # no surrogate is left
    assert not any(unicodedata.category(char) == "Cc" for char in file)
    assert not file.startswith(("=", "+", "-", "@"))
    risky = path[:1] and (path[0] in "=+-@" or unicodedata.category(path[0]) == "Cc")
    assert unescape_path(file) == (b"./" if risky else b"") + raw


@given(st.text(st.characters()))  # lone surrogates too
def test_any_text_can_be_spelled(path: str) -> None:
    escape_path(path).encode("utf-8")


@pytest.mark.parametrize("file", ["a\\", "\\q", "\\x4", "\\xzz"])
def test_a_backslash_of_another_hand_stands_for_itself(file: str) -> None:
    assert unescape_path(file) == file.encode()


# --- the list on standard input ---


@pytest.mark.parametrize(
    ("lines", "null", "paths"),
    [
        pytest.param(b"a\nb\n", False, ["a", "b"], id="newlines"),
        pytest.param(b"a\n\n\nb", False, ["a", "b"], id="empty lines, no last newline"),
        pytest.param(b"a\r\nb\r\n", False, ["a", "b"], id="CRLF"),
        pytest.param(b"a\r\nb\n\r\nc", False, ["a", "b", "c"], id="CRLF and LF, an empty line"),
        pytest.param(b"a\rb\n", False, ["a\rb"], id="CR may stand within a name"),
        pytest.param(b"\xef\xbb\xbfa\nb\n", False, ["a", "b"], id="a byte-order mark"),
        pytest.param(b"\xef\xbb\xbfa\r\n", False, ["a"], id="a mark and CRLF, as from Windows"),
        pytest.param(b"a\n\xef\xbb\xbfb\n", False, ["a", "\ufeffb"], id="a mark within is a name"),
        pytest.param(b"\xef\xbb\xbf", False, [], id="a mark alone"),
        pytest.param(b"a\r\0b", True, ["a\r", "b"], id="with NUL, CR is a name's"),
        pytest.param(b" a \n", False, [" a "], id="so may spaces"),
        pytest.param(b"a\nb\0c\0\0", True, ["a\nb", "c"], id="NUL leaves newlines alone"),
        pytest.param(b"\xff\n", False, ["\udcff"], id="undecodable"),
        pytest.param(b"", False, [], id="nothing"),
    ],
)
def test_listed(lines: bytes, null: bool, paths: list[str]) -> None:
    assert parse_path_list(lines, null=null) == paths


def test_a_listed_path_that_is_missing_is_a_row() -> None:
    put("a.png")
    sources = find_sources(
        [], listed=["gone.png", "a.png", "a.png/x", "nul\0.png", "n\0l/x"]
    ).sources
    gone = "no such file: it was listed but is not there"
    assert [(source.file, source.fault) for source in sources] == [
        ("a.png", ""),
        ("a.png/x", gone),
        ("gone.png", gone),
        ("n\\x00l/x", gone),
        ("nul\\x00.png", gone),
    ]


def test_a_listed_folder_is_read_and_a_listed_file_is_not_doubled() -> None:
    put("in/a.png", "in/b.png")
    assert files("in/a.png", listed=["./in", "in/b.png"]) == ["./in/b.png", "in/a.png"]


@pytest.mark.parametrize("path", ["gone", "", "gone/a.png", "a.png/b", "nul\0", "\ud800"])
def test_a_missing_input_is_wrong_usage(path: str) -> None:
    put("a.png")
    with pytest.raises(UsageError) as caught:
        find_sources(["a.png", path])
    message = str(caught.value)
    assert message.startswith(
        f"INPUT '{escape_path(path)}' does not exist: expected a file or a folder"
    )
    assert "\n" not in message


# --- what a folder holds ---


@pytest.mark.parametrize(
    ("typed", "file"),
    [
        pytest.param("in", "in/sub/a.png", id="plain"),
        pytest.param("./in", "./in/sub/a.png", id="dot kept"),
        pytest.param("in/", "in/sub/a.png", id="no second slash"),
        pytest.param("in//", "in//sub/a.png", id="typed slashes kept"),
        pytest.param(".", "./in/sub/a.png", id="here"),
        pytest.param("in/../in", "in/../in/sub/a.png", id="never normalised"),
        pytest.param("in/sub/a.png", "in/sub/a.png", id="a file"),
    ],
)
def test_names_begin_with_the_input_as_typed(typed: str, file: str) -> None:
    put("in/sub/a.png")
    assert [(one.file, one.path) for one in find_sources([typed]).sources] == [(file, file)]


@any_bytes
def test_paths_open_even_where_the_spelling_differs() -> None:
    put("=in/a\\b\n\udcff.png", content=b"digit")
    (source,) = find_sources(["=in"]).sources
    assert source.file == "./=in/a\\\\b\\x0a\\xff.png"
    assert Path(source.path).read_bytes() == b"digit"
    assert Path(os.fsdecode(unescape_path(source.file))).read_bytes() == b"digit"


@any_bytes
def test_order_is_by_the_bytes_of_the_spelling() -> None:
    put("in/b.png", "in/B.png", "in/a/z.png", "in/a.png", "in/é.png", "in/\uffee.png", "in/😀.png")
    put("in/\udcff.png", "a.png")
    found = files("in", "a.png")
    assert found == sorted(found, key=str.encode)
    assert found == [
        "a.png",
        "in/B.png",
        "in/\\xff.png",
        "in/a.png",
        "in/a/z.png",
        "in/b.png",
        "in/é.png",
        "in/\uffee.png",
        "in/😀.png",
    ]


SUFFIXES = (
    "png jpg jpeg jpe jfif tif tiff bmp dib webp gif jp2 j2k jpf jpx jpc pdf mpo heic heif avif"
)


@pytest.mark.parametrize("suffix", SUFFIXES.split(" "))
def test_an_image_by_its_suffix_in_any_case(suffix: str) -> None:
    put(f"in/a.{suffix}", f"in/b.{suffix.upper()}", f"in/c.x.{suffix.title()}", content=b"text")
    assert len(files("in")) == 3


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(PNG, id="PNG"),
        pytest.param(b"\xff\xd8\xff\xe0", id="JPEG"),
        pytest.param(b"II*\0\x08\0\0\0", id="TIFF little"),
        pytest.param(b"MM\0*\0\0\0\x08", id="TIFF big"),
        pytest.param(b"II+\0\x08\0\0\0", id="BigTIFF little"),
        pytest.param(b"MM\0+\0\x08\0\0", id="BigTIFF big"),
        pytest.param(b"BM" + bytes(12) + b"\x28\0\0\0", id="BMP"),
        pytest.param(b"BM" + b"\n" * 12 + b"\x7c\0\0\0", id="BMP version 5"),
        pytest.param(b"RIFF\x0a\0\0\0WEBPVP8 ", id="WebP"),
        pytest.param(b"GIF87a", id="GIF 87"),
        pytest.param(b"GIF89a", id="GIF 89"),
        pytest.param(b"\0\0\0\x0cjP  \r\n\x87\n", id="JPEG 2000 file"),
        pytest.param(b"\xff\x4f\xff\x51", id="JPEG 2000 codestream"),
        pytest.param(b"%PDF-1.7", id="PDF"),
        pytest.param(b"\0\0\0\x18ftypheic", id="HEIC"),
        pytest.param(b"\0\0\0\x18ftypheix", id="HEIC 10 bit"),
        pytest.param(b"\0\0\0\x18ftypmif1", id="HEIF"),
        pytest.param(b"\0\0\0\x0aftypavif", id="AVIF, a newline in its length"),
    ],
)
def test_an_image_by_its_first_bytes(head: bytes) -> None:
    put("in/scan", "in/scan.dat", content=head + b"and more" * 9)
    assert files("in") == ["in/scan", "in/scan.dat"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"BM", id="a short text"),
        pytest.param(b"BMW drivers park in the yard", id="a text that begins like a BMP"),
        pytest.param(b"RIFF\x0a\0\0\0WAVEfmt ", id="sound"),
        pytest.param(b"\0\0\0\x18ftypisom", id="a film"),
        pytest.param(b"II* is no number", id="a text that begins like a TIFF"),
        pytest.param(b" " + PNG, id="not at the start"),
    ],
)
def test_what_is_no_image_is_counted(content: bytes) -> None:
    put("in/notes", "in/png", content=content)
    assert find_sources(["in"]).sources == []
    assert find_sources(["in"]).skipped == {"not an image": 2}


@pytest.mark.parametrize(
    "name",
    [
        ".a.png",
        ".nfs001",
        ".thumbs/a.png",
        "a.png.part",
        "a.png.PART",
        "a.tmp",
        "a.png.crdownload",
        "a.filepart",
        "a.png~",
        "~$a.pdf",
        "moving.part/a.png",
    ],
)
def test_hidden_and_half_written_are_counted(name: str) -> None:
    put(f"in/{name}", "in/a~b.png", "in/party.png", content=PNG)
    found = find_sources(["in"])
    assert [source.file for source in found.sources] == ["in/a~b.png", "in/party.png"]
    assert found.skipped == {"hidden or half-written": 1}


@pytest.mark.parametrize("name", [".a.png", "a.png.part", "notes.txt", ".git/a", "empty"])
def test_a_named_file_is_always_a_source(name: str) -> None:
    put(f"in/{name}")
    assert files(f"in/{name}") == [f"in/{name}"]


@pytest.mark.parametrize("inputs", [["in", "in/.a.png"], ["in/.a.png", "in"], ["in", "in/.a.png/"]])
def test_what_is_named_besides_its_folder_is_not_counted_as_skipped(inputs: list[str]) -> None:
    if inputs[-1].endswith("/"):
        put("in/.a.png/b.png")
    else:
        put("in/.a.png")
    found = find_sources(inputs)
    assert len(found.sources) == 1
    assert found.skipped == {}


def test_a_named_hidden_folder_is_read() -> None:
    put(".in/a.png")
    assert files(".in") == [".in/a.png"]


def test_an_empty_folder_and_no_input_hold_nothing() -> None:
    Path("in/sub").mkdir(parents=True)
    assert find_sources(["in"]).sources == find_sources([]).sources == []


# --- reached twice ---


def test_the_spelling_reached_first_is_kept() -> None:
    put("in/a.png", "in/sub/b.png")
    Path("link").symlink_to("in")
    assert files("./in", "in", "link", "in/sub/b.png") == ["./in/a.png", "./in/sub/b.png"]
    assert files("link/sub", "in") == ["in/a.png", "link/sub/b.png"]
    assert files("link/a.png", "in/a.png", os.path.realpath("in")) == [
        f"{os.path.realpath('in')}/sub/b.png",
        "link/a.png",
    ]


def test_links_to_files_are_names_of_their_own() -> None:
    put("in/a.png")
    Path("in/hard.png").hardlink_to("in/a.png")
    Path("in/soft.png").symlink_to("a.png")
    assert files("in") == ["in/a.png", "in/hard.png", "in/soft.png"]


def test_linked_folders_are_followed_once_and_never_round() -> None:
    put("in/b/x.png", "far/y.png")
    Path("in/a").symlink_to("b")
    Path("in/b/up").symlink_to("..")
    Path("in/far").symlink_to("../far")
    Path("far/back").symlink_to("../in")
    assert files("in") == ["in/a/x.png", "in/far/y.png"]


@pytest.mark.parametrize("most", [1199, 1198, 7])
def test_folders_are_read_to_a_depth_and_no_further(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However deep they lie, past Python's recursion limit too, the walk ends with a row."""
    monkeypatch.setattr(sources.search, "MAX_FOLDER_DEPTH", most)
    folders = ["in" + "/d" * depth for depth in range(1200)]
    for folder in folders:
        Path(folder).mkdir()
    try:
        put(f"{folders[-1]}/a.png")
        (found,) = find_sources(["in"]).sources
        if most == 1199:
            assert found == Source(f"{folders[-1]}/a.png", f"{folders[-1]}/a.png")
        else:
            assert found.file == folders[most + 1]
            assert found.fault.startswith(f"folders are read {most} deep, and this one")
    finally:  # pytest's own tidying is recursive
        Path(folders[-1], "a.png").unlink()
        for folder in reversed(folders):
            Path(folder).rmdir()


# --- what cannot be read ---


def test_a_special_file_is_a_fault_and_never_opened() -> None:
    Path("in").mkdir()
    os.mkfifo("in/pipe.png")
    os.mkfifo("in/pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("in/socket.png")
    found = find_sources(["in", "/dev/null"])
    assert found.sources == [
        Source("/dev/null", "/dev/null", "not a regular file: a device", named=True),
        Source("in/pipe.png", "in/pipe.png", "not a regular file: a pipe"),
        Source("in/socket.png", "in/socket.png", "not a regular file: a socket"),
    ]
    assert found.skipped == {"could not be looked into": 1}
    assert find_sources(["in/pipe"]).sources[0].fault == "not a regular file: a pipe"


def test_links_that_lead_nowhere() -> None:
    Path("in").mkdir()
    Path("in/gone.png").symlink_to("nothing")
    Path("in/gone").symlink_to("nothing")
    Path("in/self.png").symlink_to("self.png")
    found = find_sources(["in"])
    assert [(source.file, source.fault) for source in found.sources] == [
        ("in/gone.png", "a symbolic link to something that is not there"),
        ("in/self.png", "it cannot be reached: too many levels of symbolic links"),
    ]
    assert found.skipped == {"could not be looked into": 1}
    assert (
        find_sources(["in/gone"]).sources[0].fault
        == "a symbolic link to something that is not there"
    )


@pytest.mark.usefixtures("not_root")
def test_a_folder_that_cannot_be_listed_is_a_source() -> None:
    put("in/a.png", "in/shut/b.png")
    Path("in/link").symlink_to("shut/sub")
    with forbidden("in/shut"):
        found = find_sources(["in"])
        named = find_sources(["./in/shut/", "in/shut/b.png"]).sources
    denied = "the folder cannot be read: permission denied"
    assert found.sources == [
        Source("in/a.png", "in/a.png"),
        Source("in/shut", "in/shut", denied),
    ]
    assert found.skipped == {"could not be looked into": 1}
    assert [(source.file, source.fault) for source in named] == [
        ("./in/shut/", denied),
        ("in/shut/b.png", "it cannot be reached: permission denied"),
    ]


@pytest.mark.usefixtures("not_root")
def test_a_file_that_cannot_be_opened_is_judged_by_its_suffix() -> None:
    put("in/a.png", "in/scan", content=PNG)
    with forbidden("in/a.png"), forbidden("in/scan"):
        found = find_sources(["in"])
    assert found.sources == [Source("in/a.png", "in/a.png")]  # reading it will say why
    assert found.skipped == {"could not be looked into": 1}


def test_a_path_too_long_for_the_system_is_a_source_with_the_reason(here: Path) -> None:
    put("in/a.png")
    os.chdir("in")
    for _ in range(20):
        Path("d" * 250).mkdir()
        os.chdir("d" * 250)
    os.chdir(here)
    first, deep = find_sources(["in"]).sources
    assert first == Source("in/a.png", "in/a.png")
    assert deep.fault == "the folder cannot be read: file name too long"


# --- the job's own outputs ---


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        pytest.param(["in"], ["in/out.png"], id="in a folder"),
        pytest.param(
            ["in", "in/out.png"], ["./in/../in/out.png"], id="named, and spelled otherwise"
        ),
        pytest.param(["in"], ["link/out.png"], id="through a linked folder"),
        pytest.param(["in"], ["soft.png"], id="written through a link"),
        pytest.param(["in", "soft.png"], ["in/out.png"], id="read through a link"),
        pytest.param(["in", "dir/soft"], ["in/out.png"], id="a relative link elsewhere"),
        pytest.param(["in", "dir"], ["in/out.png"], id="a link met in a folder"),
        pytest.param(["in", "new.csv"], ["in/out.png", "new.csv"], id="named before it is there"),
    ],
)
def test_outputs_are_never_inputs(inputs: list[str], outputs: list[str]) -> None:
    put("in/a.png", "in/out.png", content=PNG)
    Path("link").symlink_to("in")
    Path("soft.png").symlink_to("in/out.png")
    Path("dir").mkdir()
    Path("dir/soft").symlink_to("../in/out.png")
    found = find_sources(inputs, outputs=outputs)
    assert [source.file for source in found.sources] == ["in/a.png"]
    assert found.skipped == {}


@pytest.mark.parametrize("inputs", [["in"], ["in", "in/debug"], ["in", "in/link"]])
def test_a_folder_of_outputs_is_left_out_whole(inputs: list[str]) -> None:
    put("in/a.png", "in/debug/sub/b.png")
    Path("in/link").symlink_to("debug")
    assert files(*inputs, outputs=["./in/debug/"]) == ["in/a.png"]


def test_what_is_named_inside_a_folder_of_outputs_is_read() -> None:
    put("in/a.png", "b.png")
    assert files("in", "b.png", outputs=["."]) == ["b.png", "in/a.png"]
