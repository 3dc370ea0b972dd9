"""Read folders of scanned digits into a table of values and confidences."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from batchdigits.options import ReadOptions, RunOptions
from batchdigits.options.declaration import take_keywords

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["__version__", "read"]
__version__ = "0.1.0"


@take_keywords(ReadOptions)
def read(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], options: ReadOptions
) -> "pd.DataFrame":
    """Read folders or files of digit crops, as `batchdigits run` does, into a DataFrame.

    Args:
        inputs: a folder (read with all below it) or a file, or several.
        options: given as keyword arguments, as `min_confidence=0.99` or `as_="digit"`; each is
            listed below, and named as that of `run`. None takes the default.

    Returns:
        One line a row of the table `run` would write: `page` int64, `confidence` float64 (NaN
        where there is none), `file`, `field`, `value`, `status` and `detail` str.

    Raises:
        batchdigits.errors.UsageError: an unknown option, one that a DataFrame cannot have (files
            are moved only when a table is on disk), or an input that is not there.
        batchdigits.errors.ModelError: the model cannot be used.
    """
    from batchdigits import pipeline, results  # noqa: PLC0415  (heavy: only when called)

    settings = RunOptions(**vars(options))
    several = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    found = pipeline.find([os.fspath(one) for one in several], [], None)
    rows = (row for batch in pipeline.rows(found.sources, settings) for row in batch)
    return results.table(rows)
