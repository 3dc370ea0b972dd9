import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from batchdigits.errors import UsageError
from batchdigits.options import RunOptions, nearest, processors


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The defaults are those of users."""


DEFAULTS = {
    "as_": "auto",
    "model": None,
    "invert": "auto",
    "max_pixels": 100_000_000,
    "page_seconds": 60.0,
    "min_confidence": None,
    "target_error": None,
    "calibration": None,
    "template": (),
    "wide": False,
    "digits_out": None,
    "state": None,
    "fresh": False,
    "prune": False,
    "settle": 5.0,
    "wait": 0.0,
    "fail_over": 0.0,
    "log_file": None,
    "summary_json": None,
    "move_done": None,
    "move_failed": None,
    "debug_pages": None,
    "excel": False,
    "quiet": False,
    "batch_size": 2048,
    "workers": processors(),
    "device": "auto",
}


def refused(wrong: Mapping[str, Any]) -> str:
    with pytest.raises(UsageError) as caught:
        RunOptions.of(wrong)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_defaults_are_the_contracts() -> None:
    assert RunOptions.of({}).model_dump() == DEFAULTS


@pytest.mark.parametrize("name", DEFAULTS)
def test_none_takes_the_default(name: str) -> None:
    assert RunOptions.of({name: None}) == RunOptions.of({})


def test_none_takes_the_default_by_the_other_name_too() -> None:
    assert RunOptions.of({"as": None}) == RunOptions.of({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("as_", "auto"),
        ("as_", "digit"),
        ("as_", "number"),
        ("as_", "form"),
        ("model", "some/bundle"),
        ("invert", "yes"),
        ("invert", "no"),
        ("max_pixels", 1),
        ("page_seconds", 0.5),
        ("page_seconds", 86_400),
        ("min_confidence", 0),
        ("min_confidence", 1),
        ("min_confidence", 0.99),
        ("target_error", 0.001),
        ("target_error", 0.999),
        ("state", "elsewhere.state"),
        ("fresh", True),
        ("prune", True),
        ("settle", 0),
        ("wait", 600),
        ("fail_over", 0.01),
        ("excel", True),
        ("quiet", True),
        ("batch_size", 1),
        ("batch_size", 1_000_000),
        ("workers", 0),
        ("workers", 256),
        ("workers", np.int64(3)),
        ("device", "cpu"),
        ("device", "gpu"),
        ("device", "gpu:0"),
        ("device", "gpu:12"),
        ("model", Path("some/bundle")),
    ],
    ids=str,
)
def test_what_is_given_is_kept(name: str, value: Any) -> None:
    changed = RunOptions.of({name: value}).model_dump()
    expected = str(value) if isinstance(value, Path) else value
    assert changed == DEFAULTS | {name: expected}


def test_false_and_zero_are_not_none() -> None:
    given = RunOptions.of({"workers": 0, "min_confidence": 0.0, "excel": False})
    assert (given.workers, given.min_confidence, given.excel) == (0, 0.0, False)


def test_templates_may_be_one_or_several() -> None:
    assert RunOptions.of({"template": Path("a.toml")}).template == ("a.toml",)
    several = RunOptions.of({"template": ["a.toml", Path("b")], "wide": True, "as": "form"})
    assert several.template == ("a.toml", "b")


def test_a_calibration_goes_with_a_target_error() -> None:
    given = RunOptions.of({"target_error": "0.01", "calibration": Path("some/audited.csv")})
    assert (given.target_error, given.calibration) == (0.01, "some/audited.csv")


def test_as_is_taken_by_both_names() -> None:
    """`as` is the name on the command line and in files; Python reserves the word."""
    assert RunOptions.of({"as": "digit"}) == RunOptions.of({"as_": "digit"})
    assert RunOptions.of({"as": "digit"}).as_ == "digit"


def test_as_twice_is_refused() -> None:
    assert "as" in refused({"as": "digit", "as_": "number"})


def test_as_once_and_once_none_is_taken() -> None:
    assert RunOptions.of({"as": "digit", "as_": None}).as_ == "digit"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"as": "letters"}, ["as:", "'auto', 'digit', 'number' or 'form'", "'letters'"]),
        ({"as_": "Digit"}, ["as:", "'digit'", "got 'Digit'"]),
        ({"invert": "maybe"}, ["invert:", "'auto', 'yes' or 'no'", "got 'maybe'"]),
        ({"invert": True}, ["invert:", "'yes'", "got True"]),
        ({"model": 3}, ["model:", "string", "got 3"]),
        ({"max_pixels": 0}, ["max-pixels:", "greater than or equal to 1", "got 0"]),
        ({"max_pixels": "many"}, ["max-pixels:", "integer", "got 'many'"]),
        ({"max_pixels": 1.5}, ["max-pixels:", "integer", "got 1.5"]),
        ({"page_seconds": 0}, ["page-seconds:", "greater than 0", "got 0"]),
        ({"page_seconds": -1}, ["page-seconds:", "greater than 0", "got -1"]),
        ({"page_seconds": 86_401}, ["page-seconds:", "86400", "got 86401"]),
        ({"page_seconds": float("inf")}, ["page-seconds:", "86400", "got inf"]),
        ({"page_seconds": float("nan")}, ["page-seconds:", "got nan"]),
        ({"min_confidence": 1.01}, ["min-confidence:", "less than or equal to 1", "got 1.01"]),
        ({"min_confidence": -0.1}, ["min-confidence:", "greater than or equal to 0", "-0.1"]),
        ({"min_confidence": 99}, ["min-confidence:", "less than or equal to 1", "got 99"]),
        ({"min_confidence": float("nan")}, ["min-confidence:", "got nan"]),
        ({"min_confidence": "high"}, ["min-confidence:", "number", "got 'high'"]),
        ({"target_error": 0}, ["target-error:", "greater than 0", "got 0"]),
        ({"target_error": 1}, ["target-error:", "less than 1", "got 1"]),
        ({"target_error": float("nan")}, ["target-error:", "got nan"]),
        ({"target_error": "few"}, ["target-error:", "number", "got 'few'"]),
        ({"calibration": 3, "target_error": 0.1}, ["calibration:", "string", "got 3"]),
        ({"calibration": "a.csv"}, ["--calibration is for --target-error"]),
        ({"template": "a.toml", "as_": "digit"}, ["--template", "--as digit"]),
        ({"state": "a\0b"}, ["state:", "zero byte", r"got 'a\x00b'"]),
        ({"template": ["a\0b"]}, ["template:", "zero byte"]),
        ({"move_done": "\0"}, ["move-done:", "zero byte"]),
        ({"wide": True, "as_": "digit"}, ["--wide is for forms", "--as digit"]),
        ({"template": [3]}, ["template", "string", "got 3"]),
        (
            {"min_confidence": 0.9, "target_error": 0.1},
            ["--min-confidence and --target-error", "give one"],
        ),
        (
            {"min_confidence": 0.0, "target_error": 0.1},  # a threshold of 0 is one too
            ["--min-confidence and --target-error"],
        ),
        ({"excel": "perhaps"}, ["excel:", "boolean", "got 'perhaps'"]),
        ({"quiet": 2}, ["quiet:", "boolean", "got 2"]),
        ({"batch_size": 0}, ["batch-size:", "greater than or equal to 1", "got 0"]),
        ({"batch_size": 1_000_001}, ["batch-size:", "1000000", "got 1000001"]),
        ({"workers": -1}, ["workers:", "greater than or equal to 0", "got -1"]),
        ({"workers": 257}, ["workers:", "256", "got 257"]),
        ({"workers": [1]}, ["workers:", "integer", "got [1]"]),
        ({"device": "tpu"}, ["device:", "cpu", "gpu", "got 'tpu'"]),
        ({"device": "gpu:"}, ["device:", "got 'gpu:'"]),
        ({"device": "gpu:-1"}, ["device:", "got 'gpu:-1'"]),
        ({"device": "gpu:one"}, ["device:", "got 'gpu:one'"]),
        ({"device": "GPU"}, ["device:", "got 'GPU'"]),
        ({"device": "cpu:0"}, ["device:", "got 'cpu:0'"]),
        ({"device": " cpu"}, ["device:", "got ' cpu'"]),
        ({"device": "cpu\n"}, ["device:", r"got 'cpu\n'"]),
        ({"device": 0}, ["device:", "string", "got 0"]),
    ],
    ids=str,
)
def test_a_wrong_setting_says_its_name_what_was_expected_and_what_came(
    wrong: dict[str, Any], words: list[str]
) -> None:
    said = refused(wrong)
    assert said.startswith(words[0])
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("min_confidense", "min_confidence"),
        ("minconfidence", "min_confidence"),
        ("min-confidence", "min_confidence"),
        ("batchsize", "batch_size"),
        ("worker", "workers"),
        ("devices", "device"),
        ("max_pixel", "max_pixels"),
        ("Quiet", "quiet"),
        ("asx", "as_"),
    ],
)
def test_an_unknown_option_names_the_nearest(unknown: str, meant: str) -> None:
    assert refused({unknown: 1}) == f"unknown option '{unknown}'; did you mean '{meant}'?"


@pytest.mark.parametrize("unknown", ["zzz", "", "colour"])
def test_an_unknown_option_like_no_other_names_none(unknown: str) -> None:
    assert refused({unknown: 1}) == f"unknown option '{unknown}'"


def test_an_unknown_option_is_refused_even_when_a_known_one_is_right() -> None:
    assert "'worker'" in refused({"quiet": True, "worker": 2})


def test_an_unknown_option_that_is_none_is_as_if_not_given() -> None:
    assert RunOptions.of({"template": None}) == RunOptions.of({})


def test_of_several_mistakes_the_first_is_told() -> None:
    said = refused({"batch_size": 0, "workers": -1})
    assert said.startswith("batch-size:")
    assert "workers" not in said


def test_options_are_frozen() -> None:
    options = RunOptions.of({"workers": 1})
    with pytest.raises(ValidationError, match="frozen"):
        options.workers = 2
    assert options.workers == 1


def test_settings_are_not_changed_nor_kept() -> None:
    settings = {"workers": 1, "model": None}
    options = RunOptions.of(settings)
    assert settings == {"workers": 1, "model": None}
    settings["workers"] = 2
    assert options.workers == 1


SAY = """
import json
from batchdigits.options import RunOptions
print(json.dumps(RunOptions.of({}).model_dump()))
"""


def test_the_environment_is_not_read() -> None:
    """Only the command line reads it: `batchdigits.read` gives the same everywhere."""
    environ = {
        f"{start}{name.upper().rstrip('_')}": "7"
        for name in DEFAULTS
        for start in ("", "BATCHDIGITS_")
    }
    done = subprocess.run(
        [sys.executable, "-c", SAY], env=os.environ | environ, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == DEFAULTS | {"template": []}  # JSON has no tuples


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*DEFAULTS, "as", "nonsense"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    )
)
def test_any_settings_give_options_or_one_plain_line(given: dict[str, Any]) -> None:
    try:
        options = RunOptions.of(given)
    except UsageError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert options.max_pixels >= 1
        assert 0 < options.page_seconds <= 86_400
        assert options.min_confidence is None or 0 <= options.min_confidence <= 1
        assert 1 <= options.batch_size <= 1_000_000
        assert 0 <= options.workers <= 256


def test_processors_is_what_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert processors() == 3
    assert RunOptions.of({}).workers == 3


@pytest.mark.parametrize(("counted", "expected"), [(6, 6), (None, 1)])
def test_processors_where_affinity_is_unknown(
    monkeypatch: pytest.MonkeyPatch, counted: int | None, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert processors() == expected


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("wrokers", ["workers", "worked"], "; did you mean 'workers'?"),
        ("workers", [], ""),
        ("x", ["workers"], ""),
    ],
)
def test_nearest(name: str, known: list[str], said: str) -> None:
    assert nearest(name, known) == said
