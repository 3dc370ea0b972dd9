"""Rows, and the tables that they must become, for the test modules of outputs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from batchdigits import outputs
from batchdigits.outputs import (
    open_table_writer,
)
from batchdigits.records import Row

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="Linux has /proc, and names of any bytes"
)


FORMATS = [".csv", ".tsv", ".jsonl", ".parquet", ".xlsx"]


TRICKY = [
    Row("./inbox/a.png", 1, "", "007", 0.99, "ok", ""),
    Row('./inbox/b,"c".tif', 2, "member_id", "00120", 0.5, "review", 'under the threshold; "5"?'),
    Row("inbox/Größe 値.pdf", 12, "box_001", "", None, "blank", ""),
    Row("s3://b/x\\x0a.png", 1, "", "", None, "error", "=cmd|' /C calc'!A0\r\nsecond line"),
]
GOLDEN_CSV = """\
file,page,field,value,confidence,status,detail
./inbox/a.png,1,,007,0.9900,ok,
"./inbox/b,""c"".tif",2,member_id,00120,0.5000,review,"under the threshold; ""5""?"
inbox/Größe 値.pdf,12,box_001,,,blank,
s3://b/x\\x0a.png,1,,,,error,'=cmd|' /C calc'!A0  second line
"""
GOLDEN = {
    ".csv": GOLDEN_CSV,
    ".tsv": """\
file	page	field	value	confidence	status	detail
./inbox/a.png	1		007	0.9900	ok	
"./inbox/b,""c"".tif"	2	member_id	00120	0.5000	review	"under the threshold; ""5""?"
inbox/Größe 値.pdf	12	box_001			blank	
s3://b/x\\x0a.png	1				error	'=cmd|' /C calc'!A0  second line
""",  # noqa: W291 (the tabs at the ends of lines are empty columns)
    ".jsonl": r"""{"file": "./inbox/a.png", "page": 1, "field": "", "value": "007", """
    r""""confidence": 0.99, "status": "ok", "detail": ""}
{"file": "./inbox/b,\"c\".tif", "page": 2, "field": "member_id", "value": "00120", """
    r""""confidence": 0.5, "status": "review", "detail": "under the threshold; \"5\"?"}
{"file": "inbox/Größe 値.pdf", "page": 12, "field": "box_001", "value": "", """
    r""""confidence": null, "status": "blank", "detail": ""}
{"file": "s3://b/x\\x0a.png", "page": 1, "field": "", "value": "", """
    r""""confidence": null, "status": "error", "detail": "'=cmd|' /C calc'!A0  second line"}
""",
}
GOLDEN_EXCEL = {
    (".csv", False): """\
\ufefffile,page,field,value,confidence,status,detail
"./inbox/a.png",1,"","\t007","0.9900","ok",""
"./inbox/b,""c"".tif",2,"member_id","\t00120","0.5000","review","under the threshold; ""5""?"
"inbox/Größe 値.pdf",12,"box_001","","","blank",""
"s3://b/x\\x0a.png",1,"","","","error","'=cmd|' /C calc'!A0  second line"
""",
    (".csv", True): """\
\ufefffile;page;field;value;confidence;status;detail
"./inbox/a.png";1;"";"\t007";"0,9900";"ok";""
"./inbox/b,""c"".tif";2;"member_id";"\t00120";"0,5000";"review";"under the threshold; ""5""?"
"inbox/Größe 値.pdf";12;"box_001";"";"";"blank";""
"s3://b/x\\x0a.png";1;"";"";"";"error";"'=cmd|' /C calc'!A0  second line"
""",
    (".tsv", True): """\
\ufefffile\tpage\tfield\tvalue\tconfidence\tstatus\tdetail
"./inbox/a.png"\t1\t""\t"\t007"\t"0,9900"\t"ok"\t""
"./inbox/b,""c"".tif"\t2\t"member_id"\t"\t00120"\t"0,5000"\t"review"\t"under the threshold; ""5""?"
"inbox/Größe 値.pdf"\t12\t"box_001"\t""\t""\t"blank"\t""
"s3://b/x\\x0a.png"\t1\t""\t""\t""\t"error"\t"'=cmd|' /C calc'!A0  second line"
""",
}
"""What spreadsheets open, by suffix, without and with decimal commas."""


@pytest.fixture(name="here", autouse=True)
def here_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # slow, and the subject of one test only
    return tmp_path


def put(out: str, rows: list[Row], **more: bool) -> bytes:
    with open_table_writer(out, **more) as write:
        write(rows)
    return Path(out).read_bytes()


def many(count: int) -> list[Row]:
    return [Row(f"in/{i:06}.png", 1, "", f"{i % 10}", 0.9, "ok", "") for i in range(count)]


CODE = """
import random, sys
from batchdigits.errors import OutputError
from batchdigits.records import DigitRow, Row
from batchdigits.outputs import open_table_writer

def some(count):
    for i in range(count):
        yield Row(f"in/{random.randbytes(40).hex()}", 1, "", "7", 0.9, "ok", "")
"""
HOUSE = {"PYTHONPATH": str(Path(outputs.__file__).parents[2]), "PYTHONUNBUFFERED": ""}


def start(code: str, **more: Any) -> subprocess.Popen[str]:
    """Start `code` in a new Python process; `env` is added to this process's environment."""
    env = os.environ | HOUSE | more.pop("env", {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    return subprocess.Popen([sys.executable, "-c", CODE + code], env=env, encoding="utf-8", **pipes)


def python(code: str, **more: Any) -> tuple[int, str, str]:
    """Run `code` to its end; return the exit code, standard output and standard error."""
    with start(code, **more) as run:
        out, err = run.communicate(timeout=60)
    return run.returncode, out, err
