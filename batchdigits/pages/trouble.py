"""Faults of files, in plain words.

Every module of this room raises `UnreadableFileError`. `load_pages` and `inspect_image_file` turn
it into a `Failure`.
"""

from collections.abc import Iterable

from PIL import UnidentifiedImageError

MAX_PAGES = 10_000
"""Most pages of a file: more than a batch of a scanner has; a few bytes may claim millions."""


class UnreadableFileError(Exception):
    """A file or page cannot be read; the message is in plain words."""


def describe_file_error(error: Exception, kind: str) -> str:
    """Return an error as one printable line of at most 200 characters; `kind` is the format."""
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
    """Return the numbers of a file's pages, from 1; with `only`, that number, even if too large."""
    return range(1, count + 1) if only is None else (only,)


def check_page_count(count: int) -> None:
    """Raise `UnreadableFileError` for more than `MAX_PAGES` pages."""
    if count > MAX_PAGES:
        raise UnreadableFileError(
            f"too many pages: over the limit of {MAX_PAGES:,}; split the file"
        )


def check_pixel_count(width: int, height: int, max_pixels: int) -> None:
    """Raise `UnreadableFileError` for more than `max_pixels` pixels."""

    def format_count(n: int) -> str:
        return f"{n // 10**6:,} million" if n and n % 10**6 == 0 else f"{n:,}"

    if width * height > max_pixels:
        raise UnreadableFileError(
            f"too large: {width}x{height} is {format_count(width * height)} pixels, "
            f"over the limit of {format_count(max_pixels)} (--max-pixels); "
            "scan it at 300 dpi, or raise the limit"
        )
