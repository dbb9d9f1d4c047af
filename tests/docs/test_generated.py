"""The generated documents are those of this code."""

from __future__ import annotations

import re
from pathlib import Path

from docs.generate import check_messages, openapi, settings_page
from heists import conf

DOCS = Path(__file__).parents[2] / "docs"
REGENERATE = "is out of date: run `make docs`, read the difference, and add a line to CHANGELOG.md."


def test_the_openapi_file_is_the_schema_of_this_code() -> None:
    assert (DOCS / "openapi.yaml").read_text(encoding="utf-8") == openapi(), f"docs/openapi.yaml {REGENERATE}"


def test_the_settings_page_is_of_this_code() -> None:
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == settings_page(), f"docs/settings.md {REGENERATE}"


def test_every_setting_and_every_check_has_a_row() -> None:
    page = settings_page()
    sources = "".join(path.read_text(encoding="utf-8") for path in (DOCS.parent / "heists" / "checks").glob("*.py"))

    assert {message.id for message in check_messages()} == set(re.findall(r"heists\.[EW]\d{3}", sources))
    for key in conf.SETTINGS:
        assert f"| `{key}` |" in page
    for message in check_messages():
        assert message.text, f"{message.id} has a message that can't be read from the source"
        assert f"| `{message.id}`" in page
