"""The samples are the golden files: the shipped model reads them as `expected.csv` says."""

import csv
from pathlib import Path

import pytest

import batchdigits
from batchdigits.evaluate import is_right, match_truth, read_results, read_truth

ROOT = Path(__file__).parent.parent
INPUTS = {
    "samples": ["samples/awkward", "samples/digits", "samples/numbers"],
    "samples/forms": ["samples/forms"],
}
FOLDERS = {"samples": {}, "samples/forms": {"template": "samples/forms/membership.toml"}}
ALL = pytest.mark.parametrize("folder", FOLDERS)


def rows(folder: str) -> list[dict[str, str]]:
    with (ROOT / folder / "expected.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@ALL
def test_samples_are_read_as_expected(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = batchdigits.read(INPUTS[folder], workers=1, **FOLDERS[folder]).to_dict("records")
    expected = rows(folder)
    assert len(found) == len(expected)
    for got, wanted in zip(found, expected, strict=True):
        for column in ("file", "field", "value", "status", "detail"):
            assert got[column] == wanted[column], wanted["file"]
        assert got["page"] == int(wanted["page"])
        if wanted["confidence"]:
            assert got["confidence"] == pytest.approx(float(wanted["confidence"]), abs=0.001)
        else:
            assert got["confidence"] != got["confidence"]  # not a number


@ALL
def test_expected_agrees_with_the_truth(folder: str) -> None:
    truth = read_truth(str(ROOT / folder / "truth.csv"))
    found = match_truth(read_results(str(ROOT / folder / "expected.csv")), truth)
    assert found.unknown == 0
    assert len(found.readings) + found.skipped == len(truth.lines)
    assert is_right(found.readings)[found.readings["status"] == "ok"].all()
    assert set(found.readings["status"]) >= {"ok", "review", "blank"}
