"""Where a run writes is resolved before anything is written."""

from pathlib import Path

import pytest

from batchdigits.errors import UsageError
from batchdigits.options import RunOptions
from batchdigits.paths import OutputPaths, resolve_paths


def resolve(**options: object) -> OutputPaths:
    return resolve_paths(RunOptions.from_settings(options))


def test_each_place_is_named_once() -> None:
    found = resolve(out="r.csv", digits_out="d.csv", log_file="l", move_done="done")
    assert found.tables == ("r.csv", "d.csv")
    assert found.state == "r.csv.state"
    assert found.written == ("r.csv", "r.csv.state", "d.csv", "l")
    assert found.move_folders == {"--move-done": "done"}
    assert found.locked == {"--out": "r.csv", "--digits-out": "d.csv"}


def test_what_goes_to_standard_output_is_no_place() -> None:
    found = resolve(out="-")
    assert (found.state, found.written, found.locked) == (None, (), {})
    named = resolve(out="-", state="s.state")
    assert (named.state, named.locked) == ("s.state", {"--state": "s"})


def test_what_goes_to_the_caller_is_no_place() -> None:
    found = resolve()
    assert (found.out, found.state, found.written, found.tables) == (None, None, (), ())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"out": "a.csv", "state": "a.csv"}, "--out and --state are both 'a.csv'"),
        ({"out": "a.csv", "log_file": "./a.csv"}, "--out and --log-file are both './a.csv'"),
        ({"out": "a.csv", "digits_out": "a.csv.state"}, "the state of --out and --digits-out"),
        ({"out": "a.csv", "log_file": ".a.csv.lock"}, "--log-file and the lock of --out"),
        ({"out": "a.csv", "log_file": "a.csv.state-journal"}, "the journal of the state of --out"),
        ({"out": "-", "digits_out": "-"}, "--out and --digits-out are both '-'"),
        ({"out": "a.csv", "move_done": "a.csv"}, "--out and --move-done are both 'a.csv'"),
        ({"out": "a.csv", "log_file": ""}, "--log-file: expected a path, got ''"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_two_options_never_name_one_place(
    options: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        resolve(**options)
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []
