"""What people said about values: corrections, their file, and how they change rows.

A correction belongs to a field of a page of a file's content, whatever the file is called. The file
of corrections beside a table is only ever appended to, and every run applies it.
"""

from batchdigits.corrections.book import CorrectionBook, FieldPlace, load_book
from batchdigits.corrections.correction import ANSWERS, COLUMNS, Answer, Box, Correction
from batchdigits.corrections.file import (
    append_corrections,
    describe_answer,
    is_corrections_file,
    list_problems,
    parse_correction,
    read_corrections,
)
from batchdigits.corrections.places import FormNames, locate_field, name_forms, place_fields
from batchdigits.corrections.rows import NEVER_SURE, apply_correction, apply_corrections

__all__ = [
    "ANSWERS",
    "COLUMNS",
    "NEVER_SURE",
    "Answer",
    "Box",
    "Correction",
    "CorrectionBook",
    "FieldPlace",
    "FormNames",
    "append_corrections",
    "apply_correction",
    "apply_corrections",
    "describe_answer",
    "is_corrections_file",
    "list_problems",
    "load_book",
    "locate_field",
    "name_forms",
    "parse_correction",
    "place_fields",
    "read_corrections",
]
