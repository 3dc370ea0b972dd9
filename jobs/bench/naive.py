"""Accuracy on digits from sources a model never saw: fed naively against normalised.

    python jobs/bench/naive.py FOLDER [--model PATH]

FOLDER holds mnist.npz (x_test, y_test), usps.npz, ardis.npz, opencv_digits.npz (x, y) and dida.zip
(a folder for each digit). "Naive" is grey, resized to 28 x 28, divided by 255; dark ink on light
paper (DIDA) is inverted by hand, which the tutorials leave to the reader.
"""

import argparse
import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Crops = list[NDArray[np.uint8]]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    given = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from batchdigits import normalize, predict

    classifier = predict.load_classifier(predict.load_card(given.model), device="cpu")

    def share(pictures: NDArray[np.float32], labels: NDArray[np.int64]) -> str:
        right = classifier.logits(pictures).argmax(axis=1) == labels
        return f"{right.mean():.2%}"

    print(f"{'source':16}{'digits':>8}{'naive':>10}{'normalised':>12}")
    for name, crops, labels in sources(given.folder):
        by_hand = name == "dida"
        fed = np.stack([naive(255 - crop if by_hand else crop) for crop in crops])
        pictures = normalize.normalize(crops).pictures
        line = f"{len(crops):8}{share(fed, labels):>10}{share(pictures, labels):>12}"
        print(f"{name:16}{line}", flush=True)


def sources(folder: Path):
    """Yield each source's name, crops and labels."""
    for name in ("mnist", "usps", "ardis", "opencv_digits"):
        data = np.load(folder / f"{name}.npz")
        end = "_test" if name == "mnist" else ""
        yield name, list(data["x" + end]), data["y" + end].astype(np.int64)
    crops, labels = [], []
    with zipfile.ZipFile(folder / "dida.zip") as whole:
        for name in sorted(whole.namelist()):
            if name.endswith(".jpg"):
                crops.append(cv2.imdecode(np.frombuffer(whole.read(name), np.uint8), 0))
                labels.append(int(name.split("/")[-2]))
    yield "dida", crops, np.array(labels)


def naive(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Resize to 28 x 28 and divide by 255."""
    small = cv2.resize(crop, (28, 28), interpolation=cv2.INTER_AREA if min(crop.shape) > 28 else 1)
    return small[..., np.newaxis] / np.float32(255)


if __name__ == "__main__":
    main()
