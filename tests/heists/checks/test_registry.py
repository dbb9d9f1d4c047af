"""Every check id is registered and tested; `tests/docs` checks that it is documented."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.core.checks import registry

from heists import checks
from tests import ROOT

# Ids of removed checks; a site may still silence them.
RETIRED = {"E014", "E015", "W012", "W013", "W016"}
ID = re.compile(r"heists\.([EW]\d{3})")


def _ids(*files: Path) -> set[str]:
    return {found for file in files for found in ID.findall(file.read_text())}


def _used() -> set[str]:
    return _ids(*(ROOT / "heists" / "checks").glob("*.py"))


def test_every_check_is_registered() -> None:
    registered = registry.registry.get_checks(include_deployment_checks=True)

    assert {name for name in checks.__all__ if name.startswith("check_")} <= {
        getattr(check, "__name__", "") for check in registered
    }


def test_every_id_has_its_test() -> None:
    tests = "\n".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))

    assert {found for found in _used() if f"def test_{found.lower()}_" in tests} == _used()


def test_no_id_is_used_again() -> None:
    assert not _used() & RETIRED


def test_what_concerns_production_runs_with_deploy_and_what_reads_rows_with_a_database() -> None:
    ours = {getattr(checks, name) for name in checks.__all__ if name.startswith("check_")}
    always, deploying = registry.registry.registered_checks, registry.registry.deployment_checks

    def names(found: Any, tag: str = "heists") -> set[str]:
        return {check.__name__ for check in found if check in ours and tag in check.tags}

    assert names(deploying) == {"check_cache", "check_mail"}
    assert names(always) == {check.__name__ for check in ours} - names(deploying)
    assert names(always, "database") == {"check_event_types", "check_rules"}
