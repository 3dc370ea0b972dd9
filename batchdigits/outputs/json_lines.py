"""JSON Lines: an object on each line."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from batchdigits.outputs.table_format import TableLayout, TableLine, TextFormat

if TYPE_CHECKING:
    import pandas as pd


class JsonLines(TextFormat):
    """An object on each line, with a value for each column."""

    suffix = ".jsonl"

    def format_header(self, layout: TableLayout) -> str:  # noqa: ARG002
        """Return an empty text: each line names its columns."""
        return ""

    def format_lines(self, lines: list[TableLine], layout: TableLayout) -> str:
        """Return lines as text; no confidence is null."""
        encode, names = json.JSONEncoder(ensure_ascii=False).encode, layout.names
        return "".join(f"{encode(dict(zip(names, line, strict=True)))}\n" for line in lines)

    def read(self, path: str) -> "pd.DataFrame":
        """Read objects, with or without a byte order mark and empty lines between them."""
        import pandas as pd  # noqa: PLC0415  (half a second, which only readers need)

        lines = Path(path).read_text("utf-8-sig").split("\n")
        rows = [json.loads(line) for line in lines if line.strip()]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("expected an object on each line")
        json.dumps(rows, ensure_ascii=False).encode()  # raises on half a surrogate pair
        return pd.DataFrame(rows, dtype=object)
