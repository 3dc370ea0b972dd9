"""A table that is a folder of parts: `--out results/`."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from archives_made import rows as csv_rows
from archives_made import run as run_job
from cli_runs import run, table
from conftest import FakeClassifier, Save, drawn

from batchdigits import outputs
from batchdigits.errors import BusyError, OutputError, UsageError
from batchdigits.outputs import sharded
from batchdigits.review import correct_table
from batchdigits.state.lock import lock_outputs

LINE = ("run", "inbox", "--workers", "0", "--quiet", "--out")


@pytest.fixture(autouse=True)
def _inbox(save: Save, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an inbox of twelve digits, and parts of five rows."""
    for n in range(12):
        save(f"{n:02}.png", drawn(n % 10, seed=n))
        os.utime(f"inbox/{n:02}.png", (1e9, 1e9))
    monkeypatch.setattr(sharded, "PART_ROWS", 5)


def shown(folder: str = "results") -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def stand(folder: str = "results") -> dict[str, tuple[int, int]]:
    """Return inode and time of every file in a folder."""
    found = {path.name: path.stat() for path in Path(folder).iterdir()}
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in found.items()}


def manifest(folder: str = "results") -> dict[str, Any]:
    return dict(json.loads(Path(folder, "_manifest.json").read_text("utf-8")))


PARTS = ["part-00000", "part-00001", "part-00002"]


@pytest.mark.parametrize(
    ("out", "suffix"),
    [
        pytest.param("results/", ".parquet", id="parquet"),
        pytest.param("results.csv/", ".csv", id="csv by the folder's name"),
        pytest.param("results.jsonl/", ".jsonl", id="json lines"),
        pytest.param("results.2026/", ".parquet", id="another suffix is none"),
    ],
)
def test_the_parts_hold_the_rows_of_one_table(out: str, suffix: str) -> None:
    assert run(*LINE, out) == 0
    assert run(*LINE, "one.csv") == 0
    names = [f"{name}{suffix}" for name in PARTS]
    assert shown(out) == sorted(["_SUCCESS", "_manifest.json", *names])
    expected = outputs.read_table("one.csv")
    parts = pd.concat([outputs.read_table(out + name) for name in names], ignore_index=True)
    assert parts["file"].tolist() == expected["file"].tolist()
    assert parts["value"].tolist() == expected["value"].tolist()
    assert outputs.read_table(out).equals(parts)
    if suffix == ".parquet":  # the mark and the manifest are in nobody's way
        assert pd.read_parquet(out)["file"].tolist() == expected["file"].tolist()
    assert Path(f"{out.rstrip('/')}.state").exists()


def test_the_manifest_tells_of_parts_rows_and_settings() -> None:
    run(*LINE, "results/", "--min-confidence", "0.5")
    told = manifest()
    assert told["rows"] == 12
    assert [part["name"] for part in told["parts"]] == [f"{one}.parquet" for one in PARTS]
    assert [part["rows"] for part in told["parts"]] == [5, 5, 2]
    assert [part["first"] for part in told["parts"]] == [f"inbox/{n:02}.png" for n in (0, 5, 10)]
    for part in told["parts"]:
        assert os.path.getsize(f"results/{part['name']}") == part["bytes"]
    assert told["settings"]["min_confidence"] == 0.5
    assert told["columns"] == list(outputs.RESULT_COLUMNS)


def test_a_second_run_rewrites_nothing() -> None:
    run(*LINE, "results/")
    before = stand()
    assert run_job(out="results/").unchanged
    assert stand() == before


def test_only_parts_with_other_rows_are_rewritten(save: Save) -> None:
    run(*LINE, "results/")
    before = stand()
    save("12.png", drawn(3, seed=12))
    run(*LINE, "results/")
    after = stand()
    changed = {name for name in before if not name.startswith("_") and before[name] != after[name]}
    assert changed == {"part-00002.parquet"}
    assert manifest()["rows"] == 13


