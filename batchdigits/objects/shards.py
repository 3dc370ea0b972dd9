"""A state in an object store: a folder with a whole copy, and shards of what was read since.

An object there is never replaced. Its name says its place in the order, and which lock its run
held: `000000012-000000003.state` is a whole copy, `000000013-000000003.shard` what was read after
it. A run that goes on after it lost its lock unnoticed may still put some; its lock has a lower
number than that of the run that took over, so that these are told from those that count.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from batchdigits.objects import store
from batchdigits.objects.fetch import fetch_files
from batchdigits.objects.store import ObjectError

AT_ONCE = 16
"""Objects that are deleted at a time."""
WHOLE_SUFFIX, SHARD_SUFFIX = ".state", ".shard"
_NAME = re.compile(rf"(\d{{9,}})-(\d{{9,}})(\{WHOLE_SUFFIX}|\{SHARD_SUFFIX})")


class Shard(NamedTuple):
    """An object of a state.

    Attributes:
        number: its place in the order.
        holder: the number of the lock that its run held.
        is_whole: whether it is a whole copy.
    """

    number: int
    holder: int
    is_whole: bool

    @property
    def name(self) -> str:
        """The name of the object in its folder."""
        suffix = WHOLE_SUFFIX if self.is_whole else SHARD_SUFFIX
        return f"{self.number:09}-{self.holder:09}{suffix}"


def list_shards(folder: str) -> list[Shard]:
    """Return the objects of a state in the folder of a URL that ends with `/`.

    Raises:
        ObjectError: it cannot be listed.
    """
    found = map(_NAME.fullmatch, store.list_names(folder))
    return [Shard(int(one[1]), int(one[2]), one[3] == WHOLE_SUFFIX) for one in found if one]


def choose_shards(found: Iterable[Shard]) -> list[Shard]:
    """Return the last whole copy that counts, and the shards that follow it; may be empty.

    What a run put at the place of an object of a later lock, or behind it, does not count.
    """
    latest, valid = 0, []
    for one in sorted(found, key=lambda one: (one.number, -one.holder)):
        if one.holder >= latest:
            latest = one.holder
            valid.append(one)
    begin = max((at for at, one in enumerate(valid) if one.is_whole), default=len(valid))
    chosen = valid[begin : begin + 1]
    for one in valid[begin + 1 :]:
        if one.number != chosen[-1].number + 1:
            break
        chosen.append(one)
    return chosen


def fetch_shards(folder: str, wanted: Sequence[Shard], choose_path: Callable[[Shard], str]) -> None:
    """Fetch objects of a state, each to the path that `choose_path` returns.

    Raises:
        ObjectError: one of them is missing, or cannot be read.
    """
    if not all(fetch_files([(folder + one.name, choose_path(one)) for one in wanted])):
        raise ObjectError("passing", "a part of the state was deleted meanwhile")


def put_shard(folder: str, shard: Shard, path: str) -> None:
    """Put a file in place as an object of a state.

    Raises:
        ObjectError: it cannot be written.
    """
    store.put_file(path, folder + shard.name)


def delete_shards(folder: str, unwanted: Iterable[Shard]) -> None:
    """Delete objects of a state that no longer count; what cannot be deleted stays."""

    def delete(one: Shard) -> None:
        with suppress(ObjectError):
            store.delete_object(folder + one.name)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(delete, unwanted))
