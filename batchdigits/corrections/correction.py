"""One thing that a person said about one value."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

Answer = Literal["value", "blank", "unreadable", "withdrawn"]
"""What a person said: a value, that nothing is written there, that nobody can read it, or that an
earlier answer no longer holds."""
ANSWERS: tuple[str, ...] = get_args(Answer)
Box = tuple[int, int, int, int]
"""x, y, width, height in the page as scanned, px."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person said about one value; the attributes are the columns of its file.

    Attributes:
        file: the file as the table spelled it, for people.
        page: counted from 1.
        field: its name in the table; empty for an image that is one digit or one number.
        answer: what kind of answer it is.
        value: the value as it is right, digits; empty unless `answer` is `value`.
        said_by: who said so; may be empty.
        said_at: when, as 2026-11-30T14:05:00Z; may be empty.
        how: how the person came to see it: `one` by one, in a `group`, in an `audit`, or in a
            `table`.
        read_value: what the machine had read.
        read_confidence: its confidence, as the table had it; empty if there was none.
        read_status: the status that it had.
        template: the name of the page's template; empty if there is none, or it is not known.
        content: digest of the file's bytes, in hexadecimal; empty if it is not known.
        box: where the field is, as "x y width height", px of the page; empty if it is not known.
    """

    file: str
    page: int
    field: str
    answer: Answer
    value: str = ""
    said_by: str = ""
    said_at: str = ""
    how: str = ""
    read_value: str = ""
    read_confidence: str = ""
    read_status: str = ""
    template: str = ""
    content: str = ""
    box: str = ""

    @property
    def place(self) -> Box | None:
        """The field's box in the page as scanned, px; None if it is not known."""
        if not self.box:
            return None
        left, top, width, height = map(int, self.box.split())
        return left, top, width, height

    @property
    def same_as_read(self) -> bool:
        """Whether the person said what the machine had read."""
        if self.answer == "value":
            return self.value == self.read_value
        return self.answer == "blank" and self.read_status == "blank"


COLUMNS: tuple[str, ...] = tuple(one.name for one in fields(Correction))
"""The columns of a file of corrections, in their order."""
