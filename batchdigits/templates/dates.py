"""Dates of digits: the order in which a field takes day, month and year, and which days exist."""

import calendar
import re

DATE_PARTS = ("DD", "MM", "YYYY", "YY")
"""Parts of a date's form: day, month, and a year of four digits or two."""


def check_date_format(text: str) -> str:
    """Return a date's form as it is.

    Raises:
        ValueError: it is not DD, MM, and YYYY or YY, once each, in any order.
    """
    parts = re.findall("D+|M+|Y+", text)
    if "".join(parts) != text or sorted(parts) not in (["DD", "MM", "YY"], ["DD", "MM", "YYYY"]):
        raise ValueError("expected DD, MM and YYYY or YY in any order, as DDMMYYYY")
    return text


def is_day(date_format: str, digits: str) -> bool:
    """Return whether digits are a day that exists; of a year of two digits, in some century.

    Args:
        date_format: as `check_date_format` takes it.
        digits: the value.
    """
    if len(digits) != len(date_format):
        return False
    start, part = 0, {}
    for letters in re.findall("D+|M+|Y+", date_format):
        part[letters[0]] = int(digits[start : start + len(letters)])
        start += len(letters)
    year = part["Y"] + (2000 if "YYYY" not in date_format else 0)  # 2000 was a leap year
    if not (1 <= part["M"] <= 12 and year):
        return False
    return 1 <= part["D"] <= calendar.monthrange(year, part["M"])[1]
