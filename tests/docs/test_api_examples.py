"""Every example of docs/api.md is a real answer: its requests are sent in their order, in a small fixed world.

`make docs` runs this with UPDATE_DOCS=1, which writes the answers of today into the page.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from tests.factories import player

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
EXAMPLE = re.compile(
    r"^```http\n(?P<request>.*?)^```\n\n(?P<status>\d{3}):\n\n```json\n(?P<answer>.*?)^```\n", re.M | re.S
)
# Random in each run: the page keeps its own.
RANDOM = ("token", "referral_code")
BEGINNING = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


class Site:
    """Three players, a clock that moves one second a request, and the answers to the page's requests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = BEGINNING
        monkeypatch.setattr("django.utils.timezone.now", lambda: self.now)
        self.players = {
            "ANNA": player("anna", points=500, tokens=2),
            "BEN": player("ben", points=1000, coins=80),
            "CARLA": player("carla", points=10),
        }

    def answer(self, example: re.Match[str]) -> str:
        """Return the example with the status and body that its request gets now."""
        head, _, body = example["request"].partition("\n\n")
        (method, path), *headers = (line.split(" ", 1) for line in head.splitlines())
        client = APIClient()
        names = [f"HTTP_{name.rstrip(':').upper().replace('-', '_')}" for name, _value in headers]
        fields: dict[str, Any] = dict(zip(names, [value for _name, value in headers], strict=True))
        if who := fields.pop("HTTP_AUTHORIZATION", None):
            client.force_authenticate(self.players[who.removeprefix("Token ")])
        self.now += dt.timedelta(seconds=1)
        response = client.generic(method, path, body, content_type="application/json", **fields)
        found = json.loads(response.content, object_pairs_hook=_ordered)
        for name in RANDOM:
            if name in found:
                found[name] = json.loads(example["answer"])[name]
        text = json.dumps(found, indent=2, ensure_ascii=False)
        return f"```http\n{example['request']}```\n\n{response.status_code}:\n\n```json\n{text}\n```\n"


def _ordered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # PostgreSQL stores the keys of a notification's metadata in an order of its own.
    found = dict(pairs)
    if "metadata" in found:
        found["metadata"] = dict(sorted(found["metadata"].items()))
    return found


@pytest.mark.django_db(transaction=True, reset_sequences=True)
def test_the_answers_of_the_page_are_real(monkeypatch: pytest.MonkeyPatch) -> None:
    page, site = PAGE.read_text(encoding="utf-8"), Site(monkeypatch)

    answered = EXAMPLE.sub(site.answer, page)

    assert page.count("```http") == len(EXAMPLE.findall(page)), "a request has no status and JSON behind it"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(answered, encoding="utf-8")
    else:
        assert answered == page, "docs/api.md shows other answers than the site gives: run `make docs`."


def test_every_operation_has_a_section_with_an_example() -> None:
    document: Any = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    expected = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
        if "api/" in path
    }
    sections = re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]
    described = {section.partition("\n")[0].strip("`"): section for section in sections}

    assert expected - described.keys() == set(), "docs/api.md lacks these"
    assert [name for name in expected if not EXAMPLE.search(described[name])] == []
