"""The sign of life that a function gives between its items."""

from collections.abc import Callable

HEARTBEAT_LISTENERS: list[Callable[[], None]] = []
"""What `send_heartbeat` calls; in a worker process this tells the parent."""


def send_heartbeat() -> None:
    """Restart the time limit, from within a function that an executor calls.

    The function sends a heartbeat when an item, or a part of it, is done. The limit then holds
    for each part, however many a chunk has.
    """
    for listener in HEARTBEAT_LISTENERS:
        listener()
