"""Check a wheel before anybody installs it: contents, size, metadata, and that it works.

    pip wheel --no-deps --wheel-dir dist .
    python jobs/release/check_wheel.py dist/batchdigits-*.whl

The wheel is installed into a new environment that has nothing else, but sees the libraries of the
one that runs this. There `--help`, `info`'s texts and a reading by the shipped model are tried,
in an empty folder, without any variable of the environment.
"""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
MAX_BYTES = 25 << 20
"""Of a wheel: most of it is models."""
EXPECTED = (
    "batchdigits/py.typed",
    "batchdigits/layout/turns.npz",
    "batchdigits/training/guard_digits.png",
    "batchdigits/licences/ATTRIBUTION.md",
    *(f"batchdigits/licences/{name}.txt" for name in ("Apache-2.0", "CC-BY-4.0", "CC-BY-SA-3.0")),
    *(f"batchdigits/models/default/{name}.keras" for name in ("model", "careful", "number")),
    "batchdigits/models/default/card.json",
)
SAMPLE, VALUE = ROOT / "samples/digits/00267.png", "1"


def main() -> None:
    """Check a wheel, and say what it is; the first fault ends it."""
    (wheel,) = map(Path, sys.argv[1:])
    size = wheel.stat().st_size
    expect(size <= MAX_BYTES, f"at most {MAX_BYTES} bytes", f"{size}")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = message_from_bytes(archive.read(find_file(names, "METADATA")))
        entry_points = archive.read(find_file(names, "entry_points.txt")).decode()
    check_contents(names)
    check_metadata(metadata, entry_points)
    with TemporaryDirectory() as folder:
        check_installed(wheel, Path(folder))
    print(f"{wheel.name}: {size / 2**20:.1f} MiB, {len(names)} files, works where nothing else is")


def expect(holds: bool, expected: str, found: str) -> None:
    """End with a line that says what was expected and found, unless it holds."""
    if not holds:
        sys.exit(f"the wheel is wrong: expected {expected}, found {found}")


def find_file(names: list[str], name: str) -> str:
    """Return the path of a file of the wheel's own folder."""
    return next(one for one in names if one.endswith(f".dist-info/{name}"))


def check_contents(names: list[str]) -> None:
    """Check that all of the package is there, and nothing but the package."""
    missing = [one for one in EXPECTED if one not in names]
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "batchdigits").rglob("*.py")}
    missing += sorted(modules - set(names))
    expect(not missing, "every file of the package", f"none of {missing}")
    foreign = [one for one in names if not one.startswith(("batchdigits/", "batchdigits-"))]
    foreign += [one for one in names if "__pycache__" in one]
    expect(not foreign, "nothing but the package", f"{foreign}")


def check_metadata(metadata: Message, entry_points: str) -> None:
    """Check what pip and an index read."""
    wanted = {"Name": "batchdigits", "License-Expression": "MIT", "Requires-Python": ">=3.11"}
    for key, value in wanted.items():
        expect(metadata[key] == value, f"{key} {value}", str(metadata[key]))
    files = metadata.get_all("License-File") or []
    texts = {"LICENSE", "batchdigits/licences/ATTRIBUTION.md"}
    expect(texts <= set(files), f"{sorted(texts)} as License-File", f"{files}")
    expect("# batchdigits" in str(metadata.get_payload()), "the README", "another description")
    line = "batchdigits = batchdigits.cli:main"
    expect(line in entry_points, f"the command {line!r}", entry_points)


def check_installed(wheel: Path, folder: Path) -> None:
    """Install the wheel alone, and use it as somebody would."""
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-index", str(wheel)], check=True)
    libraries = next((folder / "venv").glob("lib/python*/site-packages")) / "libraries.pth"
    libraries.write_text(f"{sysconfig.get_path('purelib')}\n")
    command, empty = folder / "venv" / "bin" / "batchdigits", folder / "empty"
    empty.mkdir()

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [command, *arguments], cwd=empty, env={}, capture_output=True, text=True, check=False
        )
        expect(done.returncode == 0, f"{arguments} to end well", done.stderr)
        return done.stdout

    expect("run" in run("--help"), "--help to list commands", "nothing")
    expect(run("--version").startswith("batchdigits "), "a version", "none")
    row = run("run", str(SAMPLE), "--out", "-").splitlines()[-1].split(",")
    expect(row[3] == VALUE and row[5] == "ok", f"{VALUE} to be read", ",".join(row))


if __name__ == "__main__":
    main()
