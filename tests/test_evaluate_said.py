"""What people said measures the machine: errors among sure values, and a calibration."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_runs import Capture, run

from batchdigits.calibrate import load_audit_table
from batchdigits.corrections import Correction, append_corrections

RESULTS = "file,page,field,value,confidence,status,detail\n"


@pytest.fixture(name="audited")
def audited_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a table of 1,000 sure and 20 doubtful values; of 200 drawn, 4 are wrong."""
    monkeypatch.chdir(tmp_path)
    sure = [f"in/{n:04}.png,1,,7,0.9990,ok,\n" for n in range(1000)]
    doubtful = [f"in/x{n:03}.png,1,,7,0.5000,review,under 0.9\n" for n in range(20)]
    Path("out.csv").write_text(RESULTS + "".join(sure + doubtful))
    said = [
        Correction(
            f"in/{n:04}.png", 1, "", "value", "1" if n < 4 else "7", how="audit",
            read_value="7", read_confidence="0.9990", read_status="ok",
        )
        for n in range(200)
    ]  # fmt: skip
    said += [
        Correction(
            f"in/x{n:03}.png", 1, "", "value", "1" if n < 10 else "7", how="one",
            read_value="7", read_confidence="0.5000", read_status="review",
        )
        for n in range(20)
    ]  # fmt: skip
    said.append(
        Correction(
            "in/0500.png", 1, "", "value", "1", how="group",
            read_value="7", read_confidence="0.9990", read_status="ok",
        )
    )  # fmt: skip
    append_corrections("out.csv.corrections.csv", said)


@pytest.mark.usefixtures("audited")
def test_a_random_sample_measures_the_silent_errors(capsys: Capture) -> None:
    assert run("evaluate", "out.csv", "--out", "report", "-q") == 0
    lines = capsys.readouterr().out.splitlines()
    (start,) = (n for n, line in enumerate(lines) if line.startswith("silent errors"))
    figures = {line[:29].strip(): line[29:].split() for line in lines[start + 1 :]}
    assert figures["wrong among audited"][:2] == ["4.0000", "200"]
    share, low, high = map(float, figures["wrong among audited"][2:])
    assert (share, low < 0.02 < high) == (0.02, True)
    assert np.allclose([low, high], [0.0055, 0.0504], atol=1e-4)  # Clopper and Pearson
    assert figures["promised among audited"][0] == "0.2000"
    assert figures["expected wrong among all ok"][:2] == ["20.0000", "1000"]
    assert figures["promised among all ok"][0] == "1.0000"


@pytest.mark.usefixtures("audited")
def test_the_sample_is_a_calibration_and_what_was_chosen_is_not() -> None:
    assert run("evaluate", "out.csv", "--out", "report", "-q") == 0
    table = pd.read_csv("report/calibration.csv")
    assert len(table) == 220
    bins = load_audit_table("report/calibration.csv")
    assert [tuple(one) for one in bins] == [(0.999, 196, 4), (0.5, 10, 10)]


@pytest.mark.usefixtures("audited")
def test_without_a_sample_nothing_is_claimed(capsys: Capture) -> None:
    text = Path("out.csv.corrections.csv").read_text()
    Path("said.csv").write_text(text.replace(",audit,", ",one,"))
    assert run("evaluate", "out.csv", "--corrections", "said.csv", "--out", "report") == 0
    shown = capsys.readouterr()
    assert "silent errors" not in shown.out
    assert "`batchdigits review --audit 200` draws some at random" in shown.err
    assert not Path("report/calibration.csv").exists()


@pytest.mark.usefixtures("audited")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--corrections", "none.csv"), "cannot be read"),
        (("--corrections", "a.csv", "--truth", "b.csv"), "are both given: expected one"),
        (("--corrections", "bare.csv"), "has no answer beside what was read"),
    ],
)
def test_what_is_no_use_is_refused(
    arguments: tuple[str, ...], reason: str, capsys: Capture
) -> None:
    Path("bare.csv").write_text("file,answer\nin/0001.png,blank\n")
    assert run("evaluate", "out.csv", *arguments) == 2
    assert reason in capsys.readouterr().err


def test_what_a_person_gave_is_no_promise_of_the_machine() -> None:
    from batchdigits.evaluate import compute_metrics

    readings = pd.DataFrame(
        {
            "file": ["a.png", "b.png"],
            "page": 1,
            "field": "",
            "value": ["7", "7"],
            "confidence": [0.95, 0.9999],
            "status": ["ok", "verified"],
            "truth": ["7", "1"],
        }
    )
    bands = compute_metrics(readings).bands
    assert bands["n"].sum() == 1
    assert bands["observed"].sum() == 0
