"""Labelled sets: every accepted form is read, and every damaged one is refused."""

import gzip
import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import drawn
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from batchdigits import labelled
from batchdigits.errors import UsageError
from batchdigits.labelled import (
    EMPTY_LABEL,
    NO_DIGIT_LABEL,
    list_parts,
    load_labelled_crops,
    parse_label_map,
)

Place = Callable[..., str]

X = np.arange(6 * 4 * 3).reshape(6, 4, 3).astype(np.uint8)
Y = np.array([3, 1, 4, 1, 5, 9], np.uint8)


def idx(array: np.ndarray[Any, Any]) -> bytes:
    lengths = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes((0, 0, 8, array.ndim)) + lengths + array.astype(np.uint8).tobytes()


def png(picture: np.ndarray[Any, Any], suffix: str = ".png") -> bytes:
    return bytes(cv2.imencode(suffix, picture)[1].tobytes())


def pdf(picture: np.ndarray[Any, Any]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PDF")
    return out.getvalue()


@pytest.fixture
def npz(tmp_path: Path) -> Place:
    def write(**held: Any) -> str:
        np.savez(tmp_path / "set.npz", **held)
        return str(tmp_path / "set.npz")

    return write


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    """Write files by name into a folder; a name that ends in / is an empty folder."""

    def write(files: dict[str, bytes]) -> str:
        place = tmp_path / "set"
        place.mkdir()
        for name, data in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                (place / name).mkdir()
            else:
                (place / name).write_bytes(data)
        return str(place)

    return write


def check(found: labelled.LabelledCrops, crops: Any, labels: Any) -> None:
    assert len(found.crops) == len(crops) == len(found.names) == len(set(found.names))
    for one, wanted in zip(found.crops, crops, strict=True):
        assert one.dtype == np.uint8
        assert (one == wanted).all()
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == list(labels)


# --- arrays ---


def test_an_npz_with_both_parts(npz: Place) -> None:
    place = npz(x_train=X, y_train=Y, x_test=X[::-1], y_test=Y[::-1])
    assert list_parts(place) == ("train", "test")
    check(load_labelled_crops(place, part="train"), X, Y)
    check(load_labelled_crops(place, part="test"), X[::-1], Y[::-1])
    check(load_labelled_crops(place, part="all"), [*X, *X[::-1]], [*Y, *Y[::-1]])
    assert load_labelled_crops(place, part="train").names[2] == f"{place}:x_train[2]"


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X, Y),
        (X[..., np.newaxis], Y),
        (X.astype(np.int64), Y.astype(np.int32)),
        (X, Y.astype(np.float64)),
        (X, Y[:, np.newaxis]),
        (X, np.array([str(one) for one in Y])),
        (X, np.array([str(one).encode() for one in Y])),
    ],
    ids=["plain", "one channel", "wide integers", "whole floats", "column", "text", "bytes"],
)
@pytest.mark.parametrize("keys", [("x", "y"), ("images", "labels")], ids=str)
def test_arrays_are_taken_in_the_forms_that_lose_nothing(
    npz: Place, x: Any, y: Any, keys: tuple[str, str]
) -> None:
    place = npz(**dict(zip(keys, (x, y), strict=True)))
    assert list_parts(place) == ("train",)
    check(load_labelled_crops(place, part="train"), X, Y)
    check(load_labelled_crops(place, part="all"), X, Y)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("sign", ["-", "."])
def test_idx_files(folder: Place, suffix: str, sign: str) -> None:
    pack = gzip.compress if suffix else bytes
    files = {
        f"{part}-{what}{sign}idx{array.ndim}-ubyte{suffix}": pack(idx(array))
        for part, step in (("train", 1), ("t10k", -1))
        for what, array in (("images", X[::step]), ("labels", Y[::step]))
    }
    place = folder(files | {"README": b""})
    assert list_parts(place) == ("train", "test")
    check(load_labelled_crops(place, part="train"), X, Y)
    check(load_labelled_crops(place, part="test"), X[::-1], Y[::-1])


