"""How the table spells paths: on one line, and never as a formula."""

import re

_CONTROL_RANGES = r"\x00-\x1f\x7f-\x9f"
_NEEDS_ESCAPE = re.compile(rf"[\\{_CONTROL_RANGES}\ud800-\udfff]")
_RISKY_START = re.compile(rf"[=+\-@{_CONTROL_RANGES}]")
UNESCAPED_CHARACTER = re.compile(rf"\A[=+\-@]|[{_CONTROL_RANGES}\ud800-\udfff]")
"""What no path that `escape_path` returns contains."""
_ESCAPE_SEQUENCE = re.compile(rb"\\(?:\\|x([0-9a-fA-F]{2}))")


def escape_path(path: str) -> str:
    r"""Return a path as the table's `file` column spells it: one line, valid UTF-8, no formula.

    Backslashes are doubled. Undecodable bytes and control characters (Unicode category Cc) become
    `\xNN`, one for each byte of their UTF-8. A path that begins with `= + - @` or a control
    character gets `./` in front, which names the same file.

    Args:
        path: as Python gives it, undecodable bytes as surrogates (`surrogateescape`).
    """
    spelled = _NEEDS_ESCAPE.sub(_escape_character, path)
    return "./" + spelled if _RISKY_START.match(path) else spelled


def unescape_path(file: str) -> bytes:
    r"""Return the bytes of a path that `escape_path` spelled.

    A `./` that `escape_path` put in front stays, as it names the same file. A backslash that
    `escape_path` would not have written stands for itself.
    """
    raw = file.encode("utf-8", "surrogateescape")
    return _ESCAPE_SEQUENCE.sub(
        lambda match: bytes.fromhex(match[1].decode()) if match[1] else b"\\", raw
    )


def _escape_character(match: re.Match[str]) -> str:
    char = match[0]
    if char == "\\":
        return "\\\\"
    # \udc80-\udcff stand for bytes; no disk gives other surrogates, but they must not crash.
    errors = "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", errors))
