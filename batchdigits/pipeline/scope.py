"""Which files of a state belong to a run's INPUTs, however these are spelled."""

import functools
import os
from collections.abc import Iterable, Iterator

from batchdigits.sources import spell, unspell


class Scope:
    """The INPUTs of a run, as folders and files whose rows its table holds."""

    def __init__(self, inputs: Iterable[str]) -> None:
        """Take the INPUTs as typed or listed; none of them needs to be there."""
        self._inputs = list(inputs)
        self._files = {spell(path) for path in self._inputs}
        self._folders = tuple(spell(os.path.join(path, "")) for path in self._inputs)
        self._real_folder = functools.cache(os.path.realpath)

    def name(self, file: str) -> str:
        """Return the name that a known file has in the table of this run.

        Args:
            file: as the table of an earlier run spells it; it may be gone.

        Returns:
            The first INPUT that holds it, as typed, with the path below it, spelled; empty where no
            INPUT holds it.
        """
        below = file.startswith(self._folders) and "/../" not in file  # that may lead out again
        held = file in self._files or below
        if held and not self._overlap:
            return file
        return self._respell(file) or (file if held else "")

    def _respell(self, file: str) -> str:
        path = os.fsdecode(unspell(file))
        found = [
            (self._places[folder], below)
            for place in dict.fromkeys((_absolute(path), self._real(path)))
            for folder, below in _above(place)
            if folder in self._places
        ]
        if not found:
            return ""
        at, below = min(found)  # a file is met in the first INPUT that holds it
        return spell(os.path.join(self._inputs[at], below) if below else self._inputs[at])

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        """Give the index of each INPUT by its absolute and its real path; the first typed wins."""
        found: dict[str, int] = {}
        for at, path in enumerate(self._inputs):
            for place in _absolute(path), self._real(path):
                found.setdefault(place, at)
        return found

    @functools.cached_property
    def _overlap(self) -> bool:
        """Whether one INPUT is, or lies below, another: then a file has several spellings."""
        if len(self._inputs) == 1:
            return False
        if len({*self._places.values()}) < len(self._inputs):
            return True
        own = self._places.items()
        return any(
            self._places.get(folder, at) != at for place, at in own for folder, _ in _above(place)
        )

    def _real(self, path: str) -> str:
        """Return a path with its folder's links followed; the last name may be gone."""
        try:
            if os.path.isdir(path):
                return os.path.realpath(path)
            folder, name = os.path.split(path)
            return os.path.join(self._real_folder(folder or os.curdir), name)
        except ValueError:  # a zero byte, which no path holds
            return path


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except ValueError:
        return path


def _above(place: str) -> Iterator[tuple[str, str]]:
    """Yield a path and each folder above it, with the path from there on."""
    below = ""
    while True:
        yield place, below
        folder, name = os.path.split(place)
        if folder == place:
            return
        place, below = folder, os.path.join(name, below) if below else name
