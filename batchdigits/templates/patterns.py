"""Patterns of digits: what a field's regular expression matches, in bounded time.

A backtracking matcher may take for ever over "(1+)+2", and a run must not hang. So all places that
a match may have come to are carried along at once (Thompson: "Regular expression search
algorithm", CACM 11, 1968): the work grows with the length of the pattern and of the value alone.
Where every digit is let stand in every place, the same walk tells whether a pattern can match at
all. Python's own parser reads the patterns, as Hypothesis has it do.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from re import _constants as code  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

MAX_VALUE_DIGITS = 64
"""Digits of the longest value."""
MAX_PATTERN_CHARACTERS = 200
"""Characters of the longest pattern."""

_DIGITS = frozenset("0123456789")
_REPEAT_CODES = (code.MAX_REPEAT, code.MIN_REPEAT)
_START_ANCHORS = (code.AT_BEGINNING, code.AT_BEGINNING_STRING)
_END_ANCHORS = (code.AT_END, code.AT_END_STRING)
_DIGIT_CATEGORIES = (code.CATEGORY_DIGIT, code.CATEGORY_WORD, code.CATEGORY_NOT_SPACE)


def is_match(pattern: str, digits: str) -> bool:
    """Tell whether a pattern matches a value, all of it.

    Raises:
        ValueError: the pattern is none that `check_pattern` lets pass.
    """
    return _can_match(_parse_pattern(pattern), [frozenset(one) for one in digits])


def check_pattern(pattern: str, cells: int | None) -> None:
    """Find out whether digits can match a pattern.

    Args:
        pattern: of sets, groups, `|` and repetitions.
        cells: how many digits the value has at most; None for `MAX_VALUE_DIGITS`.

    Raises:
        ValueError: it is no such pattern, or no such value matches it.
    """
    tree = _parse_pattern(pattern)
    lengths = range(1, (cells or MAX_VALUE_DIGITS) + 1)
    # All of them: parts that no short value comes to may be what `_list_fitting_digits` refuses.
    possible = [_can_match(tree, [_DIGITS] * many) for many in lengths]
    if not any(possible):
        few = f"no value of up to {cells} digits matches" if cells else "no digits match"
        raise ValueError(f"{few} {pattern!r}")


def _can_match(tree: Any, places: list[frozenset[str]]) -> bool:
    return len(places) in _PatternWalk(places).find_ends(tree, {0})


@lru_cache(maxsize=256)
def _parse_pattern(pattern: str) -> Any:
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise ValueError(
            f"expected at most {MAX_PATTERN_CHARACTERS} characters, got {len(pattern)}"
        )
    try:
        return _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"expected a regular expression: {error}") from None


class _PatternWalk:
    """The places that matches of a pattern's parts come to in one value; places count from 0."""

    def __init__(self, places: list[frozenset[str]]) -> None:
        self.places = places
        self.known: dict[tuple[int, int], set[int]] = {}  # or nested repetitions would multiply

    def find_ends(self, tree: Any, starts: set[int]) -> set[int]:
        """Give all places where a match of a sequence that begins at one of `starts` may end."""
        ends = starts
        for kind, what in tree:
            if kind is code.BRANCH:
                ends = set().union(*(self.find_ends(one, ends) for one in what[1]))
            elif kind is code.SUBPATTERN:
                ends = self.find_ends(what[-1], ends)
            elif kind in _REPEAT_CODES:
                ends = set().union(*(self.find_repeat_ends(what, start) for start in ends))
            elif kind is code.AT and what in _START_ANCHORS:
                ends = ends & {0}
            elif kind is code.AT and what in _END_ANCHORS:
                ends = ends & {len(self.places)}
            else:
                fitting = _list_fitting_digits(what if kind is code.IN else [(kind, what)])
                ends = {at + 1 for at in ends if self.has_fitting_digit(fitting, at)}
        return ends

    def has_fitting_digit(self, fitting: frozenset[str], at: int) -> bool:
        """Tell whether one of some digits may stand at a place."""
        return at < len(self.places) and not fitting.isdisjoint(self.places[at])

    def find_repeat_ends(self, what: Any, start: int) -> set[int]:
        """Repeat a part; what it comes to settles within a round a place."""
        key = (id(what), start)
        if key not in self.known:
            least, most, tree = what
            now, ends = {start}, {start} if least == 0 else set()
            for times in range(1, min(most, least + len(self.places) + 1) + 1):
                before, now = now, self.find_ends(tree, now)
                if times >= least:
                    ends |= now
                if now == before:
                    ends |= now
                    break
            self.known[key] = ends
        return self.known[key]


def _list_fitting_digits(kinds: Iterable[tuple[Any, Any]]) -> frozenset[str]:
    """List the digits of a set of characters."""
    fits: set[str] = set()
    other = False
    for kind, what in kinds:
        if kind is code.NEGATE:
            other = True
        elif kind is code.LITERAL:
            fits |= {chr(what)}
        elif kind is code.NOT_LITERAL:
            fits |= _DIGITS - {chr(what)}
        elif kind is code.RANGE:
            fits |= {one for one in _DIGITS if what[0] <= ord(one) <= what[1]}
        elif kind is code.ANY or (kind is code.CATEGORY and what in _DIGIT_CATEGORIES):
            fits |= _DIGITS
        elif kind is not code.CATEGORY:
            raise ValueError(
                "expected sets, groups, | and repetitions, without look-around, "
                f"back-references and the like, got {str(kind).lower()}"
            )
    return frozenset(_DIGITS - fits if other else fits & _DIGITS)
