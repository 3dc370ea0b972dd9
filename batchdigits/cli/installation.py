"""What `info` tells: versions, devices, the model's card, and what it learned from."""

import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from batchdigits import __version__, calibrate, normalize, predict
from batchdigits.records import CalibrationBin

LIBRARIES = ("keras", "tensorflow", "numpy", "opencv-python-headless", "pillow", "pandas")
LICENCES = Path(__file__).parents[1] / "licences"
"""The folder of licence and attribution texts."""


def describe_installation(model: str | None) -> Iterator[str]:
    """Yield the lines of `info`: versions, devices, and the model's card.

    Raises:
        ModelError: there is no such model.
    """
    card = predict.load_card(model)
    yield f"batchdigits {__version__}, preprocessing {normalize.VERSION}"
    yield f"Python {platform.python_version()} on {platform.platform()}"
    yield from (f"{library} {version}" for library, version in list_library_versions().items())
    yield predict.describe_devices()
    yield from _describe_card(card)


def _describe_card(card: predict.Card) -> Iterator[str]:
    """Yield the lines of a card that matter to people; card.json has the rest."""
    if not card.calibrated:
        yield f"model {card.name}: uncalibrated (`batchdigits calibrate` makes a bundle of it)"
        yield f"  default threshold {card.threshold:.4f}"
        return
    yield f"model {card.name}: calibrated"
    yield f"  classes 0 to 9{', and not a digit' if predict.NONE_CLASS in card.classes else ''}"
    yield f"  default threshold {card.threshold:.4f}"
    shown: dict[str, Any] = {
        name: card.whole[name] for name in ("calibration", "measured") if name in card.whole
    }
    shown["calibration"] = {**shown["calibration"], "readings": _describe_readings(card.readings)}
    if "numbers" in card.whole:
        left_out = ("calibration", "training")
        numbers = {key: one for key, one in card.whole["numbers"].items() if key not in left_out}
        shown["numbers of several digits"] = numbers
    yield from _format_nested(shown, "  ")
    yield from _describe_sources(card)


def _describe_sources(card: predict.Card) -> Iterator[str]:
    """Yield what a model learned from, each with its licence."""
    learned = [*_list_sources(card.whole), *_list_sources(card.whole.get("numbers", {}))]
    if not learned:
        return
    yield "  learned from"
    width = max(len(licence) for _, licence in learned)
    yield from (f"    {licence:<{width}}  {source}" for source, licence in learned)
    yield f"licences and attribution of the models in the package: {LICENCES}"


def _list_sources(card: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the sources that a card, or its part for numbers, lists, each with its licence."""
    for one in card.get("training", ()):
        if isinstance(one, dict) and "source" in one:
            yield str(one["source"]), str(one.get("licence", "no licence stated"))


def _describe_readings(readings: Sequence[CalibrationBin]) -> str:
    """Sum up a card's calibration data, and the --target-error that they support."""
    if not readings:
        return "none: --target-error wants some (`batchdigits calibrate`)"
    right, wrong = (sum(one[column] for one in readings) for column in (1, 2))
    min_error = calibrate.compute_min_target_error(readings)
    supported = "no --target-error" if min_error >= 1 else f"--target-error {min_error:g} and more"
    return f"{right + wrong:,} values, {wrong:,} of them wrong: enough for {supported}"


def list_library_versions() -> dict[str, str]:
    """Return the versions of the main libraries by name."""
    return {library: _find_version(library) for library in LIBRARIES}


def _find_version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _format_nested(value: Any, indent: str) -> Iterator[str]:
    """Yield a nested dict or list as indented lines."""
    items = value.items() if isinstance(value, dict) else (("-", one) for one in value)
    for name, one in items:
        if isinstance(one, dict | list) and one and not _is_flat_list(one):
            yield f"{indent}{name}"
            yield from _format_nested(one, indent + "  ")
        else:
            text = ", ".join(map(str, one)) if isinstance(one, list) else one
            yield f"{indent}{name} {text}"


def _is_flat_list(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(one, dict | list) for one in value)
