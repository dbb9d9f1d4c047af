"""Every Python snippet of the guides is complete: each name is defined or imported in it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests import ROOT

# These are added to the files that `django-admin startproject` writes.
CONTINUED = ("settings.py", "urls.py")


def snippets() -> list[tuple[str, str]]:
    found = []
    for page in ("docs/integrating.md", "docs/emails.md", "docs/package.md", "docs/admin.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        blocks = re.findall(r"(?:^`([\w./]+)`:\n\n)?^```python\n(.*?)^```", text, re.M | re.S)
        found += [
            (page, code) for label, code in blocks if not (label or code.removeprefix("# ")).startswith(CONTINUED)
        ]
    return found


def test_the_guides_have_snippets() -> None:
    assert len(snippets()) > 8


@pytest.mark.parametrize(
    ("page", "code"), snippets(), ids=[f"{page}-{number}" for number, (page, _code) in enumerate(snippets(), 1)]
)
def test_a_snippet_imports_what_it_uses(page: str, code: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,E9", "-"]

    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False)

    assert done.returncode == 0, f"{page}:\n{done.stdout}"
