"""What options are of: the choices, paths and shares that a user may give, and their defaults."""

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Le, MinLen

from batchdigits.options.declaration import Check, Convert

As = Literal["auto", "digit", "number", "form"]
"""What the images hold, as the user says; auto goes by each image's size."""
Invert = Literal["auto", "yes", "no"]
"""Whether ink is dark on light paper, as the user says; auto decides for each crop."""

DAY = 86_400
"""Seconds."""
Share = Annotated[float, Ge(0), Le(1)]
Seconds = Annotated[float, Ge(0), Le(DAY)]


def _as_text(path: Any) -> Any:
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if isinstance(text, str) and "\0" in text:
        raise ValueError("expected a path, which holds no zero byte")
    return text


def _as_list(places: Any) -> Any:
    """Take one path for a list of one."""
    return [places] if isinstance(places, str | os.PathLike) else places


def _check_device(device: str) -> str:
    if not re.fullmatch(r"auto|cpu|gpu(:\d{1,3})?", device):
        raise ValueError("expected auto, cpu, gpu, or gpu:N counted from 0")
    return device


Device = Annotated[str, Check(_check_device)]

AnyPath: TypeAlias = str | os.PathLike[str]
if TYPE_CHECKING:
    from batchdigits.options.declaration import Converted

    Place: TypeAlias = Converted[AnyPath, str]
    MaybePath: TypeAlias = Converted[AnyPath | None, str | None]
    MaybePlace: TypeAlias = MaybePath
    Places: TypeAlias = Converted[AnyPath | Sequence[AnyPath], tuple[str, ...]]
else:
    Place = Annotated[AnyPath, Convert(Annotated[str, MinLen(1)], _as_text)]
    """A path; kept as str, as the three below."""
    MaybePath = Annotated[AnyPath, Convert(str, _as_text)] | None
    """A path, or None."""
    MaybePlace = Place | None
    """A path that is not empty, or None."""
    Places = Annotated[AnyPath | Sequence[AnyPath], Convert(tuple[Place, ...], _as_list)]
    """One path or several."""

NONE: Any = None
"""The default of a path that may be left out."""
EMPTY: Any = ()
"""The default of several that may be left out."""


def processors() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
