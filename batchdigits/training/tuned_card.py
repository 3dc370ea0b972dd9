"""The card of a bundle that learned from an inbox."""

from typing import Any, NamedTuple

from batchdigits import predict
from batchdigits.training.comparison import Comparison, describe_digits
from batchdigits.training.corrected import CorrectedValues
from batchdigits.training.number_comparison import NumberComparison, describe_numbers

OWN_LICENCE = "of whoever owns the scans"


class Learned(NamedTuple):
    """What a bundle learned from an inbox.

    Attributes:
        digits: how digits are read; None where the digit networks stay as they were.
        numbers: how numbers are read; None where the number reader stays as it was.
        reasons: why one of them stays, by what it reads.
    """

    digits: Comparison | None
    numbers: NumberComparison | None
    reasons: dict[str, str]


def make_card(
    card: predict.Card, learned: Learned, corrected: CorrectedValues, name: str
) -> dict[str, Any]:
    """Return the card of a tuned bundle, calibrated anew.

    Args:
        card: of the bundle to start from.
        learned: how values are read before and after.
        corrected: what was learned from.
        name: of the bundle.
    """
    digits = numbers = {}
    if learned.digits is not None:
        digits = describe_digits(card, learned.digits, corrected.digits)
    if learned.numbers is not None:
        numbers = {"numbers": describe_numbers(card, learned.numbers, corrected.numbers)}
    return {
        **card.whole,
        "name": name,
        **digits,
        **numbers,
        "fine-tuned": _describe_tuning(card, learned),
        "training": [
            *card.whole.get("training", []),
            {
                "source": f"what people said about {corrected.table}",
                "licence": OWN_LICENCE,
                "crops": len(corrected.digits.labels) if learned.digits else 0,
                "numbers": len(corrected.numbers.digits) if learned.numbers else 0,
                "pages": corrected.page_count,
            },
        ],
    }


def _describe_tuning(card: predict.Card, learned: Learned) -> dict[str, Any]:
    shares = dict[str, float]()
    before = dict[str, Any]()
    if learned.digits is not None:
        shares.update({str(kind): share for kind, share in learned.digits.shares.items()})
        before["digits"] = card.whole.get("measured", {})
    if learned.numbers is not None:
        shares["number"] = learned.numbers.share
        before["numbers"] = card.whole["numbers"].get("measured", {})
    return {
        "from": card.name,
        **{f"{what} stay as they were": why for what, why in learned.reasons.items()},
        "shares of the tuned weights": shares,
        "measured before": before,
    }
