"""Which modules are changed, and which tests have to notice: the most specific first, as the first failure ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MODULES = (
    "heists/rules.py",
    "heists/queries/facts.py",
    "heists/services/*.py",
    "heists/emails/*.py",
    "heists/db/retry.py",
    "heists/db/atomic.py",
    "heists/db/compiled.py",
    "heists/db/insert.py",
    "heists/audit/*.py",
    "heists/api/problems.py",
    "heists/api/pagination.py",
    "heists/api/throttling.py",
    "gamification/services.py",
    "gamification/economy.py",
)
# The share of mutants, excused ones aside, that the tests have to notice.
THRESHOLD = 0.92
# Here all of them.
COMPLETE = ("heists/rules.py", "heists/queries/facts.py", "heists/services/heists.py")
# Of a module's mutants at most this share may be excused.
EXCUSED = 0.10


class Stage(NamedTuple):
    """One run of pytest."""

    database: str
    tests: tuple[str, ...]


SERVICES = ("tests/heists/services",)
AUDIT = ("tests/heists/audit",)
PLAYED = ("tests/heists/test_state_machine.py",)
# By the beginning of the module's path; the longest that fits counts. Patterns are relative to the root of the tree.
TESTS: dict[str, tuple[Stage, ...]] = {
    "heists/rules.py": (
        Stage("sqlite", ("tests/heists/test_rules*.py",)),
        Stage(
            "sqlite",
            ("tests/heists/queries", "tests/heists/services/test_heists*.py", "tests/heists/api/test_targets.py"),
        ),
    ),
    "heists/queries/facts.py": (
        Stage("sqlite", ("tests/heists/queries", "tests/heists/services", "tests/heists/api/test_targets.py")),
        Stage("postgres", ("tests/heists/queries", "tests/races/test_staged*.py")),
    ),
    "heists/services/": (
        Stage("sqlite", SERVICES),
        Stage("postgres", (*SERVICES, "tests/races")),
        Stage("sqlite", ("tests/heists/api", "tests/heists/management", "tests/heists/test_logs.py")),
    ),
    "heists/services/heists.py": (
        Stage(
            "sqlite", ("tests/heists/services/test_heists*.py", "tests/heists/services", "tests/heists/test_logs.py")
        ),
        Stage("postgres", ("tests/races", "tests/heists/services/test_heists*.py", "tests/heists/db/test_retry*.py")),
        Stage("sqlite", ("tests/heists/api/test_heists.py", "tests/heists/api/test_idempotency.py", *PLAYED)),
    ),
    "heists/services/token_csv.py": (
        Stage("sqlite", ("tests/heists/services", "tests/heists/management", "tests/heists/admin/test_tokens.py")),
    ),
    "heists/services/notifications.py": (
        Stage("sqlite", ("tests/heists/services", "tests/heists/api/test_notifications.py", "tests/heists/emails")),
    ),
    "heists/emails/": (
        Stage("sqlite", ("tests/heists/emails", "tests/heists/management/test_send_heist_emails.py")),
        Stage("postgres", ("tests/heists/emails",)),
    ),
    "heists/db/": (
        Stage("sqlite", ("tests/heists/db", "tests/heists/queries")),
        Stage("postgres", ("tests/heists/db", "tests/heists/services", "tests/races")),
    ),
    "heists/audit/": (Stage("sqlite", AUDIT), Stage("postgres", AUDIT)),
    "heists/api/problems.py": (Stage("sqlite", ("tests/heists/api/test_problems*.py", "tests/heists/api")),),
    "heists/api/pagination.py": (Stage("sqlite", ("tests/heists/api", "tests/hostile")),),
    "heists/api/throttling.py": (Stage("sqlite", ("tests/heists/api/test_throttling*.py", "tests/heists/api")),),
    "gamification/": (
        Stage("sqlite", ("tests/gamification",)),
        Stage("postgres", ("tests/gamification", "tests/races")),
        Stage("sqlite", (*SERVICES, *PLAYED)),
    ),
}
# Slow and of no help here; the last needs fifty connections, and both workers share a server that allows a hundred.
LEFT_OUT = ("tests/heists/api/test_fuzzing.py", "tests/gamification/demo", "tests/races/test_simultaneous.py")


def modules(root: Path, patterns: tuple[str, ...] = MODULES) -> list[str]:
    return [str(path.relative_to(root)) for pattern in patterns for path in sorted(root.glob(pattern))]


def stages(module: str, root: Path) -> Iterator[Stage]:
    """Yield the runs that a mutant of this module has to survive, with the paths that are there."""
    prefix = max((prefix for prefix in TESTS if module.startswith(prefix)), key=len)
    for database, patterns in TESTS[prefix]:
        found: dict[str, None] = {}
        for pattern in patterns:
            found |= dict.fromkeys(str(path.relative_to(root)) for path in sorted(root.glob(pattern)))
        yield Stage(database, tuple(found))