def test_a_table_that_shrinks_has_fewer_parts() -> None:
    run(*LINE, "results/")
    for n in range(6, 12):
        Path(f"inbox/{n:02}.png").unlink()
    run(*LINE, "results/", "--prune")
    assert shown() == ["_SUCCESS", "_manifest.json", "part-00000.parquet", "part-00001.parquet"]


def test_rows_of_a_file_stay_together(save: Save) -> None:
    run(*LINE, "results/")
    tables = [outputs.read_table(f"results/{name}.parquet") for name in PARTS]
    files = [set(one["file"]) for one in tables]
    assert sum(map(len, files)) == len(set.union(*files))


def test_nothing_found_is_one_part_without_rows() -> None:
    for path in Path("inbox").iterdir():
        path.unlink()
    run(*LINE, "results/")
    assert shown() == ["_SUCCESS", "_manifest.json", "part-00000.parquet"]
    assert outputs.read_table("results/").empty


# --- interrupted ---


@pytest.fixture(name="stopped")
def stopped_fixture(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what runs until so many parts are in place, and stops there."""

    def stop(count: int) -> None:
        real, done = os.replace, 0

        def replace(one: str, other: str) -> None:
            nonlocal done
            if re.search(r"part-\d+", str(other)):
                if done == count:
                    raise KeyboardInterrupt
                done += 1
            real(one, other)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            with pytest.raises(KeyboardInterrupt):
                run_job(out="results/")

    return stop


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_run_that_is_stopped_leaves_no_mark_and_the_next_goes_on(
    count: int, stopped: Callable[[int], None]
) -> None:
    stopped(count)
    assert shown() == [f"{name}.parquet" for name in PARTS[:count]]
    with pytest.raises(UsageError, match="is no table"):
        outputs.read_table("results")
    before = stand()
    assert run_job(out="results/").read == 0
    after = stand()
    assert all(after[f"{name}.parquet"] == before[f"{name}.parquet"] for name in PARTS[:count])
    assert outputs.read_table("results/")["file"].tolist() == [
        f"inbox/{n:02}.png" for n in range(12)
    ]
    assert not [name for name in os.listdir("results") if name.startswith(".")]


def test_a_run_that_is_stopped_takes_the_mark_of_an_older_table_away(
    save: Save, stopped: Callable[[int], None]
) -> None:
    run(*LINE, "results/")
    save("005.png", drawn(4, seed=77))  # all parts change
    stopped(1)
    assert not Path("results/_SUCCESS").exists()
    assert not Path("results/_manifest.json").exists()
    run(*LINE, "results/")
    assert manifest()["rows"] == 13
    assert not [name for name in shown() if name.startswith("_kept")]  # nobody has edited it


# --- what others do ---


def test_an_edited_part_is_kept_aside(caplog: pytest.LogCaptureFixture) -> None:
    run(*LINE, "results.csv/")
    path = Path("results.csv/part-00001.csv")
    path.write_text(path.read_text("utf-8").replace("inbox", "INBOX"), "utf-8")
    run_job(out="results.csv/")
    (kept,) = (name for name in shown("results.csv") if name.startswith("_kept"))
    assert "INBOX" in Path("results.csv", kept).read_text("utf-8")
    assert "INBOX" not in path.read_text("utf-8")
    assert "is kept as" in caplog.text


def test_an_edited_manifest_is_written_again() -> None:
    assert run(*LINE, "results/") == 0
    before = manifest()
    Path("results/_manifest.json").write_text(json.dumps(before | {"rows": 0}))
    assert run(*LINE, "results/") == 0
    assert manifest() == before
    assert shown() == sorted(["_SUCCESS", "_manifest.json", *(f"{one}.parquet" for one in PARTS)])


@pytest.mark.parametrize("name", ["part-00001.parquet", "_SUCCESS", "_manifest.json"])
def test_what_is_missing_comes_back(name: str) -> None:
    run(*LINE, "results/")
    Path("results", name).unlink()
    run(*LINE, "results/")
    assert shown() == ["_SUCCESS", "_manifest.json", *(f"{one}.parquet" for one in PARTS)]
    assert manifest()["rows"] == 12


def test_a_folder_with_other_files_is_refused() -> None:
    with pytest.raises(UsageError, match=r"holds other files \('00.png'\)|holds other files"):
        run_job(out="inbox/")
    Path("file").touch()
    with pytest.raises(OutputError, match="is a file"):
        run_job(out="file/")
    assert len(os.listdir("inbox")) == 12


def test_two_runs_on_one_folder_end_with_4(capsys: pytest.CaptureFixture[str]) -> None:
    with lock_outputs(["results"]):
        assert run(*LINE, "results/") == BusyError.exit_code
    assert "another run is still writing 'results/'" in capsys.readouterr().err
    assert run(*LINE, "results/") == 0


@pytest.mark.parametrize("option", ["--digits-out", "--new-rows"])
def test_only_the_table_may_be_a_folder(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*LINE, "one.csv", option, "parts/") == 2
    assert "must end in .csv" in capsys.readouterr().err


def test_earlier_parts_within_the_input_are_no_archives() -> None:
    run(*LINE, "inbox/results/")
    summary = run_job(out="one.csv")
    assert summary.skipped["a table of results"] == 3
    assert len(csv_rows("one.csv")) == 12


# --- the other commands ---


@pytest.fixture(name="written", params=["results/", "results.csv/"])
def written_fixture(request: pytest.FixtureRequest) -> Iterator[str]:
    run(*LINE, request.param)
    run(*LINE, "one.csv")
    yield request.param


def test_evaluate_and_compare_take_the_folder(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("truth.csv").write_text("file,value\ninbox/01.png,1\n")
    capsys.readouterr()
    results = []
    for place in ("one.csv", written, written.rstrip("/")):
        assert run("evaluate", place, "--truth", "truth.csv", "--quiet") == 0
        results.append(capsys.readouterr().out)
    assert results[0] == results[1] == results[2]
    assert run("compare", "one.csv", written, "--quiet") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1  # the header alone


@pytest.mark.parametrize("slash", ["/", ""])
@pytest.mark.parametrize("state", [True, False])
def test_corrections_go_into_the_parts(written: str, slash: str, state: bool) -> None:
    place = written.rstrip("/")
    if not state:
        Path(f"{place}.state").unlink()
    before = stand(place)
    copy = outputs.read_table("one.csv")
    copy.loc[6, "value"] = "8" if copy.loc[6, "value"] != "8" else "9"
    copy.to_csv("copy.csv", index=False)
    outcome = correct_table(place + slash, "copy.csv", by="me")
    assert outcome.merged == 1
    merged = outputs.read_table(written)
    assert merged["status"].tolist().count("verified") == 1
    assert merged.loc[6, "value"] == copy.loc[6, "value"]
    after = stand(place)
    suffix = ".csv" if place.endswith(".csv") else ".parquet"
    assert after[f"part-00000{suffix}"] == before[f"part-00000{suffix}"]
    assert Path(f"{place}.corrections.csv").exists()
    if state:
        assert run_job(out=written).unchanged


def test_review_takes_the_folder(written: str) -> None:
    assert run("review", written, "--out", "page.html", "--audit", "2", "--quiet") == 0
    assert "inbox/" in Path("page.html").read_text("utf-8")
    assert Path("page.html").stat().st_mode & 0o111 == 0


def test_a_page_of_a_folder_of_parts(written: str) -> None:
    assert run("evaluate", written, "--html", "page.html", "--quiet") == 0
    assert Path("page.html").stat().st_mode & 0o111 == 0


def test_wide_tables_have_parts_too() -> None:
    run(*LINE, "wide/", "--wide")
    run(*LINE, "wide.csv", "--wide")
    assert outputs.read_table("wide/")["file"].tolist() == [
        row["file"] for row in table("wide.csv")
    ]
