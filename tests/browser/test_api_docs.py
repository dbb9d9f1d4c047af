"""The page of the API's documentation in a real browser, as a developer tries a call."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import RequestsClient

from tests.factories import PASSWORD, player

pytestmark = pytest.mark.django_db(transaction=True)

CALL = "#operations-heists-heists_token"


def try_it(page: Any) -> str:
    """Send the request for one's tokens from the page, and return the status of the answer."""
    with page.expect_response("**/api/heists/token/") as answered:
        page.click(f"{CALL} button.execute")
    return str(answered.value.status)


@pytest.mark.parametrize("word", ["", "Token "])
def test_a_pasted_token_works_with_or_without_its_word_and_survives_a_reload(
    page: Any, live_server: Any, word: str
) -> None:
    player("alice", tokens=2)
    account = {"username": "alice", "password": PASSWORD}
    login = RequestsClient().post(f"{live_server.url}/api/auth/login/", json=account)
    page.goto("/api/docs")
    page.wait_for_url("**/api/docs/")
    page.click("button.authorize")
    box = page.locator(".auth-container", has_text="Authorization")
    assert "POST /api/auth/login/" in box.inner_text()
    box.locator("input").first.fill(word + login.json()["token"])
    box.locator("button[type=submit]").click()
    page.reload()
    page.click(f"{CALL} .opblock-summary-control")
    page.click(f"{CALL} button.try-out__btn")

    assert try_it(page) == "200"
