"""The state of a table in an object store: fetched for a run, and put back shard by shard."""

import os
import threading
from contextlib import suppress

from batchdigits import objects
from batchdigits.files import digest_file
from batchdigits.objects import ObjectError, Shard
from batchdigits.paths import KNOWN_NAME, SHARD_ENDING, WHOLE_ENDING, make_shard_folder


class RemoteState:
    """A state in an object store, of which the run has a copy.

    While the run reads, `state` writes shards of what it keeps beside the copy. These are put into
    the store one by one. At the end of a run that went well, the whole copy takes the place of all.

    Attributes:
        is_read: whether the run has read everything.
    """

    def __init__(self, url: str, path: str) -> None:
        """Take the URL of the state, and the path of the copy."""
        self._url, self._folder, self._path = url, f"{url}/", path
        self._shards = make_shard_folder(path)
        self._found: list[Shard] = []
        self._holder = self._number = 0
        self._digest: bytes | None = None
        self._turn = threading.Lock()
        self.is_read = False

    def fetch(self, holder: int) -> None:
        """Fetch the state, if there is one.

        Args:
            holder: the number of the lock that the run holds.

        Raises:
            ObjectError: it cannot be read, or, if an earlier version put it as one object, written.
        """
        os.makedirs(os.path.join(self._shards, KNOWN_NAME))
        self._found = objects.list_shards(self._folder)
        # Higher than all before it, even if somebody deleted the lock, which then begins again.
        self._holder = max([holder, *(one.holder + 1 for one in self._found)])
        chosen = objects.choose_shards(self._found)
        objects.fetch_shards(self._folder, chosen, self._choose_path)
        if chosen:
            self._number = chosen[-1].number
        elif objects.fetch_file(self._url, self._path):
            chosen = [self._put(self._path, is_whole=True)]
            with suppress(ObjectError):
                objects.delete_object(self._url)
        if len(chosen) == 1:  # otherwise the parts are to become one, whatever the run finds
            self._digest = digest_file(self._path)

    def _choose_path(self, shard: Shard) -> str:
        if shard.is_whole:
            return self._path
        return os.path.join(self._shards, KNOWN_NAME, f"{shard.number:09}{SHARD_ENDING}")

    def put_shards_meanwhile(self) -> None:
        """Put shards into the store while the run reads.

        Later ones tell of tables that are not in place yet.

        Raises:
            ObjectError: as `put_shards`.
        """
        if not self.is_read:
            self.put_shards()

    def put_shards(self) -> None:
        """Put the shards that the run has written into the store, in their order.

        Raises:
            ObjectError: one cannot be written; it and those after it are left for the next call.
        """
        with self._turn:
            for path in self._list_written():
                self._put(path, is_whole=path.endswith(WHOLE_ENDING))
                os.unlink(path)

    def _list_written(self) -> list[str]:
        names = os.listdir(self._shards) if os.path.isdir(self._shards) else []
        return sorted(
            os.path.join(self._shards, one)
            for one in names
            if one.endswith((WHOLE_ENDING, SHARD_ENDING)) and not one.startswith(".")
        )

    def put_whole(self) -> None:
        """Put the whole state in place of its shards, if it has changed.

        Raises:
            ObjectError: it cannot be written.
        """
        with self._turn:
            if not os.path.exists(self._path) or digest_file(self._path) == self._digest:
                return
            whole = self._put(self._path, is_whole=True)
            for path in self._list_written():  # it has what these have
                os.unlink(path)
            objects.delete_shards(self._folder, [one for one in self._found if one != whole])

    def _put(self, path: str, *, is_whole: bool) -> Shard:
        shard = Shard(self._number + 1, self._holder, is_whole)
        objects.put_shard(self._folder, shard, path)
        self._number += 1
        self._found.append(shard)
        return shard
