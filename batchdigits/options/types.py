"""The types of options: choices, paths, shares, and their defaults."""

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Le, MinLen

from batchdigits.options.declaration import InputConverter, ValueCheck

ReadAs = Literal["auto", "digit", "number", "form"]
"""What the images hold; auto decides by each image's size."""
Invert = Literal["auto", "yes", "no"]
"""Whether ink is dark on light paper; auto decides for each crop."""
Runtime = Literal["tensorflow", "onnx"]
"""What runs the networks of single digits: Keras on its backend, or ONNX Runtime."""

Engine = Literal["local", "ray"]
"""What runs the workers: this machine, or a Ray cluster."""

DAY_SECONDS = 86_400
Share = Annotated[float, Ge(0), Le(1)]
Seconds = Annotated[float, Ge(0), Le(DAY_SECONDS)]


def _path_to_text(path: Any) -> Any:
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if isinstance(text, str) and "\0" in text:
        raise ValueError("expected a path, which holds no zero byte")
    return text


def _wrap_single_path(places: Any) -> Any:
    """Return a single path as a list; anything else as it is."""
    return [places] if isinstance(places, str | os.PathLike) else places


def _check_device(device: str) -> str:
    if not re.fullmatch(r"auto|cpu|gpu(:\d{1,3})?", device):
        raise ValueError("expected auto, cpu, gpu, or gpu:N counted from 0")
    return device


Device = Annotated[str, ValueCheck(_check_device)]

AnyPath: TypeAlias = str | os.PathLike[str]
if TYPE_CHECKING:
    from batchdigits.options.declaration import ConvertedField

    NonEmptyPath: TypeAlias = ConvertedField[AnyPath, str]
    OptionalPath: TypeAlias = ConvertedField[AnyPath | None, str | None]
    OptionalNonEmptyPath: TypeAlias = OptionalPath
    PathList: TypeAlias = ConvertedField[AnyPath | Sequence[AnyPath], tuple[str, ...]]
else:
    NonEmptyPath = Annotated[AnyPath, InputConverter(Annotated[str, MinLen(1)], _path_to_text)]
    """A path; kept as str, as are the three below."""
    OptionalPath = Annotated[AnyPath, InputConverter(str, _path_to_text)] | None
    """A path, or None."""
    OptionalNonEmptyPath = NonEmptyPath | None
    """A path that is not empty, or None."""
    PathList = Annotated[
        AnyPath | Sequence[AnyPath], InputConverter(tuple[NonEmptyPath, ...], _wrap_single_path)
    ]
    """One path or several."""

NO_PATH: Any = None
"""The default of an optional path."""
NO_PATHS: Any = ()
"""The default of an optional list of paths."""


def count_processors() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
