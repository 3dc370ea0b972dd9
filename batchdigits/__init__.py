"""Read folders of scanned digits into a table of values and confidences."""

from batchdigits.api import Reader, read, read_images

__all__ = ["Reader", "__version__", "read", "read_images"]
__version__ = "0.1.0"
