"""The files of an evaluation: CSV, plots and the contact sheet, in a folder."""

import os
from dataclasses import fields
from pathlib import Path

import cv2
import pandas as pd

from batchdigits.errors import OutputError
from batchdigits.evaluate.figures import Metrics
from batchdigits.evaluate.plots import draw_plots
from batchdigits.evaluate.sheet import PictureLookup, draw_contact_sheet, load_picture
from batchdigits.evaluate.tables import READING_COLUMNS
from batchdigits.files import open_atomic_file

_MATCHED_COLUMNS = [*READING_COLUMNS, "truth"]


def make_folder(place: str) -> None:
    """Make the folder for the files of an evaluation, unless it exists.

    Raises:
        OutputError: it cannot be made, or is not a folder.
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
        place: the folder, which exists; files of the same names are replaced.
        readings: as in `MatchedReadings.readings`; `run --calibration` takes this file.
        figures: of these readings, by `compute_metrics`.
        picture: finds the pictures of the mistakes; None reads them from their files.

    Returns:
        Empty, or a line on how to get the plots where matplotlib is missing.

    Raises:
        OutputError: a file cannot be written.
    """
    tables = {field.name: getattr(figures, field.name) for field in fields(figures)}
    tables["readings"] = readings[_MATCHED_COLUMNS]
    contents = {f"{name}.csv": format_csv(table).encode() for name, table in tables.items()}
    sheet = draw_contact_sheet(figures.mistakes, picture or load_picture)
    contents["mistakes.png"] = cv2.imencode(".png", sheet)[1].tobytes()
    missing = ""
    try:
        contents |= {f"{name}.png": png for name, png in draw_plots(figures).items()}
    except ImportError:
        missing = "no plots: they need matplotlib: pip install 'batchdigits[plots]'"
    try:
        for name, content in contents.items():
            with open_atomic_file(Path(os.path.realpath(os.path.join(place, name)))) as file:
                file.write(content)
    except OSError as error:
        raise _make_output_error(place, error) from None
    return missing


def format_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV: confidences with four decimals, other shares with six digits."""
    formatted = table.copy()
    for name in formatted.columns[formatted.dtypes == "float64"]:
        spec = "{:.4f}" if name.endswith("confidence") else "{:.6g}"
        formatted[name] = formatted[name].map(spec.format, na_action="ignore").astype("str")
    return formatted.to_csv(index=False, lineterminator="\n")


def _make_output_error(place: str, error: Exception) -> OutputError:
    cause = getattr(error, "strerror", None) or error
    return OutputError(f"cannot write into '{place}': {cause}: choose another folder")
