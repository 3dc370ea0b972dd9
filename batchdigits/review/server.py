"""The page of a review served to this machine alone, which writes what is said as one goes."""

import hmac
import json
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from batchdigits import pages
from batchdigits.corrections import Correction, append_corrections, parse_correction
from batchdigits.errors import OutputError, UsageError
from batchdigits.records import Failure, Page
from batchdigits.review.items import ReviewItem
from batchdigits.views import draw_page, open_picture

HOST = "127.0.0.1"
MAX_BODY_BYTES = 1 << 22
"""Bytes of one request: 500 answers and more."""
FULL_PAGE_PX = 2400
"""Longest side of a page that is served, px."""
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class ServedReview:
    """What is served.

    Attributes:
        pages: the pages as HTML, in their order.
        items: the values on each of them, in their order.
        corrections: the file that answers are appended to.
        mode_of: a file whose access rights it takes.
        find_path: returns where the file of a value is; empty if it is gone.
        max_pixels: of a page that is decoded.
    """

    pages: Sequence[bytes]
    items: Sequence[Sequence[ReviewItem]]
    corrections: str
    mode_of: str
    find_path: Callable[[ReviewItem], str]
    max_pixels: int


class ReviewServer(ThreadingHTTPServer):
    """Serves a review at an address that only who started it knows.

    Only this machine reaches it. Every path begins with a random token, and requests from other
    sites are refused by their Host and Origin, so that no page in the browser can read or write.
    """

    daemon_threads = True

    def __init__(self, review: ServedReview, port: int = 0) -> None:
        """Begin to listen.

        Args:
            review: what is served.
            port: where; 0 for any free port.

        Raises:
            UsageError: the port is taken, or may not be used.
        """
        self.review, self.token = review, secrets.token_urlsafe(24)
        self._writing = threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(f"--port {port} cannot be used: {error}: choose another") from None
        self.origins = {f"http://{name}:{self.server_port}" for name in (HOST, "localhost")}

    @property
    def address(self) -> str:
        """The address of the first page."""
        return f"http://{HOST}:{self.server_port}/{self.token}/1/"

    def write_answers(self, corrections: Sequence[Correction]) -> None:
        """Append answers to the file of corrections.

        Raises:
            OutputError: it cannot be written.
        """
        with self._writing:
            append_corrections(self.review.corrections, corrections, mode_of=self.review.mode_of)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a browser that went away; nothing else is expected here."""


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    timeout = 30
    server_version, sys_version = "batchdigits", ""

    def do_GET(self) -> None:
        """Give a page of the review, or the whole page of a value."""
        part = self._find_part()
        if part is None:
            return
        number, rest = part
        if not rest:
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.review.pages[number])
        elif rest[0] == "page" and len(rest) == 2 and rest[1].isdecimal():
            self._send_page(number, int(rest[1]))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def do_POST(self) -> None:
        """Take answers."""
        part = self._find_part()
        if part is None:
            return
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip()
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Origin") not in self.server.origins or kind != "application/json":
            self._refuse(HTTPStatus.FORBIDDEN, "answers are taken from the page alone")
        elif not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too much at once")
        elif part[1] != ["answers"]:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
        else:
            self._take_answers(self.rfile.read(int(length)))

    def _take_answers(self, body: bytes) -> None:
        try:
            found = [_parse_answer(one) for one in json.loads(body)]
            self.server.write_answers(found)
        except (ValueError, TypeError, UsageError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except OutputError as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        else:
            self._send(HTTPStatus.NO_CONTENT, "text/plain", b"")

    def _find_part(self) -> tuple[int, list[str]] | None:
        """Return which page of the review is asked for, and the rest of the path.

        A request of another site, or without the token, is answered here: None.
        """
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        token, _, rest = urlsplit(self.path).path.lstrip("/").partition("/")
        if (
            f"http://{host}" not in self.server.origins
            or (origin is not None and origin not in self.server.origins)
            or site not in {"none", "same-origin"}
            or not hmac.compare_digest(token.encode(), self.server.token.encode())
        ):
            self._refuse(HTTPStatus.FORBIDDEN, "open the address that `batchdigits review` printed")
            return None
        number, *parts = [one for one in rest.split("/") if one] or [""]
        if not number.isdecimal() or not 1 <= int(number) <= len(self.server.review.pages):
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
            return None
        return int(number) - 1, parts

    def _send_page(self, number: int, at: int) -> None:
        items = self.server.review.items[number]
        path = self.server.review.find_path(items[at]) if at < len(items) else ""
        page = self._load_page(path, items[at]) if path else None
        if not isinstance(page, Page):
            self._refuse(HTTPStatus.NOT_FOUND, "its file is not where it was")
            return
        picture = draw_page(page.grey, items[at].quarters, FULL_PAGE_PX)
        self._send(HTTPStatus.OK, "image/webp", picture)

    def _load_page(self, path: str, item: ReviewItem) -> Page | Failure | None:
        with open_picture(path, item.place.file) as place:
            loaded = pages.load_pages(
                place, max_pixels=self.server.review.max_pixels, only=item.row.page
            )
            return next(iter(loaded), None)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True
        self._send(status, "text/plain; charset=utf-8", reason.encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in SECURITY_HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the token would be in every line."""


def _parse_answer(one: Any) -> Correction:
    """Return an answer of the page as a correction.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(one, dict):
        raise UsageError("expected an answer by column")
    return parse_correction({str(name): str(cell) for name, cell in one.items()}, "the answer")
