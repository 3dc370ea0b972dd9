import inspect
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

import batchdigits
from batchdigits.cli.help import PanelCommand
from batchdigits.cli.options import with_options
from batchdigits.errors import UsageError
from batchdigits.options import (
    ReadOptions,
    RunOptions,
    TrainOptions,
    count_processors,
    suggest_name,
)
from batchdigits.options.declaration import (
    Option,
    declare_options,
    list_declarations,
    take_keywords,
)


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
    "new_rows": None,
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
    "decimal_comma": False,
    "quiet": False,
    "batch_size": 2048,
    "workers": count_processors(),
    "device": "auto",
    "runtime": "tensorflow",
    "null": False,
    "out": None,
    "dry_run": False,
    "append": False,
    "engine": "local",
    "ray_address": None,
}


def refused(wrong: Mapping[str, Any]) -> str:
    with pytest.raises(UsageError) as caught:
        RunOptions.from_settings(wrong)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_defaults_are_the_contracts() -> None:
    assert asdict(RunOptions.from_settings({})) == DEFAULTS


@pytest.mark.parametrize("name", DEFAULTS)
def test_none_takes_the_default(name: str) -> None:
    assert RunOptions.from_settings({name: None}) == RunOptions.from_settings({})


def test_none_takes_the_default_by_the_other_name_too() -> None:
    assert RunOptions.from_settings({"as": None}) == RunOptions.from_settings({})


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
        ("out", Path("some/table.csv")),
        ("append", True),
        ("null", True),
        ("dry_run", True),
    ],
    ids=str,
)
def test_what_is_given_is_kept(name: str, value: Any) -> None:
    changed = asdict(RunOptions.from_settings({name: value}))
    expected = str(value) if isinstance(value, Path) else value
    assert changed == DEFAULTS | {name: expected}


def test_false_and_zero_are_not_none() -> None:
    given = RunOptions.from_settings({"workers": 0, "min_confidence": 0.0, "excel": False})
    assert (given.workers, given.min_confidence, given.excel) == (0, 0.0, False)


def test_templates_may_be_one_or_several() -> None:
    assert RunOptions.from_settings({"template": Path("a.toml")}).template == ("a.toml",)
    several = RunOptions.from_settings(
        {"template": ["a.toml", Path("b")], "wide": True, "as": "form"}
    )
    assert several.template == ("a.toml", "b")


def test_a_calibration_goes_with_a_target_error() -> None:
    given = RunOptions.from_settings(
        {"target_error": "0.01", "calibration": Path("some/audited.csv")}
    )
    assert (given.target_error, given.calibration) == (0.01, "some/audited.csv")


def test_as_is_taken_by_both_names() -> None:
    """`as` is the name on the command line and in files; Python reserves the word."""
    assert RunOptions.from_settings({"as": "digit"}) == RunOptions.from_settings({"as_": "digit"})
    assert RunOptions.from_settings({"as": "digit"}).as_ == "digit"


def test_as_twice_is_refused() -> None:
    assert "as" in refused({"as": "digit", "as_": "number"})


def test_as_once_and_once_none_is_taken() -> None:
    assert RunOptions.from_settings({"as": "digit", "as_": None}).as_ == "digit"


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
        ({"move_failed": ""}, ["move-failed:", "at least 1 character", "got ''"]),
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
    assert RunOptions.from_settings({"template": None}) == RunOptions.from_settings({})


def test_of_several_mistakes_the_first_is_told() -> None:
    said = refused({"batch_size": 0, "workers": -1})
    assert said.startswith("batch-size:")
    assert "workers" not in said


def test_options_are_frozen() -> None:
    options = RunOptions.from_settings({"workers": 1})
    with pytest.raises(FrozenInstanceError):
        options.workers = 2
    assert options.workers == 1


def test_settings_are_not_changed_nor_kept() -> None:
    settings = {"workers": 1, "model": None}
    options = RunOptions.from_settings(settings)
    assert settings == {"workers": 1, "model": None}
    settings["workers"] = 2
    assert options.workers == 1


