"""The samples are the golden files: the shipped model reads them as `expected.csv` says."""

import csv
from pathlib import Path

import pytest

import batchdigits

ROOT = Path(__file__).parent.parent


def rows(name: str) -> list[dict[str, str]]:
    with (ROOT / "samples" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_samples_are_read_as_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = batchdigits.read("samples", workers=1).to_dict("records")
    expected = rows("expected.csv")
    assert len(found) == len(expected)
    for got, wanted in zip(found, expected, strict=True):
        for column in ("file", "field", "value", "status", "detail"):
            assert got[column] == wanted[column], wanted["file"]
        assert got["page"] == int(wanted["page"])
        if wanted["confidence"]:
            assert got["confidence"] == pytest.approx(float(wanted["confidence"]), abs=0.001)
        else:
            assert got["confidence"] != got["confidence"]  # not a number


def test_expected_agrees_with_the_truth() -> None:
    truth = {(row["file"], row["page"]): row["value"] for row in rows("truth.csv")}
    expected = {(row["file"], row["page"]): row for row in rows("expected.csv")}
    assert set(truth) == set(expected)
    assert all(row["value"] == truth[key] for key, row in expected.items() if row["status"] == "ok")
    assert {row["status"] for row in expected.values()} == {"ok", "review", "blank", "error"}
