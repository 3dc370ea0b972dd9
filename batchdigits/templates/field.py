"""A field of a template: its boxes on the paper, and what may be written in them."""

import re
from itertools import accumulate, pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic import Field as Setting

from batchdigits.templates import dates, patterns
from batchdigits.templates.boxes import Box
from batchdigits.templates.schema import ALLOW_LIST, LineOfText, NonEmptyBox, StrictModel

MIN_BOX_SIDE_MM = 1.0
"""Smallest side of a box, mm: nobody writes in smaller ones."""
GROUP_GAP_BOXES = 0.5
"""By how much the distance between two groups is wider than between two boxes, in boxes, where a
template does not say it: room for a separator."""
FILLERS = {"x": "an X", "-": "a dash", "*": "an asterisk"}
"""Marks that may fill empty boxes. A slash is none of them: it looks like a 1."""

LATER_KEYS = ("label", "groups", "group_gap", "separator", "date", "filler")
"""Keys that came after the first states: one that is not given is not dumped either, because a
state knows a template by its dump."""

CheckDigitKind = Literal["luhn", "mod11", "mod97"]
GroupSize = Annotated[int, Setting(ge=1, le=64)]


class Field(StrictModel):
    """One field.

    Attributes:
        name: lower case letters, digits and `_`, a letter first.
        label: what is printed above the field; None for its name.
        box: the whole field, mm.
        cells: how many boxes in a row; None for a number written freely. `groups` and `date` imply
            it.
        gap: the distance between two boxes, mm.
        groups: how many boxes each group has, from left to right; None for one row of boxes.
        group_gap: the distance between two groups, mm; None for `gap` and half a box more.
        separator: the character printed between two groups.
        pattern: a regular expression that matches the whole value.
        min: the least value.
        max: the greatest value.
        check: the kind of check digit.
        date: the order of day, month and year in a date, as DDMMYYYY.
        decimals: how many of the digits stand after the decimal point.
        filler: the marks that fill boxes left empty, out of `FILLERS`.
        optional: whether the field may be blank.
    """

    name: str = Setting(max_length=64)
    label: LineOfText | None = None
    box: NonEmptyBox
    cells: int | None = Setting(None, ge=1, le=64)
    gap: float = Setting(0, ge=0)
    groups: Annotated[tuple[GroupSize, ...] | None, ALLOW_LIST] = None
    group_gap: Annotated[float, Setting(ge=0)] | None = None
    separator: str | None = None
    pattern: str | None = None
    min: float | None = None
    max: float | None = None
    check: CheckDigitKind | None = None
    date: Annotated[str, AfterValidator(dates.check_date_format)] | None = None
    decimals: int = Setting(0, ge=0, le=9)
    filler: str = ""
    optional: bool = False

    @model_validator(mode="before")
    @classmethod
    def _imply_cells(cls, keys: Any) -> Any:
        """Count the boxes of groups, or else of a date, where `cells` does not."""
        if not isinstance(keys, dict) or keys.get("cells") is not None:
            return keys
        groups, date = keys.get("groups"), keys.get("date")
        if isinstance(groups, list | tuple) and all(type(one) is int for one in groups):
            return {**keys, "cells": sum(groups)} if groups else keys
        return {**keys, "cells": len(date)} if isinstance(date, str) and date else keys

    @model_serializer(mode="wrap")
    def _leave_out_later_keys(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        keys: dict[str, Any] = dump(self)
        unset = [key for key in LATER_KEYS if getattr(self, key) in {None, ""}]
        return {key: value for key, value in keys.items() if key not in unset}

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError("expected lower case letters, digits and _, a letter first")
        return name

    @field_validator("separator")
    @classmethod
    def _check_separator(cls, separator: str | None) -> str | None:
        if separator is not None and not (
            len(separator) == 1 and separator.isprintable() and not separator.isalnum()
        ):
            raise ValueError("expected one character, no letter and no digit, as ',' or '/'")
        return separator

    @field_validator("filler")
    @classmethod
    def _check_filler(cls, filler: str) -> str:
        marks = filler.lower()
        if not marks or set(marks) - set(FILLERS) or len(set(marks)) < len(marks):
            raise ValueError(f"expected marks out of {' '.join(FILLERS)}, each once, as 'x-'")
        return marks

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        self._check_groups()
        self._check_boxes()
        self._check_limits()
        self._check_date()
        if self.filler and self.cells is None:
            raise ValueError("filler is for boxes in a row: give cells, or leave filler out")
        return self

    def _check_groups(self) -> None:
        if self.groups is None:
            for key in ("group_gap", "separator"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key} is between groups: give groups, or leave {key} out")
            return
        if not self.groups:
            raise ValueError("groups: expected the boxes of each group, as [4, 2]")
        if self.cells != sum(self.groups):
            raise ValueError(f"groups have {sum(self.groups)} boxes, cells says {self.cells}")
        if self.group_gap is not None and self.group_gap < self.gap:
            raise ValueError(f"group_gap {self.group_gap:g} is under gap {self.gap:g}")
        if self.decimals and self.decimals not in accumulate(reversed(self.groups)):
            raise ValueError(
                f"{self.decimals} decimals are not the last groups of {list(self.groups)}"
            )

    def _check_boxes(self) -> None:
        if self.cells is None and self.gap:
            raise ValueError("gap is for boxes in a row: give cells, or leave gap out")
        wide, high = self._compute_cell_width(), self.box[3]
        if wide <= 0:
            between = "" if self.groups is None else ", and more between groups,"
            raise ValueError(
                f"{self.cells} boxes with {self.gap:g} mm between them{between} need more than "
                f"{self._sum_gaps():g} mm, the box is {self.box[2]:g} mm wide"
            )
        if min(wide, high) < MIN_BOX_SIDE_MM:
            raise ValueError(
                f"expected boxes of {MIN_BOX_SIDE_MM:g} mm or more, got {wide:.2f} x {high:.2f}"
            )

    def _check_limits(self) -> None:
        if self.pattern is not None:
            try:
                patterns.check_pattern(self.pattern, self.cells)
            except ValueError as error:
                raise ValueError(f"pattern: {error}") from None
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is over max {self.max:g}")
        if self.cells is not None and self.decimals >= self.cells:
            raise ValueError(f"{self.decimals} decimals leave none of {self.cells} boxes before")
        max_value = (10 ** (self.cells or patterns.MAX_VALUE_DIGITS) - 1) / 10**self.decimals
        if self.min is not None and self.min > max_value:
            raise ValueError(
                f"min {self.min:g} is over {max_value:g}, the most that fits the boxes"
            )
        if self.max is not None and self.max < 0:
            raise ValueError(f"max {self.max:g} is under 0, the least that can be written")

    def _check_date(self) -> None:
        if self.date is None:
            return
        if self.cells != len(self.date):
            raise ValueError(f"date {self.date} needs {len(self.date)} boxes, got {self.cells}")
        for key in ("decimals", "min", "max", "check"):
            if getattr(self, key) not in {None, 0}:
                raise ValueError(f"a date has no {key}: leave {key} out")

    @property
    def has_rule(self) -> bool:
        """Return whether the field limits its values."""
        rules = (self.pattern, self.min, self.max, self.check, self.date)
        return any(one is not None for one in rules)

    def boxes(self) -> list[Box]:
        """Return the box of each cell, from left to right; the field's box if it has no cells."""
        if self.cells is None:
            return [self.box]
        x, y, _, height = self.box
        wide = self._compute_cell_width()
        more = self._compute_group_gap(wide) - self.gap
        before = self._count_groups_before()
        return [
            (x + n * (wide + self.gap) + groups * more, y, wide, height)
            for n, groups in enumerate(before)
        ]

    def group_gaps(self) -> list[Box]:
        """Return the space between each two groups, from left to right, mm."""
        boxes, before = self.boxes(), self._count_groups_before()
        return [
            (left[0] + left[2], left[1], right[0] - left[0] - left[2], left[3])
            for n, (left, right) in enumerate(pairwise(boxes))
            if before[n + 1] > before[n]
        ]

    def _count_groups_before(self) -> list[int]:
        """Return for each box how many groups end before it."""
        groups = self.groups or (self.cells or 1,)
        return [n for n, size in enumerate(groups) for _ in range(size)]

    def _compute_group_gap(self, wide: float) -> float:
        """Return the distance between two groups, of boxes so wide, mm."""
        if self.group_gap is not None:
            return self.group_gap
        return self.gap + GROUP_GAP_BOXES * wide

    def _sum_gaps(self) -> float:
        """Return how much of the field's width is between boxes, whatever their width, mm."""
        count, groups = self.cells or 1, len(self.groups or (1,))
        between = self.gap if self.group_gap is None else self.group_gap
        return self.gap * (count - groups) + between * (groups - 1)

    def _compute_cell_width(self) -> float:
        count, groups = self.cells or 1, len(self.groups or (1,))
        share = GROUP_GAP_BOXES if self.group_gap is None else 0.0
        return (self.box[2] - self._sum_gaps()) / (count + share * (groups - 1))
