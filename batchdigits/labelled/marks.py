"""What labels mean, and the record in which crops travel with them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UsageError
from batchdigits.records import GreyImage

EMPTY_LABEL = -1
"""The label of a crop without ink."""
NO_DIGIT_LABEL = 10
"""The label of a crop with ink that is no digit."""

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
        crops: N grey pictures, uint8, each (height, width), both at least 1, of any sizes; an
            array (N, height, width) where all are alike.
        labels: int64, shape (N,): 0 to 9, `EMPTY_LABEL`, or `NO_DIGIT_LABEL`.
        names: where each comes from, for people.
    """

    crops: Sequence[GreyImage] | NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: Sequence[str]

    def select(self, chosen: NDArray[np.int64]) -> "LabelledCrops":
        """Give the entries at the places `chosen`, in that order."""
        return LabelledCrops(
            stack_crops([self.crops[n] for n in chosen]),
            self.labels[chosen],
            [self.names[n] for n in chosen],
        )


Loader = Callable[[Mapping[str, str]], LabelledCrops]


def parse_label_map(text: str) -> dict[str, str]:
    """Read what labels that are no digits mean, as in `10=empty,ten=empty,x=none,A=3`.

    Args:
        text: label=meaning, separated by commas; a meaning is a digit, `empty` (no ink), `none`
            (ink, but no digit), or `skip` (leave these out).

    Raises:
        UsageError: it is none such, or names a label twice.
    """
    out: dict[str, str] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, sign, meaning = (one.strip() for one in pair.rpartition("="))
        if not (sign and name) or meaning not in _MEANINGS:
            raise UsageError(
                f"--labels '{pair}': expected LABEL=MEANING, where the meaning is a digit, empty, "
                "none or skip, as in 10=empty,x=none"
            )
        if out.setdefault(name, meaning) != meaning:
            raise UsageError(f"--labels: '{name}' is given two meanings, {out[name]} and {meaning}")
    return out


def map_labels(marks: list[str], names: Mapping[str, str], place: str) -> list[int]:
    """Say what each label means, as a number.

    Raises:
        UsageError: one is no digit, and not in `list_numbered_paths`.
    """
    known = _DIGITS | {name: _MEANINGS[meaning] for name, meaning in names.items()}
    strange = [mark for mark in marks if mark not in known]
    if strange:
        more = f" (and {len(strange) - 1} more)" if len(strange) > 1 else ""
        raise UsageError(
            f"'{place}': the label '{strange[0]}'{more} is no digit 0 to 9: say what it means, "
            f"as in --labels '{strange[0]}=empty' (or a digit, none, skip)"
        )
    return [known[mark] for mark in marks]


def stack_crops(crops: list[GreyImage]) -> Sequence[GreyImage] | NDArray[np.uint8]:
    """Make one array of crops of one size."""
    return np.stack(crops) if len({crop.shape for crop in crops}) == 1 else crops
