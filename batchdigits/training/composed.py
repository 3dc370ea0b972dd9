"""Numbers composed of single digits, always the same: what a reader is measured on."""

import numpy as np

from batchdigits.records import GreyImage
from batchdigits.training.corpus import Corpus
from batchdigits.training.lines import OTHER
from batchdigits.training.strings import Hands


def compose_numbers(
    digits: Corpus, count: int, seed: int | tuple[int, ...]
) -> tuple[list[GreyImage], list[str]]:
    """Compose numbers in which nothing is spoiled.

    Args:
        digits: what they are composed of.
        count: how many.
        seed: the same one gives the same numbers.

    Returns:
        The numbers as scanned, and the digits of each.
    """
    hands, random = Hands(digits), np.random.default_rng(seed)
    crops: list[GreyImage] = []
    truth: list[str] = []
    while len(crops) < count:
        crop, labels = hands.strip(random)
        if OTHER not in labels:
            crops.append(crop)
            truth.append("".join(str(label) for label in labels if label < 10))
    return crops, truth
