"""The Python interface: files and arrays become data frames, with models that stay loaded."""

import inspect
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from conftest import FakeClassifier, FakeReader, Save, drawn
from PIL import Image

import batchdigits
from batchdigits import predict
from batchdigits.errors import UsageError

LINE = np.full((40, 200), 255, np.uint8)


def test_arrays_are_read_as_files_with_these_pixels_are(
    inbox: Path, save: Save, fake_reader: FakeReader
) -> None:
    colour = cv2.cvtColor(drawn(4), cv2.COLOR_GRAY2BGRA)
    colour[..., 2], colour[:9, :, 3] = 255, 100
    number = LINE.copy()
    cv2.putText(number, "4071", (20, 32), 0, 1.1, 0, 3, cv2.LINE_AA)
    pictures = [drawn(3), LINE, colour, number, np.full((30, 30), 230, np.uint8)]
    for at, picture in enumerate(pictures):
        save(f"{at}.png", picture)
    pictures[2] = colour[..., [2, 1, 0, 3]]
    found = batchdigits.read_images(pictures, names=[f"inbox/{n}.png" for n in range(5)])
    pd.testing.assert_frame_equal(found, batchdigits.read("inbox"))
    assert {"ok", "review", "blank"} & set(found["status"])


@pytest.mark.usefixtures("fake_classifier")
@pytest.mark.parametrize(
    ("same", "reason"),
    [
        (lambda grey: grey[..., None], "one colour is grey"),
        (lambda grey: np.repeat(grey[..., None], 3, axis=2), "equal colours are grey"),
        (lambda grey: np.dstack([grey, grey, grey, np.full_like(grey, 255)]), "all opaque"),
        (lambda grey: grey / 255, "float64 from 0 to 1"),
        (lambda grey: (grey / 255).astype(np.float32), "float32 from 0 to 1"),
        (lambda grey: grey.tolist(), "a list of lists of whole numbers is not uint8"),
        (np.asfortranarray, "in another order in memory"),
        (Image.fromarray, "a picture of Pillow's"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_picture_may_come_in_several_shapes(same: Any, reason: str) -> None:
    grey = drawn(6)
    wanted = batchdigits.read_images([grey])
    given = same(grey)
    if isinstance(given, list):
        with pytest.raises(UsageError, match="got int64"):
            batchdigits.read_images([given])
        return
    pd.testing.assert_frame_equal(batchdigits.read_images([given]), wanted)


@pytest.mark.usefixtures("fake_classifier")
def test_a_stack_of_crops_is_read_in_its_order_by_one_process_or_several(
    fake_classifier: FakeClassifier,
) -> None:
    crops = np.stack([drawn(n % 10, seed=n) for n in range(150)])
    found = batchdigits.read_images(crops, workers=0)
    assert found["file"].tolist() == [str(n) for n in range(150)]
    assert found["value"].tolist() == [fake_classifier.value(crop) for crop in crops]
    pd.testing.assert_frame_equal(batchdigits.read_images(crops, workers=2), found)


@pytest.mark.usefixtures("fake_classifier")
@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros(28, np.uint8), r"expected an array of shape \(height, width\).*got uint8"),
        (np.zeros((0, 5), np.uint8), r"of shape \(0, 5\)"),
        (np.zeros((5, 5, 2), np.uint8), r"of shape \(5, 5, 2\)"),
        (np.zeros((5, 5, 3), np.uint16), "got uint16"),
        (np.zeros((5, 5), np.int64), "got int64: convert it"),
        (np.full((5, 5), 255.0), "expected floats from 0 to 1, got 255 to 255"),
        (np.full((5, 5), np.nan), "expected floats from 0 to 1, got nan"),
        ("a.png", "got <U5: convert it"),
        (None, "got object"),
    ],
    ids=str,
)
def test_what_is_no_picture_is_refused_by_name(image: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        batchdigits.read_images([drawn(1), image], names=["good", "bad"])
    assert str(caught.value).startswith("image 'bad': ")
    assert "\n" not in str(caught.value)


def test_a_picture_that_is_too_large_is_an_error_row(fake_classifier: FakeClassifier) -> None:
    found = batchdigits.read_images([drawn(1), drawn(2, side=60)], max_pixels=1000)
    assert found["status"].tolist()[1] == "error"
    assert "too large: 60x60" in found["detail"][1]


def test_names_that_are_too_few_are_refused(fake_classifier: FakeClassifier) -> None:
    with pytest.raises(UsageError, match="expected 2, one for each image, got 1"):
        batchdigits.read_images([drawn(1), drawn(2)], names=["a"])


def test_no_images_are_an_empty_table(fake_classifier: FakeClassifier) -> None:
    found = batchdigits.read_images([])
    assert len(found) == 0
    assert found.dtypes.astype(str).to_dict()["value"] == "str"


def test_a_reader_keeps_its_models(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    def load(card: object, device: str, **_: object) -> FakeClassifier:
        loaded.append(device)
        return FakeClassifier()

    monkeypatch.setattr(predict, "load_classifier", load)
    save("a.png", drawn(1))
    reader = batchdigits.Reader(device="cpu", workers=0, min_confidence=0.5)
    assert loaded == [], "a model is loaded when there is a picture for it"
    first = reader.read("inbox")
    assert (loaded, len(first)) == (["cpu"], 1)
    save("b.png", drawn(2))
    assert len(reader.read([Path("inbox")])) == 2
    assert len(reader.read_images([drawn(3)])) == 1
    assert loaded == ["cpu"]


def test_a_reader_refuses_inputs_that_are_not_there(
    inbox: Path, fake_classifier: FakeClassifier
) -> None:
    reader = batchdigits.Reader()
    with pytest.raises(UsageError, match="INPUT 'nowhere' does not exist"):
        reader.read("nowhere")


@pytest.mark.usefixtures("fake_classifier")
def test_progress_is_told_to_a_function(save: Save) -> None:
    for n in range(3):
        save(f"{n}.png", drawn(n))
    seen: list[tuple[int, int]] = []
    batchdigits.read("inbox", workers=0, progress=lambda *done: seen.append(done))
    assert seen[-1] == (3, 3)
    assert seen == sorted(seen)


@pytest.mark.parametrize("name", ["read", "read_images", "Reader"])
def test_what_is_public_says_what_it_takes(name: str) -> None:
    assert inspect.getdoc(getattr(batchdigits, name))
