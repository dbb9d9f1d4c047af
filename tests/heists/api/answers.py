"""Checks of API answers."""

from __future__ import annotations

from typing import Any

URL = "/api/heists/"


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Assert that the response is this problem, and return its body."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"urn:heists:problems:{code}"
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert body["detail"]
    return body
