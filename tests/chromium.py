"""Debian's chromium, driven by playwright, for tests of pages."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NEEDED = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; apt-get install chromium brings one")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@contextmanager
def chromium() -> Generator[Any]:
    """A browser, or the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, address: str, **options: Any) -> Generator[Any]:
    """A page at an address; nothing may be asked from elsewhere, and nothing may go wrong in it.

    Args:
        browser: Chromium.
        address: Of the page.
        **options: Of the new page, such as its `viewport`.
    """
    page = browser.new_page(**{"viewport": {"width": 1250, "height": 900}} | options)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if "127.0.0.1" not in request.url else None)
    page.goto(address)
    yield page
    page.close()
    assert [line for line in said if not line.startswith("blob:")] == [], "nothing from elsewhere, no error"
