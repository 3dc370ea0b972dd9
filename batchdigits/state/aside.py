"""What is in the way, and may be somebody's: it is kept under another name."""

import os
import time


def set_aside(path: str) -> str:
    """Give a file another name beside its own; gives that name.

    Raises:
        OSError: it cannot be renamed.
    """
    aside = find_free_name(path)
    os.rename(path, aside)
    return aside


def find_free_name(path: str) -> str:
    """Give a name beside a file's own, which says when, and which nothing has.

    Raises:
        OSError: there is none.
    """
    stem, ending = os.path.splitext(path)
    when = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1000):
        name = f"{stem}.kept-{when}{f'-{number}' if number else ''}{ending}"
        if not os.path.lexists(name):
            return name
    raise FileExistsError(f"no name is left beside '{path}'")
