"""What stands under a path: a file, a folder, or what nothing can be read from."""

import contextlib
import os
import stat

GONE = "no such file: it was listed but is not there"
"""`Source.fault` of what is not there."""
_SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def plain(item: os.DirEntry[str]) -> int:
    """The type of a plain file or folder, which the listing knows already; 0: look closer."""
    with contextlib.suppress(OSError):
        if item.is_file(follow_symlinks=False):
            return stat.S_IFREG
        if item.is_dir(follow_symlinks=False):
            return stat.S_IFDIR
    return 0


def look(path: str) -> tuple[int, str]:
    """The mode of what a path leads to (0: nothing), and why it cannot be read (empty: it can).

    It asks and does not open: opening a pipe would wait for ever.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0, "a symbolic link to something that is not there" if os.path.islink(path) else GONE
    except OSError as error:
        return 0, f"it cannot be reached: {words(error)}"
    except ValueError:  # a NUL or a lone surrogate, which no name can hold
        return 0, GONE
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return mode, ""
    return mode, f"not a regular file: {_SPECIAL.get(stat.S_IFMT(mode), 'of an unknown type')}"


def words(error: OSError) -> str:
    """What the operating system says of a fault."""
    return (error.strerror or str(error)).lower()
