"""`--engine ray`: files are read on the machines of a Ray cluster, models and all.

Each process of Ray has the model, and a worker process that decodes and cuts pages. Findings come
back in the order of the files; the state and the tables stay with the process that began the run.
"""

import gc
import logging
import os
import socket
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import Any

from batchdigits import __version__, predict, workers
from batchdigits.errors import ModelError, UsageError
from batchdigits.extract.chunk_builder import ExtractedChunk
from batchdigits.extract.stream import (
    MAX_BATCH_WAIT_S,
    WORKER_MEMORY_MIB,
    make_chunk_function,
    make_failed_chunk,
    make_file_chunks,
)
from batchdigits.extract.tasks import FileTasks, Task
from batchdigits.job import Job, list_reading_versions
from batchdigits.options import Runtime
from batchdigits.predict.plain_digits import ChunkFindings
from batchdigits.predict.predictor import UNCALIBRATED_MESSAGE, Predictor
from batchdigits.register import FormTemplates
from batchdigits.workers import ray_engine, ray_task
from batchdigits.workers.faults import Limits

log = logging.getLogger(__name__)

GC_THRESHOLD = 50_000
"""New objects before Python collects garbage in a process of Ray, as in `cli.run`."""
Outcomes = Sequence[workers.ChunkOutcome[Task, ExtractedChunk]]


def read_files(tasks: FileTasks, job: Job) -> Generator[list[ChunkFindings]]:
    """Read files on the cluster that the options name.

    Args:
        tasks: one for each file, in the order of the table, counted by `count_pages`.
        job: says how to read.

    Yields:
        Batches of findings, in order.

    Raises:
        UsageError: Ray is missing, the cluster cannot be reached, or a machine of it has another
            version, another model, or not the INPUTs.
        ModelError: the model cannot be used there.
    """
    if not tasks.sources:
        return
    options = job.options
    place = ray_engine.RayPlace(options.ray_address, options.workers, options.device != "cpu")
    executor = ray_engine.RayExecutor(Limits(options.page_seconds, WORKER_MEMORY_MIB), place)
    setup = ray_task.Setup(
        make_chunk_function(options, job.forms),
        Limits(options.page_seconds, WORKER_MEMORY_MIB),
        ChunkReader(options.model, options.device, job.forms, options.runtime),
        MachineCheck.of_job(job),
    )
    if not job.card.calibrated:  # nobody sees what a process of Ray logs
        log.warning(UNCALIBRATED_MESSAGE, job.card.name)
    with executor.connect() as processors:
        chunks = make_file_chunks(tasks, processors, job.forms)
        with closing(executor.map_finished(setup, chunks)) as outcomes:
            yield from _gather_batches(outcomes, options.batch_size, job.forms)


class ChunkReader:
    """Reads what a worker process extracted; it loads the model when the first picture comes."""

    def __init__(
        self,
        model: str | None,
        device: str,
        forms: FormTemplates,
        runtime: Runtime = "tensorflow",
    ) -> None:
        """Take which model to use, on which device and by what, and the forms of the pages."""
        self._model, self._device, self._forms = model, device, forms
        self._runtime = runtime
        self._predictor: Predictor | None = None

    def __call__(self, outcomes: Outcomes) -> list[ChunkFindings]:
        """Return findings without their tasks, which the caller has."""
        if self._predictor is None:
            gc.set_threshold(GC_THRESHOLD)
            self._predictor = Predictor(predict.load_card(self._model), self._device, self._runtime)
        batch = [
            (one.items, one.result or make_failed_chunk(one.items[0], one.fault, self._forms))
            for one in outcomes
        ]
        return [one.without_tasks() for one in self._predictor.predict_batch(batch)]


@dataclass(frozen=True)
class MachineCheck:
    """What a machine of the cluster must have, so that its rows are those of any other.

    Attributes:
        versions: of the package and of how it reads.
        model: as the options name it.
        fingerprint: of the model's files.
        inputs: INPUTs that the process that began the run can see.
    """

    versions: tuple[Any, ...]
    model: str | None
    fingerprint: str
    inputs: tuple[str, ...]

    @classmethod
    def of_job(cls, job: Job) -> "MachineCheck":
        """Return what this machine has."""
        seen = [one for one in job.inputs.typed if os.path.exists(one)]
        seen += [one for one in job.inputs.listed if os.path.exists(one)][:1]
        return cls(list_versions(), job.options.model, job.fingerprint, tuple(seen))

    def __call__(self) -> None:
        """Raise `UsageError` if this machine has something else."""
        machine = f"machine '{socket.gethostname()}' of the Ray cluster"
        if list_versions() != self.versions:
            raise UsageError(
                f"{machine} has batchdigits {__version__}, or other files of it, than this one "
                f"({self.versions[0]}): install the same on all"
            )
        if not _is_same_model(self.model, self.fingerprint):
            raise UsageError(
                f"{machine} has not the same --model: put it on a disk that every machine mounts"
            )
        if hidden := next((one for one in self.inputs if not os.path.exists(one)), None):
            raise UsageError(
                f"{machine} cannot see INPUT '{hidden}': mount its disk there at the same place, "
                "or give it as a URL"
            )


def list_versions() -> tuple[Any, ...]:
    """Return the version of the package, and what says how it reads."""
    return __version__, *list_reading_versions()


def _is_same_model(model: str | None, fingerprint: str) -> bool:
    try:
        return predict.fingerprint_model(model) == fingerprint
    except ModelError:
        return False


def _gather_batches(
    outcomes: Generator[workers.ChunkOutcome[Task, list[ChunkFindings]]],
    batch_size: int,
    forms: FormTemplates,
) -> Generator[list[ChunkFindings]]:
    """Gather the findings of chunks into batches of `batch_size`, or of `MAX_BATCH_WAIT_S`."""
    batch: list[ChunkFindings] = []
    count, since = 0, monotonic()
    for outcome in outcomes:
        found = outcome.result or _make_lost_findings(outcome.items[0], outcome.fault, forms)
        start = 0
        for one in found:
            batch.append(one.with_tasks(outcome.items[start : start + one.task_count]))
            start += one.task_count
        count += start
        if count >= batch_size or monotonic() - since > MAX_BATCH_WAIT_S:
            yield batch
            batch, count, since = [], 0, monotonic()
    if batch:
        yield batch


def _make_lost_findings(task: Task, fault: str, forms: FormTemplates) -> list[ChunkFindings]:
    """Return the error of a task whose machines were lost again and again."""
    return ChunkReader(None, "cpu", forms)([workers.ChunkOutcome([task], None, fault)])
