"""On what terms a model may serve a run: its preprocessing, and the threshold for `ok`."""

from collections.abc import Sequence
from dataclasses import replace

from batchdigits import calibrate, classify
from batchdigits.errors import ModelError
from batchdigits.normalize import VERSION, strips
from batchdigits.options import RunOptions
from batchdigits.records import Reading


def usable_card(model: str | None) -> classify.Card:
    """Read a model's card, and refuse one that was made for another preprocessing.

    Raises:
        ModelError: so it was, or there is no such model.
    """
    card = classify.card(model)
    if card.preprocessing not in (None, VERSION):
        raise ModelError(
            f"model '{card.name}' expects preprocessing version {card.preprocessing}, this is "
            f"version {VERSION}: train it again, or install the batchdigits it came with"
        )
    if card.numbers is not None and card.numbers.preprocessing != strips.VERSION:
        raise ModelError(
            f"the number reader of model '{card.name}' expects preprocessing version "
            f"{card.numbers.preprocessing}, this is version {strips.VERSION}: train it again, or "
            "install the batchdigits it came with"
        )
    return card


def settled(options: RunOptions) -> RunOptions:
    """Put the threshold that `target_error` asks for in its place, as `min_confidence`.

    Raises:
        ModelError: the model has no calibration data, or they do not support so small an error.
        UsageError: the audited results cannot be read.
    """
    if options.target_error is None:
        return options
    readings = _calibration_data(options)
    threshold = calibrate.threshold_for(readings, options.target_error)
    return replace(options, min_confidence=threshold, target_error=None, calibration=None)


def _calibration_data(options: RunOptions) -> Sequence[Reading]:
    card = classify.card(options.model)
    given = options.model or classify.place_of(None)
    help_ = f"`batchdigits calibrate --model '{given}' --data LABELLED --out BUNDLE` makes "
    if not card.calibrated:
        raise ModelError(
            f"--target-error: model '{card.name}' is uncalibrated, so that its confidences "
            f"promise nothing: {help_}a bundle that serves"
        )
    if options.calibration is not None:
        return calibrate.audited(options.calibration)
    if not card.readings:
        raise ModelError(
            f"--target-error: the card of model '{card.name}' holds no calibration data "
            f"(calibration.readings): {help_}one that does, or give --calibration FILE"
        )
    return card.readings
