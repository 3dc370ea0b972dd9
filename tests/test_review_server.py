"""A review that is served: who may read and write it, and what is written as one goes."""

import http.client
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from browser import browser_fixture, tab_fixture  # noqa: F401
from cli_runs import Capture, run, table
from conftest import FakeClassifier, Save, drawn

from batchdigits import review
from batchdigits.corrections import read_corrections
from batchdigits.errors import UsageError

READ = ("run", "inbox", "--out", "out.csv", "--workers", "0", "-q", "--min-confidence", "1")


class Site(NamedTuple):
    server: review.ReviewServer
    port: int
    path: str

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content


@pytest.fixture(name="site")
def site_fixture(save: Save, fake_classifier: FakeClassifier) -> Iterator[Site]:
    for n in range(6):
        save(f"{n}.png", drawn(n))
        os.utime(f"inbox/{n}.png", (1e9, 1e9))
    assert run(*READ) == 0
    os.chmod("out.csv", 0o600)
    with review.open_results("out.csv", None, 0) as results:
        items = review.select_items(results, review.Selection())
    context = review.PageContext("out.csv", "Review")
    views = review.ViewOptions((), 10**6, 20, 0)
    served = review.prepare_served_review(items, views, context, "said.csv")
    with review.ReviewServer(served) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        path = server.address.partition(f":{server.server_port}")[2]
        yield Site(server, server.server_port, path)
        server.shutdown()
        thread.join()


def answer(value: str = "7", file: str = "inbox/1.png") -> str:
    return json.dumps([{"file": file, "page": 1, "answer": "value", "value": value}])


def test_answers_are_written_as_one_goes(site: Site, tab: Any) -> None:
    tab.goto(site.server.address)
    tab.wait_for_selector("html[data-ready=yes]")
    with tab.expect_response("**/answers"):
        tab.keyboard.press("7")
    (first,) = read_corrections("said.csv")
    assert (first.answer, first.value, first.how, bool(first.content)) == (
        "value",
        "7",
        "one",
        True,
    )
    assert stat.S_IMODE(os.stat("said.csv").st_mode) == 0o600
    with tab.expect_response("**/answers"):
        tab.keyboard.press("u")
    assert [one.answer for one in read_corrections("said.csv")] == ["value", "withdrawn"]
    with tab.expect_response("**/answers"):
        tab.keyboard.press("b")
    with tab.expect_response("**/page/1") as response:
        tab.click("#whole")
    assert response.value.status == 200
    assert run("correct", "out.csv", "said.csv", "-q") == 0
    assert [one["status"] for one in table()].count("verified") == 1


def test_a_run_may_start_while_a_review_is_served(site: Site, save: Save) -> None:
    save("9.png", drawn(9))
    assert run(*READ) == 0
    origin = f"http://127.0.0.1:{site.port}"
    headers = {"Origin": origin, "Content_Type": "application/json"}
    assert site.ask("POST", site.path + "answers", answer(), **headers)[0] == 204
    assert run("correct", "out.csv", "said.csv", "-q") == 0
    assert {one["file"]: one["value"] for one in table()}["inbox/1.png"] == "7"
    assert len(table()) == 7


def test_only_who_has_the_address_may_read(site: Site) -> None:
    assert site.ask("GET", site.path)[0] == 200
    assert site.ask("GET", site.path, Host=f"localhost:{site.port}")[0] == 200
    assert site.ask("GET", site.path + "page/0")[0] == 200
    for path in ("/", "/1/", site.path.replace("/1/", "x/1/"), site.path.upper()):
        assert site.ask("GET", path)[0] == 403
    for path in ("2/", "0/", "x/"):
        assert site.ask("GET", site.path.replace("/1/", f"/{path}"))[0] == 404
    for path in ("page/99", "page/x", "page/0/1", "../../etc/passwd"):
        assert site.ask("GET", site.path + path)[0] == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # a name that leads here (DNS rebinding)
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
)
def test_no_other_site_may_read_or_write(site: Site, headers: dict[str, str]) -> None:
    assert site.ask("GET", site.path, **headers)[0] == 403
    kind = {"Content_Type": "application/json", "Origin": f"http://127.0.0.1:{site.port}"}
    assert site.ask("POST", site.path + "answers", answer(), **(kind | headers))[0] == 403
    assert not Path("said.csv").exists()


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (answer(), {"Content_Type": "text/plain"}, 403),  # what a form of another site can send
        (answer(), {"Origin": ""}, 403),
        ("no json", {}, 400),
        ("{}", {}, 204),
        ("[1]", {}, 400),
        (answer("seven"), {}, 400),
        ('[{"answer": "blank"}]', {}, 400),
    ],
)
def test_what_is_no_answer_is_refused(
    site: Site, body: str, headers: dict[str, str], code: int
) -> None:
    kind = {"Content_Type": "application/json", "Origin": f"http://127.0.0.1:{site.port}"}
    assert site.ask("POST", site.path + "answers", body, **(kind | headers))[0] == code
    assert not Path("said.csv").exists()


def test_it_is_served_to_this_machine_alone(site: Site) -> None:
    assert site.server.server_address[0] == "127.0.0.1"
    assert len(site.server.token) >= 32
    with pytest.raises(UsageError, match="cannot be used"):
        review.ReviewServer(site.server.review, site.port)


def test_the_command_serves_until_it_is_interrupted(
    save: Save, fake_classifier: FakeClassifier, capsys: Capture
) -> None:
    save("1.png", drawn(1))
    assert run(*READ) == 0
    line = [sys.executable, "-m", "batchdigits", "review", "out.csv", "--serve", "--workers", "0"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as serving:
        assert serving.stderr is not None
        first = serving.stderr.readline()
        (port, path) = re.findall(r"http://127\.0\.0\.1:(\d+)(/\S+)", first)[0]
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
        headers = {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/json"}
        connection.request("POST", path + "answers", answer(), headers)
        assert connection.getresponse().status == 204
        connection.close()
        serving.send_signal(signal.SIGINT)
        last = serving.stderr.read()
    assert serving.returncode == 0
    assert "`batchdigits correct out.csv corrections.csv` merges it" in last
    assert read_corrections("corrections.csv")[0].value == "7"


def test_a_review_that_was_served_before_goes_on(
    save: Save, fake_classifier: FakeClassifier
) -> None:
    save("1.png", drawn(1))
    assert run(*READ) == 0
    Path("said.csv").write_text("file,answer,value\ninbox/1.png,value,7\n")
    with review.open_results("out.csv", None, 0) as results:
        selection = review.Selection(session=review.load_book("said.csv"))
        (item,) = review.select_items(results, selection)
    assert item.said is not None
    assert item.said.value == "7"
