"""Loose files beside the same files in archives: rate, memory, and what each file costs alone.

    python jobs/bench/archives.py mnist.npz [--members 10000 100000] [--forms loose tar zip]

The crops are MNIST's as PNG files, no two alike. For each number of them and each form it prints
how long a run takes from start to table, by the clock and in the processors of all its processes
(which other programs disturb less), the peak of memory (as `jobs/bench/memory.py` counts it),
how long the next run takes that finds nothing changed, and the size on disk. Then, for the first
number, what it takes to list, open and read loose files beside reading one tar from its beginning
to its end, and to fetch them over HTTP from this machine one by one beside fetching the tar by
parts of 8 MiB: without any distance, what is left is the cost of a request.
"""

import argparse
import http.client
import http.server
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from memory import family, taken
from numpy.typing import NDArray

FORMS = ("loose", "tar", "zip", "tar.gz", "parquet")
EVERY = 0.1
"""s between two looks at memory."""
PART_BYTES = 8 << 20
THEN = time.time() - 3600


def main() -> None:
    """Print a line for each form and number of crops, then what files cost alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path, help=".npz with x_train")
    parser.add_argument("--members", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    given = parser.parse_args()
    digits = np.load(given.mnist)["x_train"]
    titles = ("s", "a second", "CPU s", "MiB", "again, s", "MB")
    print(f"{'form':8}{'members':>10}{''.join(f'{one:>10}' for one in titles)}")
    for count in given.members:
        for form in given.forms:
            with tempfile.TemporaryDirectory() as folder:
                bench_form(Path(folder), form, digits, count)
    with tempfile.TemporaryDirectory() as folder:
        bench_files(Path(folder), digits, given.members[0])


def make_crops(digits: NDArray[np.uint8], count: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and PNG of each crop: the rounds of MNIST differ in a pixel of the margin."""
    for n in range(count):
        paper = 255 - digits[n % len(digits)]
        paper[0, 0] -= n // len(digits)
        yield f"{n // 1000:04}/{n:07}.png", cv2.imencode(".png", paper)[1].tobytes()


def write_loose(folder: Path, crops: Iterator[tuple[str, bytes]]) -> None:
    """Write the crops as files, a thousand a folder."""
    for name, data in crops:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (THEN, THEN))


def write_archive(path: Path, form: str, crops: Iterator[tuple[str, bytes]]) -> None:
    """Write the crops as one archive."""
    if form == "parquet":
        write_parquet(path, crops)
    elif form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
            for name, data in crops:
                packed.writestr(name, data)
    else:
        packing = {"mode": "w:gz", "compresslevel": 1} if form == "tar.gz" else {"mode": "w"}
        with tarfile.open(path, **packing) as archive:
            for name, data in crops:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
                archive.members.clear()  # it would keep a million of them
    os.utime(path, (THEN, THEN))


