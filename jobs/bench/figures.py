"""What the benches measure goes into a bundle's card."""

from typing import Any


def note(model: str | None, name: str, figures: list[dict[str, Any]]) -> None:
    """Write figures under their name into a bundle's card; None for the package's own bundle."""
    from batchdigits import predict
    from batchdigits.training import bundle

    place, card = str(predict.resolve_model_path(model)), predict.load_card(model).whole
    known = {**card.get("figures", {}), name: figures}
    bundle.write(place, place, {**card, "figures": known})
