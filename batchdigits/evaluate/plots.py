"""Figures → plots, by matplotlib if it is installed; no screen is needed."""

import io
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from batchdigits.evaluate.figures import Metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MIN_SHARE = 1e-5
"""The smallest share that a logarithmic axis shows."""


def draw_plots(figures: Metrics) -> dict[str, bytes]:
    """Draw the plots of an evaluation.

    Returns:
        PNG files by name: `confusion`, `reliability`, `review`.

    Raises:
        ImportError: matplotlib is not installed.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it reports on its font cache
    from matplotlib.figure import Figure  # noqa: PLC0415  (an extra, and heavy)

    drawn: dict[str, Callable[[Axes, Metrics], None]] = {
        "confusion": _draw_confusion,
        "reliability": _draw_reliability,
        "review": _draw_review_curve,
    }
    pictures = {}
    for name, draw in drawn.items():
        figure = Figure(figsize=(6, 5), dpi=120, layout="constrained")
        draw(figure.add_subplot(), figures)
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
        pictures[name] = file.getvalue()
    return pictures


def _draw_confusion(axes: "Axes", figures: Metrics) -> None:
    table = figures.confusion.set_index("truth")
    counts = table.to_numpy(np.int64)
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(np.sqrt(counts / totals), cmap="Blues", vmin=0, vmax=1)  # root: few show too
    for row, column in np.argwhere(counts):
        share = counts[row, column] / totals[row, 0]
        axes.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            fontsize=7,
            color="white" if share > 0.4 else "black",
        )
    axes.set_xticks(range(len(table.columns)), table.columns, rotation=45)
    axes.set_yticks(range(len(table.index)), table.index)
    axes.set(xlabel="read", ylabel="truth", title="What was read for each truth")


def _draw_reliability(axes: "Axes", figures: Metrics) -> None:
    bands = figures.reliability[figures.reliability["n"] > 0]
    n = bands["n"].to_numpy(float)
    promised = np.maximum(bands["promised"].to_numpy(float) / n, MIN_SHARE)
    low, high = (np.maximum(bands[end].to_numpy(float) / n, MIN_SHARE) for end in ("low", "high"))
    observed = bands["observed"].to_numpy(float) / n
    has_readings = observed > 0
    axes.plot([MIN_SHARE, 1], [MIN_SHARE, 1], color="grey", linewidth=1, label="as promised")
    axes.vlines(promised, low, high, color="C0", linewidth=1, label="95% interval")
    axes.plot(promised[has_readings], observed[has_readings], "o", color="C0", label="observed")
    axes.plot(
        promised[~has_readings],
        high[~has_readings],
        "v",
        color="C0",
        markerfacecolor="white",
        label="none seen",
    )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="promised share of errors (1 - confidence)",
        ylabel="observed share of errors",
        title="Reliability, by bands of confidence",
    )
    axes.legend(frameon=False)


def _draw_review_curve(axes: "Axes", figures: Metrics) -> None:
    curve: Any = figures.curve
    axes.step(100 * curve["reviewed"], curve["left"], where="post", color="C0")
    axes.set_xlabel("least confident values a person looks at, %")
    axes.set_ylabel("errors left among the others")
    axes.set_title("Errors against review rate")
    axes.set_xlim(0, 20)
    axes.set_ylim(0)
    axes.grid(alpha=0.3)
