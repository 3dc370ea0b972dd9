"""WebP: the size of a picture, known before Pillow opens it and allocates memory for it."""


def parse_webp_size(head: bytes) -> tuple[int, int]:
    """Return width and height in pixels from a file's first 30 bytes; 0, 0 if there are fewer.

    RFC 9649, sections 2.5 to 2.7 and 3.4; RFC 6386, section 9.1.
    """
    kind, bits = head[12:16], int.from_bytes(head[21:25], "little")
    if len(head) < 30:
        return 0, 0
    if kind == b"VP8X":
        wide, high = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        wide, high = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        wide, high = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return wide, high
