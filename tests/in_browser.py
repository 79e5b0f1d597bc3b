"""Headless Chromium for the tests of pages, where it is installed."""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
         "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required")  # fmt: skip
IS_THERE = importlib.util.find_spec("playwright") is not None and CHROMIUM.exists()
needs_browser = pytest.mark.skipif(not IS_THERE, reason=f"Playwright is not installed, or {CHROMIUM} is not there")
needs_axe = pytest.mark.skipif(
    not IS_THERE or importlib.util.find_spec("axe_playwright_python") is None,
    reason=f"axe-playwright-python is not installed, or {CHROMIUM} is not there",
)


@contextlib.contextmanager
def chromium(*flags: str) -> Iterator[Any]:
    """Run the browser for as long as the block runs, with more flags if they are given."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*FLAGS, *flags])
        yield browser
        browser.close()


def complaints_of(page: Any, *schemes: str) -> list[str]:
    """Return a list that grows with each message on the page's console, error, and address asked but by `schemes`."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(schemes) else found.append(asked.url))
    return found


def violations(page: Any, *, within: str = "html") -> list[str]:
    """Return what axe-core finds wrong with a page, or a part of it, one line an element."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context={"include": [[within]]}).response["violations"]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]
