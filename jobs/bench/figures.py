"""What the benches measure goes into a bundle's card."""

from typing import Any


def note(model: str | None, name: str, figures: list[dict[str, Any]]) -> None:
    """Write figures under their name into a bundle's card; None for the package's own bundle."""
    from batchdigits import classify
    from batchdigits.train import bundle

    place, card = str(classify.place_of(model)), classify.card(model).whole
    known = {**card.get("figures", {}), name: figures}
    bundle.write(place, place, {**card, "figures": known})
