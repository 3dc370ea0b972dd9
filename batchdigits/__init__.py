"""Read folders of scanned digits into a table of values and confidences."""

__version__ = "0.1.0"
