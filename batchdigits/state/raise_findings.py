"""Convert stored findings of version 2 to version 3, which has more keys: all of version 2 stay.

A released migration uses this, so it stays as it is.
"""

VERSION_2, VERSION_3 = '{"version":2,', '{"version":3,'
"""How the texts of the two versions begin."""


def raise_findings(text: str) -> str:
    """Convert a text of version 2 to version 3.

    Raises:
        ValueError: the text is not of version 2.
    """
    if not text.startswith(VERSION_2):
        raise ValueError(f"expected stored findings of version 2, got {text[:20]!r}")
    return VERSION_3 + text.removeprefix(VERSION_2)
