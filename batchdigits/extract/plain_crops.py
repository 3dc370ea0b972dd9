"""Files that are one plain digit each, by columns: most files of a folder or archive of crops.

A crop as a record of its own is a dozen objects, which are made in a worker, sent, and unpacked in
the process that keeps the books. By columns it is a few numbers.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from batchdigits.extract.chunk_builder import ExtractedChunk, ExtractedItem
    from batchdigits.extract.tasks import Task


class PlainCrops(NamedTuple):
    """Files of a chunk that are one image of one digit, of which there is nothing more to say.

    They have not changed since they were listed, so that size and time are those of their tasks.
    Members of archives are among them, whose size and time are those of their archives.
    Row n of each column belongs to the same file.

    Attributes:
        indexes: of their tasks within the chunk, ascending.
        widths: of the images, px.
        heights: likewise.
        sures: as `FileSnapshot.sure`.
        contents: digests of their bytes.
    """

    indexes: Sequence[int] = ()
    widths: Sequence[int] = ()
    heights: Sequence[int] = ()
    sures: Sequence[int] = ()
    contents: Sequence[bytes] = ()


def separate_plain_crops(chunk: "ExtractedChunk", tasks: Sequence["Task"]) -> "ExtractedChunk":
    """Return a chunk with its plain crops by columns, and their pictures after all others.

    Args:
        chunk: without columns yet, with a snapshot for each task.
        tasks: of the chunk.
    """
    counts = Counter([item.source for item in chunk.items])
    items: list[ExtractedItem] = []
    rows: list[tuple[int, int, int, int, bytes]] = []
    others: list[int] = []
    plain: list[int] = []
    picture = 0
    for item in chunk.items:
        index = item.source
        if counts[index] == 1 and _is_plain(item):
            stood = chunk.stood[index]
            if stood and stood.content is not None and _is_whole_file(tasks[index]):
                rows.append((index, *item.spots[0].place[2:], stood.sure, stood.content))
                plain.append(picture)
                picture += 1
                continue
        items.append(item)
        count = sum(spot.status is None for spot in item.spots) if item.number is None else 0
        others.extend(range(picture, picture + count))
        picture += count
    if not rows:
        return chunk
    columns = PlainCrops(*zip(*rows, strict=True))
    left = list(chunk.stood)
    for index in columns.indexes:
        left[index] = None
    pictures = chunk.pictures[np.array([*others, *plain])]
    return chunk._replace(items=items, pictures=pictures, stood=left, plain=columns)


def _is_plain(item: "ExtractedItem") -> bool:
    """Return whether an item is a whole image of one digit, of which there is nothing to note."""
    if item.page != 1 or item.status is not None or item.detail or item.field is not None:
        return False
    if item.number is not None or not item.described or len(item.spots) != 1:
        return False
    status, detail, place, mark, point = item.spots[0]
    return status is None and not (detail or mark or point) and place[:2] == (0, 0)


def _is_whole_file(task: "Task") -> bool:
    """Return whether a task is all of a file of this machine, or all of a member of an archive.

    A snapshot is wanted of it.
    """
    if task.entry is None or task.page is not None or task.known or task.closes:
        return False
    return task.expected == 1 and (bool(task.archive) or task.source.listed is None)
