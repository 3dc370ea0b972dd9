"""A job holds all facts that follow from its options; each is resolved once."""

from collections import Counter
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import Save, resolve

from batchdigits import calibrate, cli, job, predict, register, templates
from batchdigits.cli import run as command

FORM = """
[form]
name = "small"
size = [105, 148]
anchor = "image"
reference = "blank.png"

[[field]]
name = "member"
box = [15, 30, 70, 12]
cells = 6
gap = 2
"""


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each fact is resolved."""
    found: Counter[str] = Counter()

    def count(room: Any, name: str) -> None:
        real = getattr(room, name)

        def counted(*given: Any, **more: Any) -> Any:
            found[name] += 1
            return real(*given, **more)

        monkeypatch.setattr(room, name, counted)

    for room, name in (
        (predict, "load_card"),
        (predict, "fingerprint_model"),
        (templates, "load_templates"),
        (register, "build_reference"),
        (calibrate, "find_threshold"),
        (job, "resolve_job"),
    ):
        count(room, name)
    return found


def textured(height: int, width: int) -> np.ndarray:
    """Draw a sheet by whose print it can be recognised."""
    random = np.random.default_rng(5)
    sheet = np.full((height, width), 255, np.uint8)
    for _ in range(120):
        x, y = int(random.integers(10, width - 60)), int(random.integers(10, height - 20))
        word = "".join(chr(97 + one) for one in random.integers(0, 26, 6))
        cv2.putText(sheet, word, (x, y), 0, 0.5, 0, 1, cv2.LINE_AA)
    return sheet


@pytest.mark.usefixtures("fake_classifier")
@pytest.mark.parametrize("state", [True, False], ids=["a state", "standard output"])
def test_each_fact_is_resolved_once_a_run(
    save: Save, counts: Counter[str], capfd: pytest.CaptureFixture[str], *, state: bool
) -> None:
    sheet = textured(740, 525)
    cv2.imwrite("blank.png", sheet)
    Path("form.toml").write_text(FORM)
    save("a.png", sheet)
    arguments = ["run", "inbox", "--out", "out.csv" if state else "-", "--workers", "0"]
    arguments += ["--template", "form.toml", "--target-error", "0.05"]
    arguments += ["--summary-json", "summary.json", "--digits-out", "digits.csv"]
    cli._run_command_line(arguments)
    assert capfd.readouterr().err
    assert counts == dict.fromkeys(
        (
            "load_card",
            "fingerprint_model",
            "load_templates",
            "build_reference",
            "find_threshold",
            "resolve_job",
        ),
        1,
    )


def test_a_job_is_frozen(inbox: Path) -> None:
    found = resolve()
    with pytest.raises(FrozenInstanceError):
        found.threshold = 0.5  # type: ignore[misc]


def test_thresholds_are_the_models_unless_one_is_chosen(inbox: Path) -> None:
    card = predict.load_card(None)
    assert card.numbers is not None
    own = (card.threshold, card.numbers.threshold)
    assert resolve().thresholds == resolve().model_thresholds == own
    chosen = resolve(min_confidence=0.5)
    assert (chosen.thresholds, chosen.model_thresholds) == ((0.5, 0.5), own)


@pytest.mark.parametrize(
    ("options", "same", "reason"),
    [
        ({"min_confidence": 0.5}, True, "a threshold judges what was read"),
        ({"batch_size": 7, "excel": True}, True, "these change no reading"),
        ({"runtime": "tensorflow"}, True, "it is the default"),
        ({"runtime": "onnx"}, False, "confidences differ in their last digits"),
        ({"as_": "digit"}, False, "another kind is read by other networks"),
        ({"invert": "yes"}, False, "other ink is read"),
        ({"template": "form.toml"}, False, "other boxes are read"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_the_key_of_a_reading_follows_what_changes_it(
    inbox: Path, options: dict[str, Any], same: bool, reason: str
) -> None:
    Path("form.toml").write_text(FORM.replace('"image"', '"page"').replace("reference", "# "))
    assert (resolve().reading_key == resolve(**options).reading_key) is same, reason


def test_inputs_are_typed_or_listed(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = {b"a\0b\0": True, b"a\nb\n": False, b"\xef\xbb\xbfa\r\nb\r\n": False}
    for data, null in lists.items():
        monkeypatch.setattr("sys.stdin", type("Input", (), {"buffer": Buffer(data)}))
        found = command._split_inputs(["inbox", "-"], null)
        assert found == (["inbox"], ["a", "b"])


class Buffer:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self) -> bytes:
        return self._data
