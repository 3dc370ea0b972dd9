"""The pages of an inbox in parts: each is read by networks that learned from the others."""

import numpy as np
from numpy.typing import NDArray

FOLD_COUNT = 3


def part_pages(
    digit_pages: NDArray[np.int64], number_pages: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """Return the part of each page, 0 to `FOLD_COUNT` - 1, shape (pages,).

    Each part has about as many pages with digits, and as many with numbers.

    Args:
        digit_pages: of each digit, counted from 0.
        number_pages: of each number.
        seed: the same one gives the same parts.
    """
    count = int(max(digit_pages.max(initial=-1), number_pages.max(initial=-1))) + 1
    pages = np.arange(count)
    kinds = np.isin(pages, number_pages).astype(np.int64) - np.isin(pages, digit_pages)
    order = np.lexsort((np.random.default_rng(seed).permutation(count), kinds))
    folds = np.empty(count, np.int64)
    folds[order] = pages % FOLD_COUNT
    return folds
