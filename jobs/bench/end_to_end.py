"""Digits a second end to end, beside Keras's own folder reader and ONNX Runtime fed by hand.

    python jobs/bench/end_to_end.py mnist.npz [--count 70000] [--rounds 3] [--json FILE]

Writes MNIST digits as PNG files into a temporary folder, a thousand a folder, then reads them by
turns, each way as a whole process from start to end:

- `batchdigits run`, with a state, and again by `--runtime onnx` where that is installed;
- Keras's `image_dataset_from_directory` with `predict` and the same quick network, which decodes,
  resizes and divides by 255 but neither normalises nor writes;
- the same with the tutorials' network `conv3`;
- ONNX Runtime fed by a pool of threads: decode, `normalize`, both networks, a CSV file;
- `batchdigits run` on a folder of which nothing has changed;
- one digit alone, and beside it a bare `import tensorflow`, a model loaded, and one prediction.

Medians and ranges of wall-clock and of processor time: where other work shares the processors, only
the latter can be compared.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

KERAS = """
import sys, keras
folder, model = sys.argv[1:]
data = keras.utils.image_dataset_from_directory(
    folder, labels=None, color_mode="grayscale", image_size=(28, 28), batch_size=256,
    shuffle=False, verbose=False)
model = keras.saving.load_model(model, compile=False)
out = model.predict(data.map(lambda x: x / 255.0), verbose=0)
print(len(out))
"""
ONE = """
import sys, tensorflow, keras, numpy
keras.saving.load_model(sys.argv[1], compile=False).predict(numpy.zeros((1, 28, 28, 1)), verbose=0)
"""
BY_HAND = """
import sys, csv, os, glob
from concurrent.futures import ThreadPoolExecutor
import cv2
from batchdigits import calibrate, normalize, predict
cv2.setNumThreads(1)
folder, out = sys.argv[1:]
files = sorted(glob.glob(os.path.join(folder, "*", "*.png")))
card = predict.load_card(None)
network = predict.load_classifier(card, runtime="onnx")
def read(part):
    crops = [cv2.imread(path, cv2.IMREAD_GRAYSCALE) for path in part]
    return part, normalize.normalize(crops).pictures
parts = [files[n : n + 1024] for n in range(0, len(files), 1024)]
with ThreadPoolExecutor(os.cpu_count()) as pool, open(out, "w", newline="") as file:
    table = csv.writer(file)
    for part, pictures in pool.map(read, parts):
        found = calibrate.predict_digits(network.logits(pictures), card.temperature)
        table.writerows(zip(part, found.digit.tolist(), found.confidence.tolist()))
"""

Figures = dict[str, list[tuple[float, float]]]


def main() -> None:
    """Print a table, and ratios to Keras's own reader."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--count", type=int, default=70_000, help="digits")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where the figures go too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        count = write(given.mnist, place / "inbox", given.count)
        write(given.mnist, place / "one", 1)
        took: Figures = {}
        for _ in range(given.rounds):
            for name, command in list_ways(place).items():
                took.setdefault(name, []).append(measure(command))
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors"
    print(f"{count:,} digits, {given.rounds} rounds, {machine}")
    print(f"{'way':34}{'wall, s':>9}{'range':>16}{'CPU, s':>9}{'range':>16}")
    for name, pairs in took.items():
        columns = [np.array(one) for one in zip(*pairs, strict=True)]
        print(f"{name:34}" + "".join(f"{np.median(c):9.2f}{spell_range(c):>16}" for c in columns))
    print_ratios(took)
    if given.json:
        given.json.write_text(
            json.dumps({"machine": machine, "digits": count, "wall_and_cpu_s": took}, indent=2)
        )


def list_ways(place: Path) -> dict[str, list[str]]:
    """List the commands, by name, in the order in which they are run."""
    from batchdigits.predict import resolve_keras_path

    run = [sys.executable, "-m", "batchdigits", "run"]
    settled = ["--settle", "0", "--quiet"]
    inbox, model = str(place / "inbox"), str(resolve_keras_path(None))
    script = [sys.executable, "-c"]
    first, onnx = str(place / "a.csv"), str(place / "b.csv")
    ways = {
        "batchdigits run": [*run, inbox, "--out", first, "--fresh", *settled],
        "nothing changed": [*run, inbox, "--out", first, *settled],
        "Keras, the same network": [*script, KERAS, inbox, model],
        "Keras, conv3": [*script, KERAS, inbox, make_conv3(place)],
        "one digit": [*run, str(place / "one"), "--out", str(place / "1.csv"), "--fresh", *settled],
        "one digit, bare TensorFlow": [*script, ONE, model],
    }
    if find_spec("onnxruntime"):
        runtime = ["--runtime", "onnx"]
        ways["batchdigits run --runtime onnx"] = [
            *(*run, inbox, "--out", onnx, "--fresh", *settled, *runtime)
        ]
        ways["ONNX Runtime by hand"] = [*script, BY_HAND, inbox, str(place / "hand.csv")]
        ways["one digit --runtime onnx"] = [
            *(*run, str(place / "one"), "--out", str(place / "2.csv"), "--fresh"),
            *(*settled, *runtime),
        ]
    return ways


def make_conv3(place: Path) -> str:
    """Make the tutorials' network `conv3`, untrained; return its path."""
    path = place / "conv3.keras"
    if not path.exists():
        code = (
            "import sys\nfrom batchdigits import predict\npredict.start_keras('cpu')\n"
            "from batchdigits.training.recipes import RECIPES, network\n"
            "network(RECIPES['conv3']).save(sys.argv[1])\n"
        )
        measure([sys.executable, "-c", code, str(path)])
    return str(path)


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command; return its wall-clock and its processor time with all its children, s."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command, check=True, env=environment, **quiet)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, spent


def spell_range(values: np.ndarray) -> str:
    """Spell the least and the most of some values."""
    return f"{values.min():.2f} to {values.max():.2f}"


def print_ratios(took: Figures) -> None:
    """Print how much faster ours is than each peer, by wall-clock and by processor time."""
    pairs = [
        ("batchdigits run", "Keras, conv3"),
        ("batchdigits run", "Keras, the same network"),
        ("batchdigits run", "ONNX Runtime by hand"),
        ("batchdigits run --runtime onnx", "ONNX Runtime by hand"),
        ("batchdigits run --runtime onnx", "Keras, conv3"),
        ("one digit", "one digit, bare TensorFlow"),
        ("one digit --runtime onnx", "one digit, bare TensorFlow"),
    ]
    for ours, peer in pairs:
        if ours in took and peer in took:
            ratios = [
                np.median([b[at] / a[at] for a, b in zip(took[ours], took[peer], strict=True)])
                for at in (0, 1)
            ]
            print(f"{ours} against {peer}: {ratios[0]:.2f} by wall-clock, {ratios[1]:.2f} by CPU")


def write(mnist: Path, inbox: Path, count: int) -> int:
    """Write digits as PNG files, a thousand a folder; return how many."""
    data = np.load(mnist)
    digits = np.concatenate([data["x_train"], data["x_test"]])[:count]
    for n, digit in enumerate(digits):
        folder = inbox / f"{n // 1000:02}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{n:05}.png").write_bytes(cv2.imencode(".png", digit)[1].tobytes())
    return len(digits)


if __name__ == "__main__":
    main()