def test_a_single_idx_pair_is_one_part(folder: Place) -> None:
    place = folder({"t10k-images-idx3-ubyte": idx(X), "t10k-labels-idx1-ubyte": idx(Y)})
    assert list_parts(place) == ("test",)
    with pytest.raises(UsageError, match="holds the part 'test' alone: expected 'train'"):
        load_labelled_crops(place, part="train")


@given(x=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=3, max_dims=3, max_side=4)))
def test_idx_and_npz_give_back_what_went_in(
    x: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    y = np.arange(len(x)) % 10
    place = tmp_path_factory.mktemp("set")
    (place / "train-images-idx3-ubyte").write_bytes(idx(x))
    (place / "train-labels-idx1-ubyte").write_bytes(idx(y))
    np.savez(place / "set.npz", x=x, y=y)
    check(load_labelled_crops(str(place), part="train"), x, y)
    check(load_labelled_crops(str(place / "set.npz"), part="train"), x, y)


class Trap:
    """A pickle that would leave a mark if it were ever loaded."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("trapped",)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"x": X, "y": Y[:5]}, "a label for each of 6 images"),
        (
            {"x": X, "y": np.eye(10, dtype=np.uint8)[Y]},
            "got labels of shape (6, 10)",
        ),
        ({"x": X[0], "y": Y[:4]}, "got shape (4, 3)"),
        ({"x": X.reshape(6, -1), "y": Y}, "got shape (6, 12)"),
        ({"x": np.stack([X] * 3, -1), "y": Y}, "make colour grey"),
        ({"x": X[:0], "y": Y[:0]}, "got shape (0, 4, 3)"),
        ({"x": X / 255, "y": Y}, "got float64 from 0.0 to "),
        ({"x": X.astype(np.float32), "y": Y}, "got float32"),
        ({"x": X.astype(int) - 1, "y": Y}, "from -1 to 70"),
        ({"x": X.astype(int) * 9, "y": Y}, "from 0 to 639"),
        ({"x": X > 5, "y": Y}, "got bool"),
        ({"x": X, "y": Y + 1}, "the label '10' is no digit"),
        ({"x": X, "y": Y.astype(int) - 3}, "the label '-2' is no digit"),
        ({"x": X, "y": Y / 2}, "is no digit"),
        ({"x": X, "y": np.where(Y == 9, np.nan, Y)}, "is no digit"),
        ({"x": X}, "expected x and y, got x"),
        ({"x_train": X, "y_train": Y, "x_test": X}, "expected x_test and y_test"),
        ({"a": X, "b": Y}, "it holds a, b"),
        ({"x": X, "y": np.array([Trap()] * 6, dtype=object)}, "cannot be read: Object"),
        ({"x": np.array([Trap()] * 6, dtype=object), "y": Y}, "cannot be read: Object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_npz_is_told(
    npz: Place, held: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as told:
        load_labelled_crops(npz(**held), part="all")
    assert words in str(told.value)
    assert "\n" not in str(told.value)
    assert not Path("trapped").exists()


@pytest.mark.parametrize("size", [0, 10, 300, -30, -1], ids=str)
def test_a_damaged_npz_is_told(npz: Place, size: int) -> None:
    place = Path(npz(x=X, y=Y))
    place.write_bytes(place.read_bytes()[:size])
    with pytest.raises(UsageError, match=r"damaged or cannot be read|is no \.npz"):
        load_labelled_crops(str(place), part="train")


def test_flipped_bytes_never_give_another_error(npz: Place) -> None:
    place = Path(npz(x=X, y=Y))
    whole, chance = place.read_bytes(), np.random.default_rng(1)
    for at in chance.integers(0, len(whole), 300):
        place.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            check(load_labelled_crops(str(place), part="train"), X, Y)
        except UsageError as error:
            assert str(place) in str(error)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (idx(X)[:-1], idx(Y), "expected 72 bytes after its header, got 71"),
        (idx(X) + b"x", idx(Y), "got 73"),
        (idx(X)[:9], idx(Y), "no IDX file"),
        (b"", idx(Y), "no IDX file"),
        (idx(Y), idx(Y), "in 3 dimensions"),
        (idx(X), idx(X), "in 1 dimensions"),
        (idx(X), idx(Y[:5]), "a label for each of 6 images"),
        (idx(X), idx(Y * 2), "is no digit"),
        (b"\0\0\x08\x03" + b"\xff" * 12, idx(Y), "damaged or cut short"),
        (b"\0\0\x0d\x03" + idx(X)[4:], idx(Y), "no IDX file of bytes"),
        (idx(X[:0]), idx(Y[:0]), "got shape (0, 4, 3)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_wrong_idx_files_are_told(
    folder: Place, images: bytes, labels: bytes, words: str, pack: Callable[[bytes], bytes]
) -> None:
    suffix = "" if pack is bytes else ".gz"
    place = folder(
        {
            f"train-images-idx3-ubyte{suffix}": pack(images),
            f"train-labels-idx1-ubyte{suffix}": pack(labels),
        }
    )
    with pytest.raises(UsageError) as told:
        load_labelled_crops(place, part="train")
    assert words in str(told.value)


def test_a_truncated_gz_and_a_missing_mate_are_told(folder: Place) -> None:
    place = folder({"train-images-idx3-ubyte.gz": gzip.compress(idx(X))[:-9]})
    with pytest.raises(UsageError, match=r"got only 'train-images-idx3-ubyte\.gz'"):
        list_parts(place)
    (Path(place) / "train-labels-idx1-ubyte").write_bytes(idx(Y))
    with pytest.raises(UsageError, match="cannot be read"):
        load_labelled_crops(place, part="train")


# --- folders ---


def test_folders_named_by_label(folder: Place) -> None:
    place = folder(
        {
            "7/b.png": png(X[1]),
            "7/deeper/a.bmp": png(X[2], ".bmp"),
            "3/wide.png": png(drawn(3, side=40)),
            "3/notes.txt": b"not read",
            "3/.hidden.png": b"not read",
            ".git/x.png": b"not read",
            "loose.png": b"not read",
        }
    )
    assert list_parts(place) == ("train",)
    found = load_labelled_crops(place, part="train")
    check(found, [drawn(3, side=40), X[1], X[2]], [3, 7, 7])
    assert [Path(name).relative_to(place).as_posix() for name in found.names] == [
        "3/wide.png",
        "7/b.png",
        "7/deeper/a.bmp",
    ]


def test_train_and_test_above_the_labels(folder: Place) -> None:
    place = folder({"train/1/a.png": png(X[0]), "test/2/a.png": png(X[1])})
    assert list_parts(place) == ("train", "test")
    check(load_labelled_crops(place, part="train"), [X[0]], [1])
    check(load_labelled_crops(place, part="test"), [X[1]], [2])
    check(load_labelled_crops(place, part="all"), X[:2], [1, 2])


def test_crops_of_one_size_are_one_array(folder: Place) -> None:
    place = folder({"1/a.png": png(X[0]), "2/a.png": png(X[1]), "2/b.png": png(drawn(2))})
    found = load_labelled_crops(place, part="train")
    assert not isinstance(found.crops, np.ndarray)
    same = found.select(np.array([1, 0]))
    assert isinstance(same.crops, np.ndarray)
    check(same, [X[1], X[0]], [2, 1])


def test_every_page_of_a_tiff_is_a_crop(folder: Place) -> None:
    place = folder({"1/": b""})
    several = [Image.fromarray(one) for one in X[:3]]
    several[0].save(Path(place) / "1/a.tif", save_all=True, append_images=several[1:])
    check(load_labelled_crops(place, part="train"), X[:3], [1, 1, 1])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no folders"),
        ({"a.png": png(X[0])}, "holds no folders"),
        ({"1/": b""}, "holds no images"),
        ({"1/a.png": png(X[0]), "2/": b""}, "2' holds no images"),
        ({"1/a.png": png(X[0]), "2/a.txt": b"words"}, "2' holds no images"),
        ({"1/a.png": png(X[0])[:-20]}, "1/a.png' cannot be read"),
        ({"1/a.png": b"", "1/b.png": b"\0" * 9, "2/c.png": png(X[0])}, "(and 1 more like it)"),
        ({"1/a.pdf": b"%PDF-1.4"}, "truncated or damaged PDF"),
        ({"1/a.pdf": pdf(X[0])}, "PDF is not read as crops"),
        ({"1/a.png": png(X[0]), "ten/a.png": png(X[0])}, "the label 'ten' is no digit"),
        ({"01/a.png": png(X[0])}, "--labels '01=empty'"),
        ({"٣/a.png": png(X[0])}, "the label '٣' is no digit"),
        ({"train/1/a.png": png(X[0]), "2/a.png": png(X[0])}, "got '2' beside them"),
        ({"train/a.png": png(X[0])}, "holds no folders"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_folder_is_told(folder: Place, files: dict[str, bytes], words: str) -> None:
    with pytest.raises(UsageError) as told:
        load_labelled_crops(folder(files), part="all")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_an_image_that_leads_nowhere_is_told(folder: Place) -> None:
    place = folder({"1/a.png": png(X[0])})
    (Path(place) / "1/b.png").symlink_to("gone.png")
    with pytest.raises(UsageError, match="a symbolic link to something that is not there"):
        load_labelled_crops(place, part="train")


@pytest.mark.parametrize("data", [b"", b"words", pickle.dumps(Trap()), png(X[0])], ids=len)
def test_a_file_that_is_no_set_is_told(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("set").write_bytes(data)
    with pytest.raises(UsageError, match=r"'set' is no \.npz file"):
        load_labelled_crops("set", part="all")
    assert not Path("trapped").exists()


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(UsageError, match="'nowhere' do not exist"):
        list_parts("nowhere")


# --- what labels mean ---


def test_labels_mean_what_the_map_says(npz: Place, folder: Place) -> None:
    names = parse_label_map("10=empty, -1 = none,x=none,A=3,0=empty,9=skip")
    place = npz(x=X, y=np.array([10, -1, 0, 9, 5, 9]))
    check(
        load_labelled_crops(place, part="train", names=names),
        X[[0, 1, 2, 4]],
        [EMPTY_LABEL, NO_DIGIT_LABEL, EMPTY_LABEL, 5],
    )
    place = folder({"A/a.png": png(X[0]), "x/a.png": png(X[1]), "9/a.png": b"broken, not read"})
    check(load_labelled_crops(place, part="train", names=names), X[:2], [3, NO_DIGIT_LABEL])


def test_a_map_that_leaves_nothing_is_told(npz: Place, folder: Place) -> None:
    with pytest.raises(UsageError, match="left out"):
        load_labelled_crops(npz(x=X[:1], y=Y[:1]), part="train", names={"3": "skip"})
    with pytest.raises(UsageError, match="left out"):
        load_labelled_crops(folder({"3/a.png": png(X[0])}), part="train", names={"3": "skip"})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", {}),
        ("10=empty", {"10": "empty"}),
        (" 10 = empty ,, x=none,", {"10": "empty", "x": "none"}),
        ("a=b=7", {"a=b": "7"}),
        ("a=1,a=1", {"a": "1"}),
    ],
)
def test_a_map_is_read(text: str, wanted: dict[str, str]) -> None:
    assert parse_label_map(text) == wanted


@pytest.mark.parametrize("text", ["10", "=empty", "10=", "10=blank", "a=10", "a=1,a=2"])
def test_a_wrong_map_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="--labels"):
        parse_label_map(text)


@given(
    st.dictionaries(
        st.text("ab0 xé=", min_size=1).map(str.strip).filter(bool),
        st.sampled_from(["0", "9", "empty", "none", "skip"]),
    )
)
def test_a_written_map_is_read_again(names: dict[str, str]) -> None:
    assert (
        parse_label_map(",".join(f"{name}={meaning}" for name, meaning in names.items())) == names
    )
