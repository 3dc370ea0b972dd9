"""States that earlier versions wrote give their rows unchanged: `states/v<version>/<name>/`.

`jobs/samples/states.py` makes the fixtures of a version of the state, once; `fixture.json` has the
reason for each, and what its runs give. All goes by the command line, as it outlives the modules.
"""

import csv
import io
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batchdigits import cli, job, normalize, predict

TABLE, STATE, DIGITS, SUMMARY = "results.csv", "results.csv.state", "digits.csv", "summary.json"
FIXTURES = sorted(place.parent for place in Path(__file__).parent.glob("states/*/*/fixture.json"))
MODELS = {"scans-2": (1, 0.974, 0.95), "scans-3": (2, 0.9852, 0.95)}
"""Of the models that the fixtures were made with: the version of their preprocessing, and their
default thresholds for digits and for numbers."""
STRIPS = 2
"""The version of their strips."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ALL = pytest.mark.parametrize(
    "fixture", FIXTURES, ids=[f"{one.parent.name}-{one.name}" for one in FIXTURES]
)


@pytest.fixture
def told(fixture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in a copy of a fixture, as a checkout makes it: every file is new but in what it holds.

    The model in the package passes for the one that wrote the state: what that one read is in the
    state, and a newer one must not have it read again. Gives what `fixture.json` tells.
    """
    place = tmp_path / "copy"
    shutil.copytree(fixture, place, copy_function=shutil.copyfile)
    monkeypatch.chdir(place)
    Path("inbox").mkdir(exist_ok=True)  # git keeps no empty folder
    told: dict[str, Any] = json.loads(Path("fixture.json").read_text())
    for path, when in told["times"].items():
        os.utime(path, ns=(when, when))
    model = told["model"]
    version, digits, numbers = MODELS[model["name"]]
    monkeypatch.setattr(normalize, "VERSION", version)
    monkeypatch.setattr(job, "list_reading_versions", lambda: (1, version, STRIPS))
    monkeypatch.setattr(predict, "fingerprint_model", lambda _: model["fingerprint"])
    load = predict.load_card

    def load_card_of_then(path: str | None) -> predict.Card:
        card = load(path)
        assert card.numbers is not None
        of_numbers = replace(card.numbers, threshold=numbers)
        return replace(card, preprocessing=version, threshold=digits, numbers=of_numbers)

    monkeypatch.setattr(predict, "load_card", load_card_of_then)
    return told


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Give back what a command line takes for its own in its process: signals and logs."""
    handlers = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for name in [one for one in logging.root.manager.loggerDict if one.startswith("batchdigits")]:
        for handler in [*logging.getLogger(name).handlers]:
            logging.getLogger(name).removeHandler(handler)
            handler.close()


def run(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> tuple[int, dict[str, Any]]:
    """Run the command line; gives its exit code and its summary."""
    line = ["batchdigits", *arguments, "--workers", "1", "--summary-json", SUMMARY]
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0), json.loads(Path(SUMMARY).read_text())


def text(path: str | Path) -> str:
    """Give a file of text byte for byte, line ends and all."""
    return Path(path).read_bytes().decode()


def rows(path: str | Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text(path))))


def check_run(
    monkeypatch: pytest.MonkeyPatch, one: dict[str, Any], fixture: Path, fresh: int = 0
) -> None:
    """Run as a fixture tells, and find what it tells.

    Of a long file the last `fresh` pages were read by this test: how sure their values are is up to
    the model in the package. All else comes from the state, and is the same everywhere.
    """
    code, summary = run(monkeypatch, one["arguments"])
    found, expected = rows(TABLE), rows(fixture / one["table"])
    last = max(int(row["page"]) for row in expected)
    for got, wanted in zip(found, expected, strict=True):
        if int(wanted["page"]) > last - fresh:
            assert float(got["confidence"]) > 0.95
            for key in ("confidence", "status", "detail"):
                got[key] = wanted[key]
        assert got == wanted
    assert fresh or text(TABLE) == text(fixture / one["table"])
    assert (code, summary["files"]["read"]) == (one["code"], one["read"])
    assert summary["pages_laid_straight"] == one["laid"]
    if (fixture / DIGITS).exists():
        assert text(DIGITS) == text(fixture / DIGITS)
    assert not [*Path().glob("*.kept-*")]  # neither the state nor a table was set aside


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_every_version_of_the_state_has_its_fixtures(version: str) -> None:
    names = {place.name for place in FIXTURES if place.parent.name == version}
    assert names == {
        *("digits", "numbers", "form", "undescribed"),
        *("moved", "vanished", "half-read", "two-models"),
    }


@ALL
def test_the_rows_are_given_again_and_judged_again_and_nothing_is_read(
    fixture: Path, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the pages that a stopped run left: `read` and `laid` tell how many."""
    again, judged = told["runs"]
    check_run(monkeypatch, again, fixture, again["laid"])
    check_run(monkeypatch, judged, fixture, again["laid"])
    assert text(fixture / again["table"]) != text(fixture / judged["table"])


@ALL
def test_tables_that_are_lost_are_written_again_from_the_state(
    fixture: Path, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a run might leave them as they stand, and never look at a row."""
    Path(TABLE).unlink()
    Path(DIGITS).unlink(missing_ok=True)
    again = told["runs"][0]
    check_run(monkeypatch, again, fixture, again["laid"])


@ALL
def test_rows_of_files_that_are_all_gone_come_from_the_state_alone(
    fixture: Path, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever model is shipped by then: there is nothing that it could read."""
    shutil.rmtree("inbox")
    Path("inbox").mkdir()
    Path(TABLE).unlink()
    check_run(monkeypatch, {**told["runs"][0], "table": TABLE, "read": 0, "laid": 0}, fixture)


@pytest.mark.parametrize(
    ("name", "start", "count"),
    [("vanished", "digit-5", 1), ("moved", "night-", 10), ("two-models", "other-", 10)],
    ids=["deleted", "moved away", "read by another model"],
)
def test_files_that_are_gone_have_rows_with_values(name: str, start: str, count: int) -> None:
    for place in [one for one in FIXTURES if one.name == name]:
        found = [row for row in rows(place / TABLE) if row["file"].startswith(f"inbox/{start}")]
        assert len(found) == count
        assert all(row["value"].isdigit() for row in found)
        assert not [*place.glob(f"inbox/{start}*")]


def test_a_half_read_file_has_pages_that_were_kept_and_pages_that_were_not() -> None:
    """`pages_laid_straight` counts the pages of forms that a run reads: so it tells both apart."""
    for place in [one for one in FIXTURES if one.name == "half-read"]:
        again = json.loads((place / "fixture.json").read_text())["runs"][0]
        long = {row["page"] for row in rows(place / again["table"]) if "/long." in row["file"]}
        assert 0 < again["laid"] < len(long)
        assert {row["file"] for row in rows(place / TABLE)} == {"inbox/first.tif"}
