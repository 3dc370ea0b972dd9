"""A worker process: it calls one function on whatever its parent sends.

The parent starts it as `python -P -m batchdigits.workers N`, where N is the file descriptor of the
worker's end of the socket pair. The first message is the function and the limits, every other one
a list of items. The answer is always (result, fault), with an empty fault if all went well. Empty
messages may precede it: they are heartbeats, and restart the time limit.
"""

import gc
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from batchdigits.workers.executor import HEARTBEAT_LISTENERS
from batchdigits.workers.faults import MEMORY_EXIT_CODE, Limits, describe_error, is_memory_error

if sys.platform != "win32":
    import resource

GC_THRESHOLD = 50_000
"""New objects before Python collects garbage: a chunk makes ten thousands, and none in circles."""


def _serve_parent(line: Connection) -> None:
    """Answer the parent's messages until it closes its end."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        function, *rest = pickle.loads(line.recv_bytes())
        limits = Limits(*rest)
        _limit_resources(limits)
        gc.freeze()  # what the imports made, which stays
        gc.set_threshold(GC_THRESHOLD)
    except Exception as error:
        return line.send_bytes(pickle.dumps((None, describe_error(error))))
    line.send_bytes(pickle.dumps((None, "")))
    sent = float("-inf")

    def restart_limit() -> None:
        """Restart the time limit, but not after each of a thousand crops."""
        nonlocal sent
        now = time.monotonic()
        if now - sent > min(1.0, limits.seconds / 10):
            # The parent's clock runs out a second sooner. The alarm is for a worker whose parent
            # is gone. It has no handler, so that it ends even a call that is stuck in C code.
            signal.setitimer(signal.ITIMER_REAL, limits.seconds + 1)
            line.send_bytes(b"")
            sent = now

    HEARTBEAT_LISTENERS.append(restart_limit)
    while True:
        message = line.recv_bytes()
        sent = float("-inf")
        restart_limit()
        reply = _answer_message(function, message)
        signal.setitimer(signal.ITIMER_REAL, 0)
        line.send_bytes(reply)


def _answer_message(function: Callable[[list[Any]], Any], message: bytes) -> bytes:
    try:
        result = function(pickle.loads(message))
        return pickle.dumps((result, ""), pickle.HIGHEST_PROTOCOL)
    except (Exception, SystemExit) as error:
        if is_memory_error(error):
            os._exit(MEMORY_EXIT_CODE)  # too little memory is left even to send an answer
        return pickle.dumps((None, describe_error(error)))


def _limit_resources(limits: Limits) -> None:
    """Limit private writable memory beyond what is mapped now; write no core files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = 0
    with suppress(OSError):  # not Linux: the imports count too
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    max_bytes = pages * resource.getpagesize() + limits.memory_mib * 2**20
    with suppress(ValueError):  # a stricter limit is in force already
        resource.setrlimit(resource.RLIMIT_DATA, (max_bytes, max_bytes))


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[1]), False)
    with Connection(int(sys.argv[1])) as parent, suppress(EOFError, OSError):
        _serve_parent(parent)