def write_parquet(path: Path, crops: Iterator[tuple[str, bytes]]) -> None:
    """Write the crops as a Parquet file, a thousand in a row group, as data sets have them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", kind)])
    with pq.ParquetWriter(path, schema) as writer:
        group: list[dict[str, object]] = []
        for name, data in crops:
            group.append({"bytes": data, "path": name})
            if len(group) == 1000:
                writer.write_table(pa.table({"image": pa.array(group, kind)}))
                group = []
        if group:
            writer.write_table(pa.table({"image": pa.array(group, kind)}))


def bench_form(folder: Path, form: str, digits: NDArray[np.uint8], count: int) -> None:
    """Write the crops in a form, read them twice, and print how that went."""
    inbox = folder / "in"
    inbox.mkdir()
    crops = make_crops(digits, count)
    if form == "loose":
        write_loose(inbox, crops)
    else:
        write_archive(inbox / f"crops.{form}", form, crops)
    took, spent, most = run(folder)
    rows = (folder / "results.csv").read_bytes().count(b"\n") - 1
    if rows != count:
        sys.exit(f"expected {count:,} rows, got {rows:,}")
    again, *_ = run(folder)
    size = sum(one.stat().st_size for one in inbox.rglob("*") if one.is_file())
    print(
        f"{form:8}{count:>10,}{took:>10.1f}{count / took:>10,.0f}{spent:>10.1f}"
        f"{most / 2**20:>10.0f}{again:>10.1f}{size / 1e6:>10.0f}",
        flush=True,
    )


def run(folder: Path) -> tuple[float, float, float]:
    """Run once; return how long it took and what processors spent, s, and its peak, bytes."""
    command = [sys.executable, "-m", "batchdigits", "run", "in", "--out", "results.csv", "--quiet"]
    begin, before, most = time.monotonic(), os.times(), 0.0
    process = subprocess.Popen(command, cwd=folder)
    while process.poll() is None:
        most = max(most, sum(map(taken, family(process.pid))))
        time.sleep(EVERY)
    if process.returncode not in (0, 3):
        sys.exit(f"expected a run to end well, got {process.returncode}")
    after = os.times()
    spent = sum(after[2:4]) - sum(before[2:4])  # of children that have ended, and theirs
    return time.monotonic() - begin, spent, most


def bench_files(folder: Path, digits: NDArray[np.uint8], count: int) -> None:
    """Print what files cost alone, without being read as digits."""
    write_loose(folder / "loose", make_crops(digits, count))
    write_archive(folder / "crops.tar", "tar", make_crops(digits, count))
    print(f"\n{count:,} crops, nothing but their bytes")
    for name, call in (
        ("list, open and read loose files", partial(read_loose, folder / "loose")),
        ("read one tar", partial(read_whole, folder / "crops.tar")),
        ("fetch loose files over HTTP", partial(fetch, folder, "loose")),
        ("fetch one tar over HTTP by parts", partial(fetch, folder, "tar")),
    ):
        took, requests = time_call(call)
        print(f"{name:34}{took:>8.3f} s{requests:>10,} files or requests")


def time_call(call: Callable[[], int]) -> tuple[float, int]:
    """Return the least of three times, s, and what the call returns."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        requests = call()
        times.append(time.perf_counter() - begin)
    return min(times), requests


def read_loose(folder: Path) -> int:
    """Read every file below a folder; return how many there are."""
    count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            count += bool(Path(place, name).read_bytes())
    return count


def read_whole(path: Path) -> int:
    """Read a file in pieces."""
    with path.open("rb") as file:
        while file.read(PART_BYTES):
            pass
    return 1


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, whole or a part."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        """Send a file, or the part that is asked for."""
        data = Path(self.translate_path(self.path))
        start, _, stop = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        with data.open("rb") as file:
            file.seek(int(start))
            piece = file.read(int(stop) - int(start) + 1 if stop else -1)
        self.send_response(206 if stop else 200)
        self.send_header("Content-Length", str(len(piece)))
        self.end_headers()
        self.wfile.write(piece)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def fetch(folder: Path, form: str) -> int:
    """Fetch loose files, or the tar by parts, over one connection; return the requests."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    line = http.client.HTTPConnection("127.0.0.1", server.server_port)
    line.connect()
    asked: list[tuple[str, str]] = []
    if form == "loose":
        paths = sorted((folder / "loose").rglob("*.png"))
        asked = [(f"/{path.relative_to(folder)}", "") for path in paths]
    else:
        size = (folder / "crops.tar").stat().st_size
        starts = range(0, size, PART_BYTES)
        asked = [("/crops.tar", f"bytes={one}-{one + PART_BYTES - 1}") for one in starts]
    for path, part in asked:
        line.request("GET", path, headers={"Range": part} if part else {})
        line.getresponse().read()
    line.close()
    server.shutdown()
    server.server_close()
    return len(asked)


if __name__ == "__main__":
    main()
