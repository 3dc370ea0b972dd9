"""Labelled digits and corpora that several test modules of the training share."""

import csv
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import drawn
from numpy.typing import NDArray

from batchdigits import cli
from batchdigits.labelled import LabelledCrops
from batchdigits.training import corpus
from batchdigits.training.pen import PenCrops, scale_strokes

Pictures = NDArray[np.uint8]


def light(count: int) -> Pictures:
    """Draw digits like those of MNIST: light ink on dark; 0 to 9 in turn."""
    return np.stack([255 - drawn(i % 10, seed=i // 10) for i in range(count)]).astype(np.uint8)


def labelled(count: int, *more: int, first: int = 0) -> LabelledCrops:
    """Drawn digits 0 to 9 in turn, then crosses under the labels `more`."""
    crops = [drawn(n % 10, seed=first + n // 10) for n in range(count)]
    for n, _ in enumerate(more):
        cross = np.full((28, 28), 255, np.uint8)
        cv2.drawMarker(cross, (14, 14 + n % 3), 0, cv2.MARKER_TILTED_CROSS, 12 + n % 5, 2)
        crops.append(cross)
    labels = np.array([*(np.arange(count) % 10), *more], np.int64)
    return LabelledCrops(crops, labels, [f"crop {n}" for n in range(len(crops))])


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def cut(digit: int, seed: int = 0) -> Pictures:
    """A drawn digit as the recipe `default` alters it: ink light on no paper, cut to the ink."""
    (ink,) = corpus.cropped([drawn(digit, seed=seed)])
    return ink


_TURN = np.linspace(0, 2 * np.pi, 24)
_RING = np.column_stack([np.sin(_TURN), np.cos(_TURN)]).tolist()
_PATHS: tuple[list[list[list[float]]], ...] = (
    [[[0.6 * x, y] for x, y in _RING]],
    [[[-0.4, -0.5], [0, -1], [0, 1]]],
    [[[-0.6, -0.6], [0, -1], [0.6, -0.5], [-0.6, 1], [0.7, 1]]],
    [[[-0.6, -0.9], [0.4, -0.9], [0.5, -0.4], [0, 0], [0.6, 0.4], [0.2, 1], [-0.6, 0.9]]],
    [[[-0.1, -1], [-0.7, 0.3], [0.7, 0.3]], [[0.3, -0.2], [0.3, 1]]],
    [[[-0.4, -0.9], [-0.5, -0.1], [0.4, 0], [0.4, 0.9], [-0.6, 0.9]], [[-0.4, -0.9], [0.6, -1]]],
    [[[0.4, -1], [-0.5, 0.2], [-0.3, 0.9], [0.3, 0.9], [0.5, 0.4], [0, 0.1], [-0.5, 0.4]]],
    [[[-0.6, -0.9], [0.6, -0.9], [-0.1, 1]]],
    [[[0.4 * x, 0.45 * y - 0.5] for x, y in _RING], [[0.5 * x, 0.5 * y + 0.5] for x, y in _RING]],
    [[[0.4, -0.5], [0, -1], [-0.4, -0.6], [0, -0.2], [0.4, -0.6], [0.3, 1]]],
)
"""Strokes of each digit, by points x, y, in any unit."""


def pen_strokes(digit: int, seed: int = 0) -> list[NDArray[np.float64]]:
    """A digit as a tablet gives it: strokes in its own units, in another place."""
    chance = random(seed)
    paths = [np.array(path) for path in _PATHS[digit]]
    return [300 * (path + chance.normal(0, 0.03, path.shape)) + (900, 400) for path in paths]


def pen_set(count: int) -> PenCrops:
    """Digits 0 to 9 in turn, as strokes."""
    signs = [scale_strokes(pen_strokes(n % 10, n // 10)) for n in range(count)]
    return PenCrops(signs, np.arange(count) % 10, [f"sign {n}" for n in range(count)])


class AtOnce:
    """Does what a pool of processes would, at once and in this process."""

    def __init__(
        self,
        _most: int,
        _context: object,
        *,
        initializer: Callable[..., None],
        initargs: tuple[Any, ...],
    ) -> None:
        initializer(*initargs)

    def submit(self, work: Callable[..., Any], *given: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*given))
        return done

    def shutdown(self, *, cancel_futures: bool) -> None:
        """There is nothing to end."""


def command(*arguments: object) -> int:
    return cli._run_command_line([str(one) for one in arguments])


@pytest.fixture(name="told")
def told_fixture() -> list[str]:
    return []


def history(place: Path, name: str = "history.csv") -> list[dict[str, str]]:
    return list(csv.DictReader((place / name).read_text().splitlines()))


class Stopped(BaseException):
    """Stands for the exception that a signal raises."""
