"""Findings of a run are kept in its state: plain digits many at a time, all else file by file."""

from collections.abc import Sequence

from batchdigits.extract.chunk_builder import ExtractedItem
from batchdigits.job import Job
from batchdigits.predict.findings import Finding, TaskFindings, decode_findings, encode_findings
from batchdigits.predict.plain_digits import ChunkFindings, PlainDigits, decode_file_findings
from batchdigits.records import FileSnapshot
from batchdigits.state import StateStore, renewal
from batchdigits.state.archives import ArchiveKeeper
from batchdigits.summary import Summary

CHANGED_DETAIL = "it changed while it was read: run again when it is complete"


class FindingsKeeper:
    """Keeps what a run reads; one thread at a time calls it.

    Attributes:
        pages: file → page → its findings as text, of files of which earlier runs read some pages.
        unseen: as in `sources.FoundSources`; archives that break off are added.
        reused: files that got the findings of another, which has the same content.
        replaced: number of files that took the rows of one that was moved away.
        lost: number of files that changed while they were read.
    """

    def __init__(
        self, job: Job, store: StateStore, key: int, summary: Summary, archives: ArchiveKeeper
    ) -> None:
        """Take the job, its open state, and the number of the run's key there."""
        self._job, self._store, self._key, self._summary = job, store, key, summary
        self._archives = archives
        self._moves, self._has_earlier = store.has_moved_files(), store.has_readings()
        self._parts: list[TaskFindings] = []
        self.pages: dict[str, dict[int, str]] = {}
        self.unseen: list[str] = []
        self.reused: set[str] = set()
        self.replaced = self.lost = 0

    def reuse_reading(self, entry: FileSnapshot) -> bool:
        """Give a file the findings of its content, if that was read; return whether it was."""
        replaces = self._moves and self._store.has_moved_predecessor(entry)
        is_new = self._store.load_earlier_reading(entry) is None
        if entry.content is None or not self._store.reuse_reading(entry, self._key):
            return False
        self.replaced += replaces
        self.reused.update([entry.file] if is_new else [])
        self._store.mark_tables_stale()
        return True

    def keep_batch(self, batch: list[ChunkFindings]) -> list[ChunkFindings]:
        """Keep a batch, and return it. Of a file that goes on, keep the pages."""
        with self._summary.time_work("keep"), self._store.transaction():
            for chunk in batch:
                if chunk.plain is not None and not self._moves:
                    entries = chunk.plain.list_snapshots(chunk.tasks)
                    self._keep_plain_digits(entries, chunk.plain)
                    self._archives.note_plain(chunk.tasks, chunk.plain.crops.indexes, entries)
                    tasks_findings = chunk.others
                else:
                    tasks_findings = chunk.list_findings()
                for task_findings in tasks_findings:
                    self._parts.append(task_findings)
                    if task_findings.task.last:
                        self._keep_file(self._parts)
                        self._parts = []
                    else:
                        self._keep_page(task_findings)
        self._store.write_shard()
        return batch

    def _keep_plain_digits(self, entries: Sequence[FileSnapshot], plain: PlainDigits) -> None:
        """Keep the findings of files that are one plain digit each, all at once."""
        texts = plain.encode()
        if self._has_earlier:
            earlier = self._store.load_earlier_readings(entries)
            for entry, text in zip(entries, texts, strict=True):
                before = earlier.get(entry.file)
                if before is not None and before[1] != text:
                    findings = decode_file_findings(text)
                    renewal.count_changes(entry.file, before, findings, self._job, self._summary)
        self._store.save_readings(entries, self._key, texts)
        self._store.mark_tables_stale()

    def _keep_file(self, parts: Sequence[TaskFindings]) -> None:
        """Keep the findings of a file, in the order of its pages."""
        task, stood = parts[0].task, parts[-1].stood
        source, listed = task.source, task.entry
        if stood is not None and task.content is not None and self.reuse_reading(stood):
            self._archives.note_kept(task, stood, failed=False)
            return
        if listed is None or stood is None or any(part.stood is None for part in parts):
            if source.named:  # it has a row whatever happens
                entry = FileSnapshot(source.file, -1, -1)  # differs from any file, so is read again
                self._put_findings(entry, [Finding(ExtractedItem(0, 1, "error", CHANGED_DETAIL))])
            else:
                self._summary.left += 1
                self.lost += 1
            self._archives.note_lost(task)
            return
        pages = {part.task.page or 0: part.findings for part in parts}
        if parts[0].task.page is not None:  # pages that earlier runs read belong to it too
            before = self.pages.pop(source.file, {}).items()
            pages |= {page: decode_findings(one) for page, one in before if page not in pages}
        if task.closes and source.fault:  # more may be in it than was found
            self.unseen.append(source.file)
        again = self._archives.is_troubled(task)
        findings = [one for page in sorted(pages) for one in pages[page]]
        failed = self._put_findings(stood, findings, again=again)
        self._archives.note_kept(task, stood, failed=failed)

    def _keep_page(self, task_findings: TaskFindings) -> None:
        """Keep the findings of a page, in case the run ends before all of its file is read."""
        page, stood = task_findings.task.page, task_findings.stood
        failed = any(one.item.status == "error" for one in task_findings.findings)
        if page is not None and stood is not None and stood.sure and not failed:
            self._store.save_page_findings(
                stood, self._key, page, encode_findings(task_findings.findings)
            )

    def _put_findings(
        self, entry: FileSnapshot, findings: Sequence[Finding], *, again: bool = False
    ) -> bool:
        """Keep findings; return whether the file is read again next time, as `again` asks."""
        failed = again or any(one.item.status == "error" for one in findings)
        self.replaced += self._moves and self._store.has_moved_predecessor(entry)
        if earlier := self._store.load_earlier_reading(entry):
            renewal.count_changes(entry.file, earlier, findings, self._job, self._summary)
        self._store.save_findings(entry, self._key, encode_findings(findings), failed=failed)
        self._store.mark_tables_stale()
        return failed
