"""A real browser without a screen, for the tests of pages."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(name="browser", scope="module")
def browser_fixture() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: .ci/run installs Debian's where it may")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(name="tab")
def tab_fixture(browser: Any) -> Iterator[Any]:
    """Open a tab that has no network, and fails at the end if the page had an error."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.route("**/*", lambda route: route.continue_() if is_local(route) else route.abort())
    tab, faults = context.new_page(), list[str]()
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    yield tab
    context.close()
    assert faults == []


def is_local(route: Any) -> bool:
    return str(route.request.url).startswith(("file:", "data:", "http://127.0.0.1:"))


def open_page(tab: Any, path: str = "review.html") -> None:
    tab.goto(Path(path).resolve().as_uri())
    tab.wait_for_selector("html[data-ready=yes]")


def save(tab: Any, name: str = "corrections.csv") -> str:
    with tab.expect_download() as download:
        tab.click("#save")
    download.value.save_as(name)
    return name
