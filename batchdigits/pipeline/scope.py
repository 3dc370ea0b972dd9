"""Which files of a state belong to a run's INPUTs, however these are spelled."""

import functools
import os
from collections.abc import Iterable

from batchdigits.sources import spell, unspell


class Scope:
    """The INPUTs of a run, as folders and files whose rows its table holds."""

    def __init__(self, inputs: Iterable[str]) -> None:
        """Take the INPUTs as typed or listed; none of them needs to be there."""
        self._inputs = list(inputs)
        self._files = {spell(path) for path in self._inputs}
        self._folders = tuple(spell(os.path.join(path, "")) for path in self._inputs)
        self._real_folder = functools.cache(os.path.realpath)

    @functools.cached_property
    def _places(self) -> dict[str, str]:
        """Give each INPUT by its absolute and by its real path; the first typed wins."""
        found: dict[str, str] = {}
        for path in self._inputs:
            for place in _absolute(path), self._real(path):
                found.setdefault(place, path)
        return found

    def holds(self, file: str) -> bool:
        """Return whether a file, as the table spells it, is one of the INPUTs or below one."""
        return file in self._files or file.startswith(self._folders)

    def respell(self, file: str) -> str:
        """Return the name that a file of another spelling has below these INPUTs.

        Args:
            file: as a table of an earlier run spells it; it may be gone.

        Returns:
            The INPUT as typed with the path below it, spelled; empty where the file is not below
            an INPUT.
        """
        path = os.fsdecode(unspell(file))
        for place in dict.fromkeys((_absolute(path), self._real(path))):
            if place in self._places:
                return spell(self._places[place])
            folder, below = os.path.split(place)
            while folder not in self._places and folder != os.path.dirname(folder):
                folder, name = os.path.split(folder)
                below = os.path.join(name, below)
            if folder in self._places:
                return spell(os.path.join(self._places[folder], below))
        return ""

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
