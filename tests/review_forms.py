"""An inbox with forms for the tests of what people say about them."""

import shutil
from pathlib import Path

import pytest
from cli_runs import run, table

ROOT = Path(__file__).parent.parent
SCANS = ("01-scan.png", "05-coarse.png")
KEPT = "out.csv.corrections.csv"


def copy_scans(*names: str) -> None:
    for name in names or SCANS:
        shutil.copy(ROOT / "samples/forms" / name, f"inbox/{name}")
    shutil.copy(ROOT / "samples/forms/membership.toml", "form.toml")


def read_forms(*options: str, out: str = "out.csv", template: str | None = "form.toml") -> None:
    form = () if template is None else ("--template", template)
    assert run("run", "inbox", *form, "--out", out, "--workers", "0", "-q", *options) == 0


def row(field: str, file: str = "inbox/01-scan.png", path: str = "out.csv") -> dict[str, str]:
    (found,) = (one for one in table(path) if (one["file"], one["field"]) == (file, field))
    return found


def say(text: str, name: str = "said.csv") -> str:
    Path(name).write_text(text)
    return name


@pytest.fixture(name="forms")
def forms_fixture(inbox: Path, fake_classifier: object) -> None:
    copy_scans()
    read_forms()
