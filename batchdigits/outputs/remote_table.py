"""A table in an object store: one object, or a folder of parts; and the copy that a run writes."""

import os

from batchdigits import objects
from batchdigits.errors import UsageError
from batchdigits.files import digest_file
from batchdigits.objects import ObjectError
from batchdigits.outputs import part_journal, sharded
from batchdigits.paths import MANIFEST_NAME, make_corrections_path, make_state_path

MARKS = (sharded.SUCCESS_NAME, MANIFEST_NAME)
"""What a folder of parts has when it is whole."""


class RemoteTable:
    """A table in an object store, and the copy that the run works on.

    Attributes:
        option: that names it.
        url: of the table; of a folder of parts it ends with `/`.
        place: the URL without that.
        folder: of the copy, which has the table's name.
        path: of the copy.
        state_path: of the copy of its state.
    """

    def __init__(self, option: str, url: str, folder: str) -> None:
        """Make the folder of the copy.

        Raises:
            UsageError: the URL names a whole bucket, or its scheme cannot be used.
        """
        objects.check_scheme(url)
        self.option, self.url, self.folder = option, url, folder
        self.place = url.rstrip("/")
        if "/" not in self.place.partition("://")[2]:
            raise UsageError(
                f"--{option.replace('_', '-')} '{url}' is a bucket: expected a folder in it, for "
                f"state and lock are beside the table: {self.place}/results/"
            )
        self._is_folder = url.endswith("/")
        self.path = os.path.join(folder, os.path.basename(self.place)) + "/" * self._is_folder
        self.state_path = make_state_path(self.path)
        self._before: dict[str, bytes] = {}
        self._known: part_journal.Digests = {}
        os.mkdir(folder)

    def fetch(self) -> None:
        """Fetch the table and what people said about it, as far as they exist.

        Raises:
            UsageError: a folder for parts holds other objects.
            ObjectError: the store cannot be read.
        """
        if self._is_folder:
            self._fetch_parts()
        else:
            self._fetch_file(self.url, self.path)
        if self.option == "out":
            said = make_corrections_path(self.path)
            self._fetch_file(f"{self.place}.corrections.csv", said)

    def _fetch_parts(self) -> None:
        names = objects.list_names(self.url)
        sharded.check_part_names(self.url, names)
        if names:
            os.mkdir(self.path)
        paths = {
            self.url + name: os.path.join(self.path, name)
            for name in names
            if not name.startswith(sharded.KEPT_PREFIX)
        }
        objects.fetch_files([*paths.items()])
        self._before |= {path: digest_file(path) for path in filter(os.path.exists, paths.values())}
        self._known = part_journal.load_digests(self.path)

    def _fetch_file(self, url: str, path: str) -> None:
        if objects.fetch_file(url, path):
            self._before[path] = digest_file(path)

    def publish(self) -> None:
        """Put in place what the run wrote, as far as it has changed.

        Raises:
            ObjectError: an object cannot be written; of a folder, the parts that are in place stay.
        """
        names = [one for one in os.listdir(self.folder) if not one.startswith(".")]
        for name in sorted(names, key=lambda one: one == os.path.basename(self.path)):
            path = os.path.join(self.folder, name)  # what was kept aside first
            is_state = path.startswith(self.state_path)
            if os.path.isfile(path) and not is_state and self._has_changed(path):
                objects.put_file(path, objects.make_url(self.place, name))
        if self._is_folder:
            self._publish_parts()

    def _publish_parts(self) -> None:
        """Put parts in place; the marks of a whole table are away meanwhile, as in `sharded`."""
        names = sorted(one for one in os.listdir(self.path) if not one.startswith("."))
        paths = {name: os.path.join(self.path, name) for name in names}
        changed = [name for name in names if self._has_changed(paths[name])]
        journal = os.path.join(self.path, part_journal.JOURNAL_NAME)
        gone = [path for path in self._before if self._was_part(path) and not os.path.exists(path)]
        if not changed and not gone and journal not in self._before:
            return
        for part in sharded.load_manifest(self.path)["parts"]:
            part_journal.add_digest(self._known, part["name"], part["sha256"])
        part_journal.save_journal(self.path, self._known)
        objects.put_file(journal, self.url + part_journal.JOURNAL_NAME)
        self._delete(*MARKS)
        for name in changed:  # `_kept-…` precedes `part-…`
            if name not in MARKS:
                objects.put_file(paths[name], self.url + name)
        self._delete(*map(os.path.basename, gone))
        for name in reversed(MARKS):  # the mark last
            objects.put_file(paths[name], self.url + name)
        self._delete(part_journal.JOURNAL_NAME)

    def _delete(self, *names: str) -> None:
        for name in names:
            try:
                objects.delete_object(self.url + name)
            except ObjectError as fault:
                if fault.kind != "missing":
                    raise

    def _has_changed(self, path: str) -> bool:
        return self._before.get(path) != digest_file(path)

    def _was_part(self, path: str) -> bool:
        folder, name = os.path.split(path)
        return folder == self.path.rstrip("/") and not name.startswith(".")
