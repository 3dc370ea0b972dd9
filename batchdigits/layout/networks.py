"""Small networks that look at signs one by one: their weights, and how they are run.

Two convolutions of stride 2 and two dense layers are few enough to need no other library here,
where none may be imported that takes seconds.
"""

import hashlib
from functools import cache
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray

from batchdigits.records import GreyImage

SIGN_SIDE = 20
"""px: the longest side of a sign as a network sees it."""


def fit_sign(part: GreyImage) -> GreyImage:
    """Bring a sign, ink light, cut to its ink, into the middle of 20 x 20 px."""
    scale = SIGN_SIDE / max(part.shape)
    wide, high = (max(1, round(side * scale)) for side in part.shape[::-1])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out = np.zeros((SIGN_SIDE, SIGN_SIDE), np.uint8)
    top, left = (SIGN_SIDE - high) // 2, (SIGN_SIDE - wide) // 2
    out[top : top + high, left : left + wide] = cv2.resize(part, (wide, high), interpolation=how)
    return out


@cache
def hash_weights(name: str) -> str:
    """Return a digest of a network's file, in hexadecimal."""
    data = resources.files("batchdigits.layout").joinpath(name).read_bytes()
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@cache
def _load_weights(name: str) -> dict[str, NDArray[np.float32]]:
    with resources.files("batchdigits.layout").joinpath(name).open("rb") as file:
        found = np.load(file)
        return {held: found[held].astype(np.float32) for held in found.files}


def run_network(name: str, signs: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Run a network of `jobs/train/turns.py`: signs, (N, 20, 20) → logits, (N, 5).

    Args:
        name: of its file of weights.
        signs: 0 to 255, as from `fit_sign`.
    """
    held = _load_weights(name)
    shown = signs[..., np.newaxis].astype(np.float32) / np.float32(255)
    first = _convolve_maps(shown, held["first"], held["first_bias"])
    second = _convolve_maps(first, held["second"], held["second_bias"])
    hidden = np.maximum(second.reshape(len(signs), -1) @ held["third"] + held["third_bias"], 0)
    return np.asarray(hidden @ held["fourth"] + held["fourth_bias"], np.float64)


def _convolve_maps(
    maps: NDArray[np.float32], kernel: NDArray[np.float32], bias: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Convolve maps (N, S, S, C) with stride 2 and cut off below 0, as TensorFlow pads "same"."""
    side = kernel.shape[0]
    before = (side - 2) // 2
    around = (before, side - 2 - before)
    padded = np.pad(maps, ((0, 0), around, around, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    flat = windows[:, ::2, ::2].transpose(0, 1, 2, 4, 5, 3).reshape(-1, kernel[..., 0].size)
    out = flat @ kernel.reshape(flat.shape[1], -1) + bias
    maps_side = maps.shape[1] // 2
    shape = len(maps), maps_side, maps_side, -1
    return np.asarray(np.maximum(out, 0).reshape(shape), np.float32)
