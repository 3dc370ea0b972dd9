"""Digits a second end to end, beside the same network fed by Keras's own folder reader.

    python jobs/bench/end_to_end.py mnist.npz [--rounds 3]

Writes all 70,000 MNIST digits as PNG files into a temporary folder, then reads them in turns: by
`batchdigits run`, as a whole process from start to table, and by Keras's
`image_dataset_from_directory` with `predict`, likewise a whole process, which decodes, resizes and
divides by 255 but neither normalises nor writes a table.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
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


def main() -> None:
    """Print seconds and digits a second of each, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    from batchdigits.predict import resolve_keras_path

    with tempfile.TemporaryDirectory() as place:
        inbox, out = Path(place, "inbox"), Path(place, "out.csv")
        count = write(given.mnist, inbox)
        script = [sys.executable, "-m", "batchdigits"]
        ours = [
            *script,
            "run",
            str(inbox),
            "--out",
            str(out),
            "--fresh",
            "--settle",
            "0",
            "--quiet",
        ]
        keras = [sys.executable, "-c", KERAS, str(inbox), str(resolve_keras_path(None))]
        took: dict[str, list[float]] = {"batchdigits run": [], "Keras's own reader": []}
        for _ in range(given.rounds):
            for name, line in zip(took, (ours, keras), strict=True):
                begin = time.perf_counter()
                subprocess.run(
                    line,
                    check=True,
                    stdout=subprocess.DEVNULL,
                    env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
                    stderr=subprocess.DEVNULL,
                )
                took[name].append(time.perf_counter() - begin)
        medians = {name: float(np.median(seconds)) for name, seconds in took.items()}
        for name, seconds in medians.items():
            spread = f"{min(took[name]):.1f} to {max(took[name]):.1f}"
            print(f"{name:20}{seconds:7.1f} s ({spread}) {count / seconds:8,.0f} digits a second")
        ours_took, keras_took = medians.values()
        print(f"ratio {keras_took / ours_took:.2f}")


def write(mnist: Path, inbox: Path) -> int:
    """Write the digits as PNG files, a thousand a folder; return how many."""
    data = np.load(mnist)
    digits = np.concatenate([data["x_train"], data["x_test"]])
    for n, digit in enumerate(digits):
        folder = inbox / f"{n // 1000:02}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{n:05}.png").write_bytes(cv2.imencode(".png", digit)[1].tobytes())
    return len(digits)


if __name__ == "__main__":
    main()
