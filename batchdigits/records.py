"""The small frozen records that rooms pass to each other."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_FILE_BYTES = 1 << 30
"""Maximum size of a file that is read, bytes."""
MAX_ARCHIVE_BYTES = 1 << 38
"""Maximum size of an archive that is read, bytes: to digest one takes minutes."""

GreyImage = NDArray[np.uint8]
"""A grey picture, uint8, shape (height, width), 0 is black and 255 is white."""

ImageKind = Literal["digit", "number", "form"]
"""What an image holds."""

Status = Literal["ok", "review", "blank", "error", "verified"]
"""The status of a row."""


class Member(NamedTuple):
    """A file within an archive: its bytes, or where the archive has them.

    Attributes:
        size: bytes, unpacked.
        offset: in the archive, of its bytes; in a .zip of the header before them.
        packed: bytes that it takes in a .zip behind that header; None elsewhere.
        is_deflated: whether those are deflated.
        crc: CRC-32 of its bytes, in a .zip.
        data: its bytes, where the archive can only be read from its beginning on.
    """

    size: int
    offset: int = 0
    packed: int | None = None
    is_deflated: bool = False
    crc: int = 0
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the inputs, or something else found in the place of a file.

    Attributes:
        file: its name as the table spells it (see `sources.escape_path`).
        path: its path for the operating system; undecodable bytes are surrogates. Of a member of an
            archive, the path of the archive.
        fault: why it cannot be read, if that is known before it is opened; else empty.
        named: whether an INPUT names it itself, instead of a folder that holds it.
        top: the INPUT in which it was found, as typed; empty if it was named itself.
        listed: how the listing of an object store has it; None for a file of this machine.
        member: where its bytes are, if it is a member of an archive.
        is_archive: whether it is an archive, whose members are read in its place.
    """

    file: str
    path: str
    fault: str = ""
    named: bool = False
    top: str = field(default="", compare=False)
    listed: "FileSnapshot | None" = field(default=None, compare=False)
    member: Member | None = field(default=None, compare=False)
    is_archive: bool = field(default=False, compare=False)


class FileSnapshot(NamedTuple):
    """A file, as it was when it was looked at.

    Attributes:
        file: as in the table.
        size: bytes.
        time: of its last change, ns since 1970.
        sure: 0 if a later change might not show, because the file was written to within the
            clock's resolution before the look. Else the time of the last change of its inode, ns
            since 1970: this differs for a file that takes the name, size and time of another.
        content: a digest of its bytes; None if it was not read, or could not be.
    """

    file: str
    size: int
    time: int
    sure: int = 1
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One decoded page, upright, on white, grey.

    Attributes:
        number: counted from 1 within its file.
        grey: uint8, shape (height, width), as scanned: ink may be dark or light.
        format: of its file, for example "PNG"; a page of a PDF is a page whatever its size.
    """

    number: int
    grey: GreyImage
    format: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A file, or one page of it, that could not be read.

    Attributes:
        page: counted from 1.
        detail: why, in plain words on one line.
        whole: whether the whole file failed, so that not even its number of pages is known.
    """

    page: int
    detail: str
    whole: bool = False


class Row(NamedTuple):
    """One row of the results table; the attributes are its columns, in this order.

    Attributes:
        file: as in `Source.file`.
        page: counted from 1.
        field: its name, from the template or as found; empty for an image that is one digit.
        value: the digits as text; empty for blank and error.
        confidence: probability in [0, 0.9999] that the whole value is right, cut (not rounded)
            to four decimals; None for blank and error.
        status: one of `Status`.
        detail: why the status is not ok, in plain words; empty for ok.
    """

    file: str
    page: int
    field: str
    value: str
    confidence: float | None
    status: Status
    detail: str


class JudgedValue(NamedTuple):
    """The part of a row that judging decides; see `Row`."""

    value: str
    confidence: float | None
    status: Status
    detail: str


class DigitRow(NamedTuple):
    """One digit of a value, as a row of `--digits-out`; the attributes are its columns.

    Attributes:
        file: as in `Source.file`.
        page: counted from 1.
        field: as in `Row.field`.
        position: of its box in the field, counted from 1.
        digit: the likeliest, as text.
        confidence: its probability, as in `Row.confidence`.
        runner_up: the second likeliest.
        runner_up_confidence: its probability, likewise.
        x: left side of the box in the page as scanned, px.
        y: its upper side, px.
        width: of the box, px.
        height: of the box, px.
    """

    file: str
    page: int
    field: str
    position: int
    digit: str
    confidence: float
    runner_up: str
    runner_up_confidence: float
    x: int
    y: int
    width: int
    height: int


class RegisteredPage(NamedTuple):
    """A page of a form that was registered.

    Attributes:
        file: as in `Source.file`.
        page: counted from 1.
        form: the form's name.
        residual: how far printed marks are from where they should be, mm (see `register.Pose`).
        how: what the page was registered by.
    """

    file: str
    page: int
    form: str
    residual: float
    how: str


class CalibrationBin(NamedTuple):
    """Values of known truth with similar confidences (see `calibrate.group_by_confidence`).

    Attributes:
        confidence: the lowest of these confidences, as written in the table, in [0, 1].
        right: how many of the values are right.
        wrong: how many are wrong.
    """

    confidence: float
    right: int
    wrong: int
