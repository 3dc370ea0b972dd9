"""An S3 server on loopback for tests: moto's, with faults on demand in front of it."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import cv2
from conftest import drawn
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from batchdigits import cli

Fault = Callable[[str, str], "int | float | None"]
"""Takes method and path of a request; returns a status to answer with, s to wait, or None."""
CODES = {500: "InternalError", 503: "SlowDown", 403: "AccessDenied", 404: "NoSuchKey"}
CODES[499] = "RequestTimeTooSkewed"  # which is a 403 too


class ObjectServer:
    """The server.

    Attributes:
        url: of the server.
        faults: asked in order for each request; the first that answers decides.
        requests: method and path of all requests.
    """

    def __init__(self) -> None:
        """Make a server that does not run yet."""
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append((method, path))
        for fault in self.faults:
            found = fault(method, path)
            if isinstance(found, float):
                time.sleep(found)
            elif found is not None:
                text = f"<Error><Code>{CODES[found]}</Code><Message>x</Message></Error>"
                body = b"" if method == "HEAD" else text.encode()
                headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
                start_response(f"{403 if found == 499 else found} Fault", headers)
                return [body]
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def client(self) -> Any:
        """Return a client of another library than the one that is tested."""
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1")


def fail_times(count: int, status: int, ending: str) -> Fault:
    """Make a fault of the first `count` requests for paths that end so."""
    left = [count]

    def fault(method: str, path: str) -> int | None:
        if path.endswith(ending) and left[0] > 0:
            left[0] -= 1
            return status
        return None

    return fault


def encode(digit: int, seed: int = 0) -> bytes:
    """Return a drawn digit as PNG."""
    return cv2.imencode(".png", drawn(digit, seed=seed))[1].tobytes()


def put(server: ObjectServer, key: str, data: bytes) -> None:
    """Put an object into the bucket `scans`."""
    server.client().put_object(Bucket="scans", Key=key, Body=data)


def get(server: ObjectServer, key: str) -> bytes:
    """Return an object of the bucket `scans`."""
    content: bytes = server.client().get_object(Bucket="scans", Key=key)["Body"].read()
    return content


def list_keys(server: ObjectServer, prefix: str) -> list[str]:
    """Return the keys in the bucket `scans` that begin so, without it."""
    listed = server.client().list_objects_v2(Bucket="scans", Prefix=prefix).get("Contents", [])
    return [str(one["Key"]).removeprefix(prefix) for one in listed]


def list_changes(server: ObjectServer) -> list[tuple[str, str]]:
    """List method and name of what was put or deleted, without signs of life, in order."""
    return [
        (method, path.removeprefix("/scans/"))
        for method, path in server.requests
        if method in ("PUT", "POST", "DELETE") and ".lock/" not in path
    ]


def fill(server: ObjectServer, count: int = 5) -> None:
    """Put digits into the bucket and, under the same names, into the folder `inbox`."""
    for n in range(count):
        put(server, f"inbox/{n % 2}/{n}.png", encode(n % 10))
        path = Path(f"inbox/{n % 2}/{n}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(n % 10))
        os.utime(path, (1e9, 1e9))


def run(*arguments: str, workers: int = 0) -> int:
    """Run by the command line; return the exit code."""
    return cli._run_command_line(["run", *arguments, "--workers", str(workers)])
