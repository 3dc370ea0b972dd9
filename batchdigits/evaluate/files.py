"""An evaluation's files: CSV, plots and the contact sheet in a folder."""

from dataclasses import fields
from pathlib import Path

import cv2
import pandas as pd

from batchdigits.errors import OutputError
from batchdigits.evaluate.figures import Metrics
from batchdigits.evaluate.plots import draw_plots
from batchdigits.evaluate.sheet import PictureLookup, draw_contact_sheet, load_picture

READING_COLUMNS = ["file", "page", "field", "value", "confidence", "status", "truth"]


def make_folder(place: str) -> None:
    """Make the folder for an evaluation's files, where it is missing, before the work begins.

    Raises:
        OutputError: it cannot be made, or is no folder.
    """
    try:
        Path(place).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise _make_output_error(place, error) from None


def write_evaluation(
    place: str, readings: pd.DataFrame, figures: Metrics, picture: PictureLookup | None = None
) -> str:
    """Write `readings.csv`, a CSV file for each of the figures, plots, and `mistakes.png`.

    Args:
        place: the folder, which is there; files of the same names are replaced.
        readings: as in `Matched.readings`; what `run --calibration` takes.
        figures: what `compute_metrics` found in them.
        picture: where the pictures of the mistakes come from; None: from their files.

    Returns:
        Empty; or, where matplotlib is missing, a line on how to get the plots.

    Raises:
        OutputError: a file cannot be written.
    """
    folder = Path(place)
    tables = {one.name: getattr(figures, one.name) for one in fields(figures)}
    sheet = cv2.imencode(".png", draw_contact_sheet(figures.mistakes, picture or load_picture))[
        1
    ].tobytes()
    missing = ""
    try:
        drawn = draw_plots(figures)
    except ImportError:
        drawn, missing = {}, "no plots: they need matplotlib: pip install 'batchdigits[plots]'"
    try:
        for name, table in (tables | {"readings": readings[READING_COLUMNS]}).items():
            (folder / f"{name}.csv").write_text(format_csv(table), "utf-8", newline="")
        for name, png in (drawn | {"mistakes": sheet}).items():
            (folder / f"{name}.png").write_bytes(png)
    except OSError as error:
        raise _make_output_error(place, error) from None
    return missing


def write_text(path: str, text: str) -> None:
    """Write a list for people or scripts as a file.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        Path(path).write_text(text, "utf-8", newline="")
    except (OSError, ValueError) as error:
        raise OutputError(
            f"cannot write '{path}': {_describe_cause(error)}: choose another"
        ) from None


def format_csv(table: pd.DataFrame) -> str:
    """Give a table as CSV: confidences with four decimals, other shares with six digits."""
    shown = table.copy()
    for name in shown.columns[shown.dtypes == "float64"]:
        form = "{:.4f}" if name.endswith("confidence") else "{:.6g}"
        shown[name] = shown[name].map(form.format, na_action="ignore").astype("str")
    return shown.to_csv(index=False, lineterminator="\n")


def _make_output_error(place: str, error: Exception) -> OutputError:
    return OutputError(
        f"cannot write into '{place}': {_describe_cause(error)}: choose another folder"
    )


def _describe_cause(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
