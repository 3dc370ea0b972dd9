"""Archives of drawn digits, whole and spoilt, made in memory."""

import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
from conftest import drawn, resolve

from batchdigits.run import Summary, run_job

OUT = "results.csv"
Members = Iterable[tuple[str, bytes]]


def png(digit: int, seed: int = 0) -> bytes:
    return bytes(cv2.imencode(".png", drawn(digit, seed=seed))[1].tobytes())


def digits(*names: str) -> list[tuple[str, bytes]]:
    """Return a digit for each name, no two alike."""
    return [(name, png(n % 10, seed=n)) for n, name in enumerate(names)]


def make_tar(path: str, members: Members, mode: str = "w", **options: Any) -> None:
    with tarfile.open(path, mode, **options) as archive:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def make_zip(path: str, members: Members, how: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in members:
            archive.writestr(name, data)


def make_parquet(path: str, members: Members, **options: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [{"bytes": data, "path": name} for name, data in members]
    pq.write_table(pa.table({"image": images, "label": [0] * len(images)}), path, **options)


def make_archive(path: str, members: Members) -> None:
    """Make an archive of the kind that its suffix names."""
    if path.endswith(".zip"):
        make_zip(path, members)
    elif path.endswith(".parquet"):
        make_parquet(path, members)
    else:
        make_tar(path, members, "w" if path.endswith(".tar") else "w:gz")


def run(*inputs: str, out: str = OUT, **options: Any) -> Summary:
    """Run as the command line does."""
    return run_job(resolve(*inputs, **{"settle": 0, "out": out, **options}))


def rows(out: str = OUT) -> list[tuple[str, str, str]]:
    """Return file, value and status of each row, in order."""
    lines = Path(out).read_text("utf-8").splitlines()[1:]
    return [(line.split(",")[0], line.split(",")[3], line.split(",")[5]) for line in lines]


def details(out: str = OUT) -> dict[str, str]:
    """Return the detail of each error row, by file."""
    import csv

    with Path(out).open(encoding="utf-8", newline="") as file:
        return {
            row["file"]: row["detail"] for row in csv.DictReader(file) if row["status"] == "error"
        }
