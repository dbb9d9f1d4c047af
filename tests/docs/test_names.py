"""The files and tests that the documents name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "benchmarks|config|docs|gamification|heists|tests"
FILE = re.compile(rf"`((?:{FOLDERS})/[\w./-]*)(?:::(\w+))?`")


def named(document: Path) -> list[tuple[str, str]]:
    return FILE.findall(document.read_text(encoding="utf-8"))


def test_the_documents_name_files() -> None:
    assert len(named(ROOT / "docs" / "architecture.md")) > 10


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_files_and_tests_it_names_exist(document: Path) -> None:
    # Templates are named by the path that a host uses.
    roots = (ROOT, ROOT / "heists" / "templates")
    for path, function in named(document):
        assert any((root / path).exists() for root in roots), path
        if function:
            assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{function}"


def test_the_code_cites_sections_that_exist() -> None:
    headings = set(re.findall(r"^###? (.+)$", (ROOT / "docs" / "specification.md").read_text(encoding="utf-8"), re.M))
    sources = [path for folder in FOLDERS.split("|") for path in (ROOT / folder).rglob("*.py")]

    # A citation may go on after a line break.
    cited = {
        title
        for path in sources
        for title in re.findall(r"specification\.md,\s+\"([^\"]+)\"", path.read_text(encoding="utf-8"))
    }

    assert cited - headings == set()
    assert "Settings" in cited
