"""A worker: a process of its own that calls one function on whatever its parent sends.

Started as `python -P -m batchdigits.workers N`, where N is the file descriptor of its end of the
line. The first message is the function and the limits, every other one a list of items; the
answer is always (result, fault), the fault empty if all went well. Before it there may be empty
messages: the worker is alive, and its time begins anew.
"""

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

from batchdigits import workers
from batchdigits.workers.faults import MEMORY_EXIT_CODE, Limits, describe_error, is_memory_error

if sys.platform != "win32":
    import resource


def _serve_parent(line: Connection) -> None:
    """Be the worker: answer the parent until it closes its end."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        function, *rest = pickle.loads(line.recv_bytes())
        limits = Limits(*rest)
        _limit_resources(limits)
    except Exception as error:
        return line.send_bytes(pickle.dumps((None, describe_error(error))))
    line.send_bytes(pickle.dumps((None, "")))
    heard = float("-inf")

    def watched() -> None:
        """Begin the time anew; often enough, and not after each of a thousand crops."""
        nonlocal heard
        now = time.monotonic()
        if now - heard > min(1.0, limits.seconds / 10):
            # The parent's clock runs out a second sooner. The alarm is for when there is no parent
            # any more: nobody handles it, so it ends even a call that is stuck in C code.
            signal.setitimer(signal.ITIMER_REAL, limits.seconds + 1)
            line.send_bytes(b"")
            heard = now

    workers.HEARTBEAT_LISTENERS.append(watched)
    while True:
        message = line.recv_bytes()
        heard = float("-inf")
        watched()
        reply = _answer_message(function, message)
        signal.setitimer(signal.ITIMER_REAL, 0)
        line.send_bytes(reply)


def _answer_message(function: Callable[[list[Any]], Any], message: bytes) -> bytes:
    try:
        result = function(pickle.loads(message))
        return pickle.dumps((result, ""), pickle.HIGHEST_PROTOCOL)
    except (Exception, SystemExit) as error:
        if is_memory_error(error):
            os._exit(MEMORY_EXIT_CODE)  # too little is left to go on, or even to send an answer
        return pickle.dumps((None, describe_error(error)))


def _limit_resources(limits: Limits) -> None:
    """Bound the private writable memory, counted from what is mapped now; write no core files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = 0
    with suppress(OSError):  # no Linux: the imports count too
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    most = pages * resource.getpagesize() + limits.memory_mib * 2**20
    with suppress(ValueError):  # a stricter limit is in force already
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[1]), False)
    with Connection(int(sys.argv[1])) as parent, suppress(EOFError, OSError):
        _serve_parent(parent)
