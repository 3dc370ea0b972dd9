"""How far each epoch of a training has come, as a file, a line and curves."""

from pathlib import Path
from typing import Any

import numpy as np

from batchdigits.labelled import LabelledCrops
from batchdigits.normalize import shares
from batchdigits.training import show
from batchdigits.training.corpus import gather
from batchdigits.training.course import Tell
from batchdigits.training.default import DefaultPlan


class EpochDiary:
    """Keeps how well what is held out is read after each epoch, and draws the curves."""

    def __init__(self, work: Path, plan: DefaultPlan, unseen: LabelledCrops, tell: Tell) -> None:
        """Prepare to read what is held out.

        Args:
            work: folder for the history and the curves.
            plan: of the training; an earlier history is continued if its checkpoint is there.
            unseen: what is held out.
            tell: takes a line for each epoch.
        """
        seen = gather({"held out": unseen})
        self._pictures, self._labels = shares(seen.plain[..., np.newaxis]), seen.labels
        self._work, self._count, self._tell = work, plan.count, tell
        file = self._file = work / f"{plan.kind}_history.csv"
        self._kind = plan.kind
        resumed = plan.checkpoint.exists() and file.exists()
        self._epochs = show.told(file) if resumed else []

    def note_epoch(self, epoch: int, loss: float, model: Any) -> None:
        """Read what is held out, write the history and tell a line.

        Args:
            epoch: its number from 1.
            loss: its mean loss.
            model: the network after it.
        """
        logits = model.predict(self._pictures, batch_size=256, verbose=0)
        right = float((logits.argmax(axis=1) == self._labels).mean())
        earlier = [one for one in self._epochs if one["epoch"] < epoch]
        self._epochs = [*earlier, {"epoch": epoch, "loss": loss, "val_accuracy": right}]
        show.history(self._file, self._epochs)
        self._tell(
            f"{self._kind}: epoch {epoch} of {self._count}: loss {loss:.4f}, held out {right:.4f}"
        )

    def draw_curves(self) -> None:
        """Draw the curves, if matplotlib is installed."""
        if not show.curves(self._work / f"{self._kind}_curves.png", self._kind, self._epochs):
            self._tell(show.NO_CURVES)
