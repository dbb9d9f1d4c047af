"""The page to play on: its headers, its texts in three languages, and no password outside of the demo."""

from __future__ import annotations

import re
from typing import Any

import polib
import pytest
from django.test import Client

from tests import ROOT
from tests.factories import player

pytestmark = pytest.mark.django_db
PLACEHOLDER = re.compile(r"\{\w+\}|%\(\w+\)s")


def page(**headers: str) -> str:
    return Client().get("/", headers=headers).content.decode()


def test_the_demo_player_is_offered_only_in_the_demo(settings: Any) -> None:
    settings.DEBUG = True
    assert "heist-demo" not in page()

    player("alice")
    assert 'data-demo-password="heist-demo"' in page()

    settings.DEBUG = False
    assert "heist-demo" not in page()


def test_nothing_inline_is_left_for_the_policy_to_stop() -> None:
    answer = Client().get("/")

    text = answer.content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|\bstyle=|javascript:", text) == []
    policy = dict(part.strip().split(" ", 1) for part in answer["Content-Security-Policy"].split(";"))
    assert policy == {
        # What is not named below is loaded from nowhere, and no other site frames the page.
        **dict.fromkeys(("default-src", "base-uri", "frame-ancestors"), "'none'"),
        **dict.fromkeys(("script-src", "style-src", "connect-src", "form-action"), "'self'"),
        "img-src": "data:",
    }


@pytest.mark.parametrize(
    ("language", "title"), [("en", "Heists"), ("de", "Raubzüge"), ("es", "Atracos"), ("fr", "Heists")]
)
def test_the_page_is_in_the_readers_language(language: str, title: str) -> None:
    assert f"<title>{title}</title>" in page(accept_language=language)


@pytest.mark.parametrize("language", ["de", "es"])
def test_every_text_is_translated_with_the_same_values(language: str) -> None:
    entries = polib.pofile(ROOT / "config" / "locale" / language / "LC_MESSAGES" / "django.po")

    assert [entry.msgid for entry in entries if not entry.translated() or entry.obsolete] == []
    for entry in entries:
        for text in entry.msgstr_plural.values() or [entry.msgstr]:
            assert set(PLACEHOLDER.findall(entry.msgid)) == set(PLACEHOLDER.findall(text)), entry.msgid


def test_the_script_finds_every_text_and_field_that_it_names() -> None:
    folder = ROOT / "config" / "static" / "play"
    script = "".join((folder / name).read_text() for name in ("page.js", "play.js"))
    template = (ROOT / "config" / "templates" / "play.html").read_text()

    # `me/` gives a code of the attacker's own, or that heists are switched off.
    codes = {"own_truce", "insufficient_tokens", "cooldown", "daily_limit", "feature_disabled"}
    for name in codes | set(re.findall(r'\btext\(\s*"(\w+)"', script)):
        assert f'data-text="{name}"' in template
    for noun in re.findall(r'\bcounted\(\s*"(\w+)"', script):
        assert f'data-text="{noun}_{{{{ form }}}}"' in template
    for name in re.findall(r'\bput\("(\w+)"|\bfield\("(\w+)"', script):
        assert f'data-field="{"".join(name)}"' in template
    for name in re.findall(r'\$\("#([\w-]+)"\)', script):
        assert f'id="{name}"' in template
