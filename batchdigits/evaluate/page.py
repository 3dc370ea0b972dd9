"""`evaluate --html`: one page that tells how a table came out, with or without truth.

It loads nothing and runs nothing: what comes from files is text, and pictures are embedded.
"""

import base64
import hashlib
import html
from datetime import UTC, datetime

import pandas as pd

from batchdigits.evaluate.figures import Metrics
from batchdigits.evaluate.sections import CropLookup, Section, make_sections

STYLE = """
:root { color-scheme: light dark; --ink: #1a1c1e; --paper: #fbfbf9; --line: #c9c9c4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e6e1; --paper: #16181a; --line: #45494d; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem;
  color: var(--ink); background: var(--paper); overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
td, th { border-bottom: 1px solid var(--line); padding: .2rem .7rem; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
meter { width: 12rem; } figure { display: inline-block; margin: .4rem; vertical-align: top; }
figure img { max-width: 18rem; max-height: 6rem; background: #fff; border: 1px solid var(--line); }
figcaption { font-size: .8rem; max-width: 18rem; }
h2 { margin-bottom: 0; } h2 + p { margin-top: 0; }
@media print { body { max-width: none; } }
"""


def render_report(
    table: str,
    results: pd.DataFrame,
    metrics: Metrics | None,
    readings: pd.DataFrame | None,
    find_crops: CropLookup,
) -> str:
    """Return the report of a table as HTML that loads nothing and runs nothing.

    Args:
        table: its path, for the title.
        results: as `read_results` returns them.
        metrics: of the readings with truth; None without any.
        readings: as in `MatchedReadings.readings`; None without truth.
        find_crops: finds pictures of fields.
    """
    sections = make_sections(results, metrics, readings, find_crops)
    body = "\n".join(map(_render_section, sections))
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    title = html.escape(f"How {table} came out")
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'"
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n"
        f"<h1>{title}</h1>\n<p>Made {made}.</p>\n{body}\n</html>\n"
    )


def _render_section(one: Section) -> str:
    parts = [f"<h2>{html.escape(one.title)}</h2>\n<p>{html.escape(one.line)}</p>"]
    if one.rows:
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in one.names)
        lines = [
            "<tr>"
            + "".join(_render_cell(name, cell) for name, cell in zip(one.names, row, strict=True))
            + "</tr>"
            for row in one.rows
        ]
        parts.append(f"<table><tr>{head}</tr>\n" + "\n".join(lines) + "</table>")
    parts += [
        f'<figure><img src="data:image/webp;base64,{base64.b64encode(crop).decode()}" '
        f'alt="{html.escape(caption)}"><figcaption>{html.escape(caption)}</figcaption></figure>'
        for crop, caption in one.crops
    ]
    return "\n".join(parts)


def _render_cell(name: str, cell: object) -> str:
    if cell is None:
        return "<td></td>"
    if name == "share" and isinstance(cell, float):
        return f'<td class="n"><meter min="0" max="1" value="{cell:.4f}"></meter> {cell:.2%}</td>'
    kind = ' class="n"' if isinstance(cell, int | float) else ""
    return f"<td{kind}>{html.escape(str(cell))}</td>"
