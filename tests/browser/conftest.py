"""The installed Chromium, driven by playwright. Nothing is downloaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# Not for the session: the thread's event loop would still run in later tests, which may need one of their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Return the browser; skip with the name of what is missing."""
    reason = "browser tests need playwright: pip install -r requirements-dev.txt"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        pytest.skip(f"browser tests need a browser on the PATH, one of: {', '.join(CHROMIUMS)}")
    with pytest.MonkeyPatch.context() as patch, playwright.sync_playwright() as running:
        # playwright runs an event loop in this thread, where Django rejects synchronous queries.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = running.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def console_errors() -> list[str]:
    """The errors of the page's console so far. A test that provokes some removes them."""
    return []


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, chromium: Any, live_server: Any, console_errors: list[str]) -> Iterator[Any]:
    """Return a tab in one of the two themes. It fails on a console error or a request to another site."""
    context = chromium.new_context(base_url=live_server.url, color_scheme=request.param, accept_downloads=True)
    tab = context.new_page()
    errors = console_errors
    outside: list[str] = []
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda request: None if request.url.startswith(live_server.url) else outside.append(request.url))
    yield tab
    context.close()
    assert outside == []
    assert [text for text in errors if "favicon" not in text and "404" not in text] == []
