"""A browser for the tests that look at a page as people do: Debian's Chromium, without a window."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

from tests.services import packages
from tests.waiting import PATIENCE_S


@contextmanager
def browser_page() -> Iterator[Page]:
    """Open a page in a browser of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        try:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE_S * 1_000)
            yield page
        finally:
            browser.close()


def _chromium() -> str:
    if shutil.which("chromium") is None:
        packages.install("chromium", "the tests of the run form need a browser")
    return shutil.which("chromium") or "chromium"
