"""docs/architecture.md has every module of the app, and nothing imports what its row does not allow."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "heists"
ROW = re.compile(r"^\| (`heists\.[^|]*) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
# Packages whose row lists their modules.
LISTED = ("db", "queries", "emails", "services")


def names(cell: str) -> list[str]:
    return [name.removeprefix("heists.") for name in re.findall("`([^`]*)`", cell)]


def packages(cell: str) -> set[str]:
    """Return the modules and packages that a cell names; a row may be more exact, as with `queries.replay`."""
    return {name.partition(".")[0] for name in names(cell)}


def allowed() -> dict[str, set[str]]:
    """Return what each module or package may import, by the table."""
    above: set[str] = set()
    found: dict[str, set[str]] = {}
    for modules, _content, imports in ROWS:
        everything, _but, exceptions = imports.partition(" but ")
        listed = above - set(names(exceptions)) if everything.startswith("everything above") else packages(imports)
        for module in names(modules):
            found[module] = listed | {module}
        above |= set(names(modules))
    return found


def imported(path: Path) -> set[str]:
    """Return the modules and packages of heists that a file imports."""
    package = list(path.relative_to(ROOT).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            full = [*base, *(node.module or "").split(".")] if node.module else base
            for alias in node.names:
                target = [*full, alias.name]
                if target[0] == "heists" and len(target) > 1:
                    found.add(target[1])
    return found


def test_every_module_has_a_row() -> None:
    modules = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" and path.stem != "__init__"}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"migrations"}

    assert allowed().keys() == modules | packages


@pytest.mark.parametrize("package", LISTED)
def test_the_row_of_a_package_lists_its_modules(package: str) -> None:
    [content] = [content for modules, content, _imports in ROWS if names(modules) == [package]]

    assert set(names(content)) == {path.stem for path in (PACKAGE / package).glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("module", allowed())
def test_a_module_imports_what_its_row_allows(module: str) -> None:
    paths = [PACKAGE / f"{module}.py", *(PACKAGE / module).rglob("*.py")]
    found = {name for path in paths if path.exists() for name in imported(path)}

    assert found - allowed()[module] - {"__version__"} == set()
