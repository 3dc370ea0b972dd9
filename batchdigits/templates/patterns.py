r"""Patterns of digits: what a field's regular expression matches, in bounded time.

A backtracking matcher can take forever on "(1+)+2", and a run must not hang. So all partial matches
are followed at once (Thompson: "Regular expression search algorithm", CACM 11, 1968), and the work
grows only with the lengths of the pattern and the value. Where any digit may stand in every place,
the same walk shows whether a pattern can match at all.

`re` checks the syntax, and says which digits a set or an escape such as `\d` stands for.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

MAX_VALUE_DIGITS = 64
"""Digits of the longest value."""
MAX_PATTERN_CHARACTERS = 200
"""Characters of the longest pattern."""

_DIGITS = "0123456789"
_TOKEN = re.compile(
    r"""
      (?P<digit>  \[ \^? \]? (?: \\. | [^]\\] )* \]            # a set
                | \\ (?: [dDsSwWafnrtv] | [^a-zA-Z0-9]         # a class, a character
                       | 0[0-7]{,2} | [1-7][0-7]{2}
                       | x.{2} | u.{4} | U.{8} | N\{.*?\} )
                | [^][\\()|*+?{^$]
                | \] | \{ (?! [0-9]+,?[0-9]*\} | ,[0-9]*\} ) ) # not a repetition
    | (?P<repeat> (?: [*+?] | \{ [0-9,]+ \} ) \?? (?! \+ ) )   # but none that is possessive
    | (?P<open>   \( (?: (?! \? ) | \?P<\w+> | \?[aimsu]*(?:-[ims]+)?: ) )
    | (?P<close>  \) )
    | (?P<either> \| )
    | (?P<start>  \^ | \\A )
    | (?P<end>    \$ | \\[Zz] )
    | (?P<skip>   \(\?\# [^)]* \) | \(\?[aimsu]+\) )           # a comment, flags
    | (?P<other>  \( \? [a-zA-Z<-]* . | \\ . | [^(\\]+? \+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_REPEAT_SIGNS = {"*": "{0,}", "+": "{1,}", "?": "{0,1}"}


def is_match(pattern: str, digits: str) -> bool:
    """Return whether a pattern matches the whole of a value.

    Raises:
        ValueError: `check_pattern` refuses the pattern.
    """
    bits = dict.fromkeys(digits, 0)
    for place, digit in enumerate(digits):
        bits[digit] |= 1 << place
    return _can_match(_parse_pattern(pattern), len(digits), bits)


def check_pattern(pattern: str, cells: int | None) -> None:
    """Check that digits can match a pattern.

    Args:
        pattern: of sets, groups, `|` and repetitions.
        cells: how many digits the value has at most; None for `MAX_VALUE_DIGITS`.

    Raises:
        ValueError: the pattern has other parts, or no such value matches it.
    """
    tree = _parse_pattern(pattern)
    lengths = range(1, (cells or MAX_VALUE_DIGITS) + 1)
    if not any(_can_match(tree, n, dict.fromkeys(_DIGITS, (1 << n) - 1)) for n in lengths):
        few = f"no value of up to {cells} digits matches" if cells else "no digits match"
        raise ValueError(f"{few} {pattern!r}")


class _Walk:
    """A walk along all partial matches of a pattern at once, in values of one length.

    Places count from 0, before the first digit; a set of places is a number, with a bit for each.

    Attributes:
        length: how many digits the values have.
        bits: of each digit, the places before which it may stand.
        known: the ends of repetitions by start. Without it, nested repetitions would multiply.
    """

    def __init__(self, length: int, bits: dict[str, int]) -> None:
        self.length = length
        self.bits = bits
        self.known: dict[tuple[_Repeat, int], int] = {}


class _Part(Protocol):
    """A part of a pattern."""

    def find_ends(self, walk: _Walk, starts: int) -> int:
        """Return the places where matches of the part end that begin at one of `starts`."""
        ...


@dataclass(frozen=True, eq=False)
class _Digit:
    """One digit out of some."""

    fitting: str

    def find_ends(self, walk: _Walk, starts: int) -> int:
        before = 0
        for digit in self.fitting:
            before |= walk.bits.get(digit, 0)
        return (starts & before) << 1


@dataclass(frozen=True, eq=False)
class _Anchor:
    """The start or the end of the value."""

    at_end: bool

    def find_ends(self, walk: _Walk, starts: int) -> int:
        return starts & (1 << walk.length if self.at_end else 1)


@dataclass(frozen=True, eq=False)
class _Group:
    """Sequences of parts, one of which matches."""

    options: list[list[_Part]]

    def find_ends(self, walk: _Walk, starts: int) -> int:
        all_ends = 0
        for sequence in self.options:
            ends = starts
            for part in sequence:
                ends = part.find_ends(walk, ends)
            all_ends |= ends
        return all_ends


@dataclass(frozen=True, eq=False)
class _Repeat:
    """A part, `least` to `most` times."""

    part: _Part
    least: int
    most: int

    def find_ends(self, walk: _Walk, starts: int) -> int:
        all_ends = 0
        for start in range(starts.bit_length()):
            if starts >> start & 1:
                if (self, start) not in walk.known:
                    walk.known[self, start] = self._find_ends_from(walk, 1 << start)
                all_ends |= walk.known[self, start]
        return all_ends

    def _find_ends_from(self, walk: _Walk, now: int) -> int:
        for _ in range(self.least):
            before, now = now, self.part.find_ends(walk, now)
            if now == before:  # at the latest when there were more rounds than places
                break
        ends = now
        for _ in range(self.most - self.least):
            now = self.part.find_ends(walk, now) & ~ends
            if not now:
                break
            ends |= now
        return ends


def _can_match(tree: _Part, length: int, bits: dict[str, int]) -> bool:
    return bool(tree.find_ends(_Walk(length, bits), 1) >> length & 1)


@lru_cache(maxsize=256)
def _parse_pattern(pattern: str) -> _Part:
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ValueError(
            f"expected at most {MAX_PATTERN_CHARACTERS} characters, got {len(pattern)}"
        )
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"expected a regular expression: {error}") from None
    return _parse_group(_TOKEN.finditer(pattern))


def _parse_group(tokens: Iterator[re.Match[str]]) -> _Group:
    """Parse what stands up to the end of a group, or of the pattern."""
    options: list[list[_Part]] = [[]]
    for token in tokens:
        parts = options[-1]
        match token.lastgroup:
            case "digit":
                parts.append(_Digit("".join(one for one in _DIGITS if re.fullmatch(token[0], one))))
            case "repeat":
                parts.append(_Repeat(parts.pop(), *_parse_repeat(token[0])))
            case "open":
                parts.append(_parse_group(tokens))
            case "close":
                break
            case "either":
                options.append([])
            case "start" | "end" as kind:
                parts.append(_Anchor(kind == "end"))
            case "other":
                raise ValueError(
                    "expected sets, groups, | and repetitions, without look-around, "
                    f"back-references and the like, got {token[0]}"
                )
    return _Group(options)


def _parse_repeat(text: str) -> tuple[int, int]:
    """Return how often a part is repeated, at least and at most."""
    counts = _REPEAT_SIGNS.get(text[0], text).strip("{}?")
    least, comma, most = counts.partition(",")
    low = int(least or 0)
    return low, int(most or sys.maxsize) if comma else low