SAY = """
import json
from dataclasses import asdict
from batchdigits.options import RunOptions
print(json.dumps(asdict(RunOptions.from_settings({}))))
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
        options = RunOptions.from_settings(given)
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
    assert count_processors() == 3
    assert RunOptions.from_settings({}).workers == 3


@pytest.mark.parametrize(("counted", "expected"), [(6, 6), (None, 1)])
def test_processors_where_affinity_is_unknown(
    monkeypatch: pytest.MonkeyPatch, counted: int | None, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert count_processors() == expected


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("wrokers", ["workers", "worked"], "; did you mean 'workers'?"),
        ("workers", [], ""),
        ("x", ["workers"], ""),
    ],
)
def test_nearest(name: str, known: list[str], said: str) -> None:
    assert suggest_name(name, known) == said


def test_neither_pydantic_nor_numpy_is_imported_to_declare_options() -> None:
    code = (
        "import sys, batchdigits, batchdigits.options\n"
        "heavy = {'pydantic', 'numpy', 'pandas', 'cv2', 'typer'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "batchdigits.options.RunOptions.from_settings({})\n"
        "assert 'pydantic' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_options_that_contradict_each_other_are_refused_however_they_are_made() -> None:
    with pytest.raises(UsageError, match="give one"):
        RunOptions(min_confidence=0.9, target_error=0.1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"out": "new"}, "--recipe is missing (--help tells what it takes)"),
        ({"recipe": "mlp"}, "--out is missing (--help tells what it takes)"),
        ({"recipe": "mlp", "out": "new", "epoch": 1}, "unknown option 'epoch'; did you mean"),
        ({"recipe": "mlp", "out": "new", "data": ["a", "b"]}, "--data: recipe mlp learns from one"),
    ],
)
def test_what_a_training_needs(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        TrainOptions.from_settings(given)
    assert str(caught.value).startswith(said)


def test_every_recipe_is_suggested() -> None:
    from batchdigits.training.recipes import RECIPES

    (recipe,) = (one for one in list_declarations(TrainOptions) if one.name == "recipe")
    assert set(recipe.choices) == {*RECIPES, "default", "numbers"}


@declare_options
class Toys(RunOptions):
    """One field more than `run` has: that is all it takes to add an option."""

    toy_size: Annotated[int, Option("How large the toy is.", "Output", "N")] = 3


@pytest.mark.parametrize("how", ["line", "environment", "file", "default"])
def test_to_declare_a_field_is_to_add_an_option(
    how: str, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def play(inputs: list[str], options: Toys) -> None:
        seen.append((inputs, options.toy_size))

    line = ["inbox"]
    if how == "line":
        line += ["--toy-size", "7"]
    elif how == "environment":
        monkeypatch.setenv("BATCHDIGITS_TOY_SIZE", "7")
    elif how == "file":
        Path("toys.toml").write_text("toy-size = 7\n")
        line += ["--config", "toys.toml"]
    toys(play)(line, standalone_mode=False)
    assert seen == [(["inbox"], 3 if how == "default" else 7)]
    with pytest.raises(UsageError, match=r"toy-size: .*integer.*got 'big'"):
        toys(play)(["inbox", "--toy-size", "big"], standalone_mode=False)


def toys(body: Any) -> typer.Typer:
    body.__annotations__["inputs"] = Annotated[list[str], typer.Argument(metavar="INPUT...")]
    app = typer.Typer(rich_markup_mode=None)
    app.command(cls=PanelCommand)(with_options(Toys)(body))
    return app


def test_the_help_of_a_declared_field_stands_in_its_panel(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def play(inputs: list[str], options: Toys) -> None:
        """Play."""

    toys(play)(["--help"], standalone_mode=False)
    panel = capsys.readouterr().out.partition("\nOutput:\n")[2].partition("\nRunning:\n")[0]
    words = " ".join(panel.split())
    assert "--toy-size N How large the toy is. [default: 3; env: BATCHDIGITS_TOY_SIZE]" in words


def test_the_signature_of_read_shows_each_option() -> None:
    parameters = inspect.signature(batchdigits.read).parameters
    keywords = [one.name for one in list_declarations(ReadOptions)]
    assert list(parameters) == ["inputs", *keywords, "progress"]
    assert parameters["max_pixels"].annotation is int
    assert "PathLike" in str(parameters["model"].annotation)
    assert "'digit'" in str(parameters["as_"].annotation)
    shown = {name: parameters[name].default for name in keywords}
    assert shown == {name: DEFAULTS[name] for name in keywords}
    assert all(one.kind == one.KEYWORD_ONLY for one in [*parameters.values()][1:])


def test_the_help_of_read_says_what_its_options_mean() -> None:
    told = " ".join(inspect.getdoc(batchdigits.read).split())  # type: ignore[union-attr]
    for one in list_declarations(ReadOptions):
        assert f"{one.name}: {one.option.help}" in told


ONLY_OF_A_RUN = sorted({*DEFAULTS} - {one.name for one in list_declarations(ReadOptions)})


@pytest.mark.parametrize("name", ONLY_OF_A_RUN)
def test_read_says_where_an_option_of_a_run_belongs(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        batchdigits.read("inbox", **{name: "x"})
    assert str(caught.value) == (
        f"'{name}' is for a run that writes a table, and this gives a DataFrame: for "
        f"--{name.replace('_', '-')} use `batchdigits run`, or leave it out"
    )


def test_what_belongs_to_a_run_alone_is_what_writes_waits_or_remembers() -> None:
    writes = {"out", "digits_out", "new_rows", "wide", "excel", "decimal_comma", "debug_pages"}
    writes |= {"summary_json", "log_file"}
    remembers = {"state", "fresh", "append", "prune", "settle", "wait", "move_done", "move_failed"}
    tells = {"null", "quiet", "dry_run", "fail_over"}
    tells |= {"engine", "ray_address"}  # where it runs, which a DataFrame does not outlive
    assert {*ONLY_OF_A_RUN} == writes | remembers | tells


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"modle": "m"}, "unknown option 'modle'; did you mean 'model'?"),
        ({"zzz": 1}, "unknown option 'zzz'"),
        ({"min_confidence": 2}, "min-confidence: input should be less than or equal to 1, got 2"),
    ],
)
def test_read_refuses_what_it_does_not_know(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        batchdigits.read("inbox", **given)
    assert str(caught.value) == said


def test_a_method_takes_keywords_as_a_function_does() -> None:
    class Reader:
        @take_keywords(ReadOptions)
        def __init__(self, options: ReadOptions) -> None:
            self.options = options

    assert Reader(model=Path("m"), template="a.toml").options == ReadOptions.from_settings(
        {"model": "m", "template": ["a.toml"]}
    )
    with pytest.raises(UsageError, match="workers: "):
        Reader(workers=-1)


CALLER = """
from pathlib import Path
from batchdigits.options import ReadOptions
from batchdigits.options.declaration import take_keywords

@take_keywords(ReadOptions)
def read(inputs: str, options: ReadOptions) -> int:
    kept: str | None = options.model
    several: tuple[str, ...] = options.template
    return len(several) + len(kept or inputs)

read("a", model=Path("m"), template=["a.toml", Path("b.toml")], as_="digit", workers=0)
read("a", model=3)
read("a", as_="letters")
read("a", wide=True)
"""


def test_type_checkers_see_the_keywords(tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text(CALLER)
    root = Path(batchdigits.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "caller.py"],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line.split(":")[:2] for line in done.stdout.splitlines() if ": error:" in line]
    assert [int(line) for name, line in errors if name == "caller.py"] == [13, 14, 15], done.stdout
