"""One worker process: started, sent chunks, stopped, and replaced after a crash."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from batchdigits.errors import BatchdigitsError
from batchdigits.workers.executor import Answer, call_chunk
from batchdigits.workers.faults import (
    TIMEOUT_EXIT_CODE,
    Limits,
    describe_error,
    describe_worker_exit,
)

_MAX_STARTS = 3
_START_SECONDS = 120.0  # a cold network drive may take its time over a first import
_REAP_SECONDS = 10.0


class WorkerSlot:
    """One worker slot: starts the process, sends it chunks, replaces it after a crash.

    One thread calls `run_tasks`; any thread may call `shut_down`.
    """

    def __init__(self, greeting: bytes, limits: Limits) -> None:
        """Take the first message to every new worker, and the limits of a call."""
        self._greeting, self._limits = greeting, limits
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection
        self._used = False
        self._shut = False
        self._lock = threading.Lock()  # so that no process starts after `shut_down`

    def run_tasks(self, tasks: SimpleQueue[Any]) -> None:
        """Take tasks from the queue and answer each, until None comes; runs in its own thread."""
        # Workers inherit this mask from their first moment, and so obey the parent alone. A
        # terminal's Ctrl-C and a service manager's stop reach every process of the group; a worker
        # that died of one would look like a fault of its items.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        while task := tasks.get():
            chunk, future = task
            try:
                future.set_result(call_chunk(chunk, self._call_worker))
            except BaseException as error:  # the caller waits for this future in any case
                future.set_exception(error)
        self._stop_worker()

    def shut_down(self) -> None:
        """Kill the worker and start no other; the slot's own thread reaps it."""
        with self._lock:
            self._shut = True
            if self._process is not None:
                self._process.kill()

    def _call_worker(self, items: list[Any]) -> Answer:
        try:
            message = pickle.dumps(items, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            return Answer(None, describe_error(error))
        if self._process is None:
            self._start_worker()
        return self._request_answer(message, self._limits)

    def _start_worker(self) -> None:
        """Start a worker and wait until it is ready.

        Raises:
            BatchdigitsError: several attempts failed, or the slot was shut down.
        """
        cause = ""
        for _ in range(_MAX_STARTS):
            try:
                self._spawn_process()
                cause = self._request_answer(self._greeting, Limits(_START_SECONDS, 0)).fault
            except OSError as error:
                cause = describe_error(error)
            if not cause:
                self._used = False
                return
            self._stop_worker()
        raise BatchdigitsError(
            f"a worker process cannot be started: {cause}; to see what it prints, set "
            "BATCHDIGITS_DEBUG=1 in the environment"
        )

    def _spawn_process(self) -> None:
        with self._lock:
            if self._shut:
                raise BatchdigitsError("no worker can be started: the run was closed")
            self._line, theirs = Pipe()  # no other worker inherits it, so closing it means EOF
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "batchdigits.workers", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=None if os.environ.get("BATCHDIGITS_DEBUG") else subprocess.DEVNULL,
                    env=_build_environment(),
                )

    def _request_answer(self, message: bytes, limits: Limits) -> Answer:
        """Send a message and wait for the answer; stop the worker if none comes."""
        used, self._used = self._used, True
        code: int | None = TIMEOUT_EXIT_CODE
        try:
            self._line.send_bytes(message)
            while self._line.poll(limits.seconds):
                if answer := self._line.recv_bytes():  # an empty message is a heartbeat
                    return Answer(*pickle.loads(answer))
            self._stop_worker()
        except (EOFError, OSError):
            code = self._stop_worker()
        except Exception as error:  # the result can be pickled, but not unpickled
            return Answer(None, describe_error(error))
        return Answer(
            None, describe_worker_exit(code, limits), doubtful=used and code != TIMEOUT_EXIT_CODE
        )

    def _stop_worker(self) -> int | None:
        """Kill and reap the worker, if there is one; return its exit code, None if unknown."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return None
        self._line.close()
        process.kill()  # a worker that is already dying keeps its exit code
        with suppress(subprocess.TimeoutExpired):  # stuck in the kernel, on a dead network drive
            return process.wait(_REAP_SECONDS)
        return None


def _build_environment() -> dict[str, str]:
    """Build the workers' environment: one thread each, and the parent's module search path.

    OpenCV prints its complaints; it is silent here unless the environment says otherwise.
    """
    quiet = {"OPENCV_LOG_LEVEL": "SILENT"}
    pools = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
    threads = dict.fromkeys(pools, "1")  # stacks of more threads would count in a worker's memory
    # An empty entry is the current folder, from which no worker shall import. The folder of this
    # package, put last, replaces it where the package was found there.
    paths = [*filter(None, sys.path), str(Path(__file__).resolve().parents[2])]
    return quiet | os.environ | threads | {"PYTHONPATH": os.pathsep.join(paths)}
