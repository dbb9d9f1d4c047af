"""Test modules are named after modules: `heists/rules.py` is tested by `tests/heists/test_rules.py`."""

from __future__ import annotations

import ast

import pytest

from tests import ROOT

# Modules without a test module of their name, and the test module that covers them instead.
ELSEWHERE = {
    "heists/apps.py": "checks/test_registry.py",
    "heists/choices.py": "test_rules.py",
    "heists/errors.py": "api/test_problems.py",
    "heists/user_model.py": "test_economy.py",
    "heists/admin/filters.py": "admin/test_lists.py",
    "heists/admin/formats.py": "admin/test_names.py",
    "heists/admin/paginator.py": "admin/test_lists.py",
    "heists/admin/rules.py": "admin/test_names.py",
    "heists/admin/shields.py": "admin/test_lists.py",
    "heists/admin/users.py": "admin/test_links.py",
    "heists/api/serializers.py": "api/test_reading.py",
    "heists/api/unsubscribe.py": "emails/test_unsubscribe.py",
    "heists/queries/evidence.py": "admin/test_heists.py",
    "heists/queries/me.py": "api/test_me.py",
    "heists/queries/preview.py": "api/test_targets.py",
    "heists/queries/truces.py": "api/test_truces.py",
    "heists/management/commands/audit_heists.py": "audit/test_audit.py",
    "heists/management/commands/prune_heists.py": "services/test_retention.py",
    "heists/management/commands/summarize_heists.py": "admin/test_dashboard.py",
}
# Packages whose modules are tested together: each test is about a constraint or a check, not about a module.
TOGETHER = {
    "heists/models": "models/test_constraints.py",
    "heists/audit": "audit/test_audit.py",
    "heists/testing": "test_testing.py",
}
TESTS = ROOT / "tests" / "heists"


def has_behaviour(source: str) -> bool:
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(ast.parse(source)))


MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "heists").rglob("*.py")
    if path.name != "__init__.py" and "migrations" not in path.parts and has_behaviour(path.read_text())
)


def own_tests(module: str) -> list[str]:
    """Return the test modules named after a module: `test_shields.py`, or `test_shields_buying.py` for a part of it."""
    folder, _, name = module.removeprefix("heists/").removesuffix(".py").replace("/commands", "").rpartition("/")
    names = [f"test_{name}.py", f"test_{name}_*.py"]
    return [path.name for pattern in names for path in (TESTS / folder).glob(pattern)]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_test_module_of_its_name(module: str) -> None:
    elsewhere = ELSEWHERE.get(module) or TOGETHER.get(module.rpartition("/")[0])

    if elsewhere:
        assert (TESTS / elsewhere).exists()
    else:
        assert own_tests(module), f"add a test module, or name the one that covers {module} in ELSEWHERE"


def test_the_exceptions_are_needed() -> None:
    assert ELSEWHERE.keys() <= set(MODULES)
    assert [module for module in ELSEWHERE if own_tests(module)] == []
