"""What labels mean, and crops with their labels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UsageError
from batchdigits.records import GreyImage

EMPTY_LABEL = -1
"""The label of a crop without ink."""
NO_DIGIT_LABEL = 10
"""The label of a crop with ink that is not a digit."""

Part = Literal["train", "test"]

SKIP_LABEL = -2
_DIGITS = {str(digit): digit for digit in range(10)}
_MEANINGS = _DIGITS | {"empty": EMPTY_LABEL, "none": NO_DIGIT_LABEL, "skip": SKIP_LABEL}
EXPECTED_DATA = (
    "a .npz file (x_train, y_train, x_test, y_test, or x and y, or images and labels), "
    "a folder of IDX files (train-images-idx3-ubyte, …), or a folder of LABEL/*.png"
)


class LabelledCrops(NamedTuple):
    """Crops with their labels; entry n of each attribute belongs to crop n.

    Attributes:
        crops: N grey pictures, uint8, each (height, width) of any size from 1; an array
            (N, height, width) where all have one size.
        labels: int64, shape (N,): 0 to 9, `EMPTY_LABEL`, or `NO_DIGIT_LABEL`.
        names: where each crop comes from, for people.
    """

    crops: Sequence[GreyImage] | NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: Sequence[str]

    def select(self, indices: NDArray[np.int64]) -> "LabelledCrops":
        """Return the entries with the indices `indices`, in that order."""
        return LabelledCrops(
            stack_crops([self.crops[n] for n in indices]),
            self.labels[indices],
            [self.names[n] for n in indices],
        )


Loader = Callable[[Mapping[str, str]], LabelledCrops]


def parse_label_map(text: str) -> dict[str, str]:
    """Parse what labels mean that are not digits, as in `10=empty,ten=empty,x=none,A=3`.

    Args:
        text: label=meaning, separated by commas. A meaning is a digit, `empty` (no ink), `none`
            (ink, but not a digit), or `skip` (leave these crops out).

    Returns:
        The meaning of each label.

    Raises:
        UsageError: `text` has another form, or gives a label two meanings.
    """
    meanings: dict[str, str] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, sign, meaning = (part.strip() for part in pair.rpartition("="))
        if not (sign and name) or meaning not in _MEANINGS:
            raise UsageError(
                f"--labels '{pair}': expected LABEL=MEANING, where the meaning is a digit, empty, "
                "none or skip, as in 10=empty,x=none"
            )
        earlier = meanings.setdefault(name, meaning)
        if earlier != meaning:
            raise UsageError(f"--labels: '{name}' is given two meanings, {earlier} and {meaning}")
    return meanings


def map_labels(written: list[str], names: Mapping[str, str], place: str) -> list[int]:
    """Return the number of each label: 0 to 9, or one of the constants above.

    Args:
        written: the labels, as the set has them.
        names: what labels mean that are not digits, as from `parse_label_map`.
        place: of the set, for the message.

    Raises:
        UsageError: a label is not a digit, and not in `names`.
    """
    known = _DIGITS | {name: _MEANINGS[meaning] for name, meaning in names.items()}
    unknown = [label for label in written if label not in known]
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise UsageError(
            f"'{place}': the label '{unknown[0]}'{more} is no digit 0 to 9: say what it means, "
            f"as in --labels '{unknown[0]}=empty' (or a digit, none, skip)"
        )
    return [known[label] for label in written]


def stack_crops(crops: list[GreyImage]) -> Sequence[GreyImage] | NDArray[np.uint8]:
    """Stack crops into an array, if they have one size."""
    return np.stack(crops) if len({crop.shape for crop in crops}) == 1 else crops
