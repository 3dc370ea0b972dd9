"""Keep a file that is in the way, and may be somebody's, under another name."""

import os
import time


def set_aside(path: str) -> str:
    """Rename a file within its folder; return the new name.

    Raises:
        OSError: it cannot be renamed.
    """
    aside = find_free_name(path)
    os.rename(path, aside)
    return aside


def find_free_name(path: str) -> str:
    """Return a free name in the folder of a file, which holds the time and the file's own name.

    Raises:
        OSError: no name is free.
    """
    stem, ending = os.path.splitext(path)
    when = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1000):
        name = f"{stem}.kept-{when}{f'-{number}' if number else ''}{ending}"
        if not os.path.lexists(name):
            return name
    raise FileExistsError(f"no name is left beside '{path}'")
