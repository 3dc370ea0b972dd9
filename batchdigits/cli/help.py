"""How `--help` looks: plain text in two columns, the options in panels."""

import re
import textwrap
from typing import Any

from typer.core import TyperCommand

MAX_NAME_COLUMNS = 21
"""Columns for names, at most. The text of a longer name begins on the next line."""
NO_BREAK_SPACE = "\xa0"
"""A space at which no line is broken."""


class PanelCommand(TyperCommand):
    """A command whose help lists the options in panels, by their declared headings."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the pieces of the usage line: arguments by their metavars, without braces."""
        return [str(self.options_metavar), *map(_format_argument, _list_arguments(self, ctx))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then each panel. Options without a panel go to the last one."""
        panels: dict[str, list[tuple[str, str]]] = {}
        last = "Options"
        for one in _list_arguments(self, ctx):
            panels.setdefault("Arguments", []).append(
                (_format_argument(one), one.get_help_record(ctx)[1])
            )
        for one in self.get_params(ctx):
            if one.param_type_name == "option" and (record := one.get_help_record(ctx)):
                last = getattr(one, "rich_help_panel", None) or last
                panels.setdefault(last, []).append(record)
        names = [len(name) for rows in panels.values() for name, _ in rows]
        indent = 4 + min(max(names), MAX_NAME_COLUMNS)
        for heading, rows in panels.items():
            formatter.write(f"\n{heading}:\n")
            for name, text in rows:
                formatter.write(_format_row(name, text, indent, formatter.width))


def _format_row(name: str, text: str, indent: int, width: int) -> str:
    """Return a name with its text beside it; notes in brackets are broken after `;` only."""
    whole = re.sub(r"\[[^]]*\]", lambda notes: re.sub("(?<!;) ", NO_BREAK_SPACE, notes[0]), text)
    lines = textwrap.wrap(whole, width - indent, break_on_hyphens=False)
    first = f"  {name:<{indent - 4}}  "
    if len(first) > indent:
        lines, first = ["", *lines], first.rstrip()
    body = f"\n{'':{indent}}".join(lines)
    return f"{first}{body}\n".replace(NO_BREAK_SPACE, " ")


def _list_arguments(command: PanelCommand, context: Any) -> list[Any]:
    return [one for one in command.get_params(context) if one.param_type_name == "argument"]


def _format_argument(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())
