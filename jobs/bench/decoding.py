"""What the worker processes of `pages.py` call: from a script they could not import it."""

from batchdigits import pages as decoded
from batchdigits.records import Source


def pages(files: list[Source]) -> int:
    """Decode files and throw the pages away; return how many there were."""
    return sum(1 for file in files for _ in decoded.load_pages(file.path, max_pixels=10**8))
