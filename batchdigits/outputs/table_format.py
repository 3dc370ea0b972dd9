"""What a file format of tables does, and what the formats of plain text share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, BinaryIO

from batchdigits.outputs.layouts import TableLayout, TableLine

if TYPE_CHECKING:
    import pandas as pd

LineWriter = Callable[[list[TableLine]], object]


class TableFormat(ABC):
    """A file format of tables, which both writes and reads its files.

    Attributes:
        suffix: of its files, with the dot, in lower case; without the dot it names the extra of
            the package that installs its libraries.
        library: the module that writes it; empty where the standard library does.
        holds_sheets: whether a file holds several tables, or one.
    """

    suffix: str
    library: str = ""
    holds_sheets: bool = False

    @property
    def install_hint(self) -> str:
        """Return the command that installs the format's libraries."""
        return f"pip install 'batchdigits[{self.suffix[1:]}]'"

    @abstractmethod
    def open_writer(
        self, file: BinaryIO, layouts: Sequence[TableLayout]
    ) -> AbstractContextManager[list[LineWriter]]:
        """Open an empty file for writing; it is complete when the block ends.

        Args:
            file: open for writing, with a name in the file system where a library needs one.
            layouts: of the tables; exactly one, unless the format `holds_sheets`.

        Returns:
            A context manager that yields a function for each layout, which appends lines.
        """

    @abstractmethod
    def read(self, path: str) -> "pd.DataFrame":
        """Read a file, with cells of any type.

        Raises:
            ImportError: a library is missing.
            Exception: the file is damaged; each library has its own types for that.
        """


class TextFormat(TableFormat):
    """A format of lines of UTF-8 text."""

    @contextmanager
    def open_writer(
        self, file: BinaryIO, layouts: Sequence[TableLayout]
    ) -> Iterator[list[LineWriter]]:
        """Open an empty file for writing, as `TableFormat.open_writer`."""
        (layout,) = layouts

        def put(text: str) -> None:
            rest = text.encode()
            while rest:  # with PYTHONUNBUFFERED, standard output may take only a part
                rest = rest[file.write(rest) :]

        put(self.format_header(layout))
        yield [lambda lines: put(self.format_lines(lines, layout))]

    @abstractmethod
    def format_header(self, layout: TableLayout) -> str:
        """Return the text before the first line; empty where there is none."""

    @abstractmethod
    def format_lines(self, lines: list[TableLine], layout: TableLayout) -> str:
        """Return lines as text."""
