"""Pictures of fields for a report, found by the table's state and cut out of the files."""

from collections.abc import Sequence

from batchdigits.errors import UsageError
from batchdigits.evaluate.sections import CropLookup
from batchdigits.options import RunOptions
from batchdigits.review import (
    OpenResults,
    ReviewItem,
    ViewOptions,
    find_quarters,
    make_item,
    open_results,
    show_items,
)

Key = tuple[str, int, str]


def make_crop_lookup(table: str, options: RunOptions) -> CropLookup:
    """Return what finds the pictures of a table's fields; those of other programs have none.

    Args:
        table: path of the results.
        options: how files are read: `state`, `wait`, `max_pixels`, `page_seconds`, `workers`.
    """

    def find_crops(keys: Sequence[Key]) -> Sequence[bytes | None]:
        if not keys:
            return []
        try:
            with open_results(table, options.state, options.wait) as opened:
                found = _find_items(opened, set(keys))
        except UsageError:
            return [None] * len(keys)
        views = ViewOptions((), options.max_pixels, options.page_seconds, options.workers)
        shown, _ = show_items(list(found.values()), views)
        crops = {
            key: None if one.view is None else one.view.strip
            for key, one in zip(found, shown, strict=True)
        }
        return [crops.get(key) for key in keys]

    return find_crops


def _find_items(opened: OpenResults, wanted: set[Key]) -> dict[Key, ReviewItem]:
    files = {file for file, _, _ in wanted}
    found: dict[Key, ReviewItem] = {}
    for one in opened.read_files():
        if one.file not in files:
            continue
        quarters = find_quarters(one.findings)
        for at, row in enumerate(one.rows.rows):
            if (key := (row.file, row.page, row.field)) in wanted:
                found[key] = make_item(one, at, quarters=quarters.get(row.page, 0))
    return found
