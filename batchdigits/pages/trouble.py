"""What is wrong with a file, in plain words.

Every module of this room raises `UnreadableFileError`; `read` and `look` make a `Failure` of it.
"""

from collections.abc import Iterable

from PIL import UnidentifiedImageError

MAX_PAGES = 10_000
"""Pages of a file: more than a scanner's batch has, while a few bytes may claim millions."""


class UnreadableFileError(Exception):
    """What is wrong with the file, already in plain words."""


def describe_file_error(error: Exception, kind: str) -> str:
    """Put trouble into one printable line of at most 200 characters."""
    text = str(error)
    if isinstance(error, UnidentifiedImageError):
        text = f"damaged {kind}, or of a kind that is not read: convert it to 8-bit PNG"
    elif isinstance(error, OSError) and error.strerror:
        text = f"cannot be read: {error.strerror}"
    elif not isinstance(error, UnreadableFileError):
        text = f"truncated or damaged {kind}: {text or type(error).__name__}; copy or scan it again"
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= 200 else plain[:197] + "..."


PAGE_MISSING = "no such page any more: the file was changed while it was read; run again"


def list_page_numbers(count: int, only: int | None) -> Iterable[int]:
    """Give the numbers of a file's pages, from 1, or the one that is wanted, there or not."""
    return range(1, count + 1) if only is None else (only,)


def check_page_count(count: int) -> None:
    """Refuse a file of more than `MAX_PAGES` pages, before one of them is decoded."""
    if count > MAX_PAGES:
        raise UnreadableFileError(
            f"too many pages: over the limit of {MAX_PAGES:,}; split the file"
        )


def check_pixel_count(width: int, height: int, most: int) -> None:
    """Refuse a picture of more than `most` pixels, before it is decoded."""

    def count(n: int) -> str:
        return f"{n // 10**6:,} million" if n and n % 10**6 == 0 else f"{n:,}"

    if width * height > most:
        raise UnreadableFileError(
            f"too large: {width}x{height} is {count(width * height)} pixels, "
            f"over the limit of {count(most)} (--max-pixels)"
        )
