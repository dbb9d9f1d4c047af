"""Which modules are changed, and which tests have to notice: the most specific first, as the first failure ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MODULES = (
    "heists/rules.py",
    "heists/in_force.py",
    "heists/queries/facts.py",
    "heists/queries/leaderboard.py",
    "heists/queries/me.py",
    "heists/queries/preview.py",
    "heists/queries/replay.py",
    "heists/queries/returns.py",
    "heists/queries/search.py",
    "heists/queries/truces.py",
    "heists/services/*.py",
    "heists/emails/*.py",
    "heists/db/retry.py",
    "heists/db/atomic.py",
    "heists/db/compiled.py",
    "heists/db/insert.py",
    "heists/db/cache_keys.py",
    "heists/audit/*.py",
    "heists/api/problems.py",
    "heists/api/pagination.py",
    "heists/api/polling.py",
    "heists/api/targets.py",
    "heists/api/throttling.py",
    "gamification/services.py",
    "gamification/economy.py",
    "gamification/months.py",
    "gamification/referrals.py",
    "gamification/standings.py",
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


# Of the audit, all but the slow courses of play; each module has a file of its own too, which comes first.
AUDIT = tuple(
    f"tests/heists/audit/test_{name}.py"
    for name in [
        *("base", "tokens", "heists", "losses", "deleted", "cooldowns", "shields", "reversals", "truces"),
        *("side_effects", "constraints", "audit"),
    ]
)
OF_ALL_CHECKS = ("tests/heists/audit/test_base.py", "tests/heists/audit/test_constraints.py")
HEISTS = ("tests/heists/services/test_heists*.py",)
SHIELDS = ("tests/heists/services/test_shields*.py",)
# What all services have in common: keys of players, nested transactions, the number of statements.
COMMON = (
    "tests/heists/services/test_player_keys.py",
    "tests/heists/services/test_nesting.py",
    "tests/heists/services/test_statements.py",
)
CHANGES = "tests/heists/services/test_rule_changes.py"
BOUNDARIES = "tests/heists/services/test_heists_boundaries.py"
IN_ORDER = "test_both_balances_are_locked_in_primary_key_order_before_anything_is_written"
# A few of the many, which take minutes together.
STAGED = (
    "tests/races/test_staged.py::test_two_attackers_on_one_victim[read committed-before the lock]",
    "tests/races/test_staged.py::test_a_heist_against_a_grant_to_the_attacker[read committed-after the second look]",
    "tests/races/test_staged.py::test_the_same_key_twice[read committed-before the lock]",
)
RETRY = "tests/heists/db/test_retry.py"
RESENT = tuple(
    f"{RETRY}::test_an_email_is_sent_once_also_after_a_serialization_failure[while it is {when}]"
    for when in ("leased", "marked")
)
# By the beginning of the module's path; the longest that fits counts. For a folder, the tests that are named after the
# module come first. Patterns are relative to the root of the tree, and may end with the name of one test, as pytest
# writes it.
TESTS: dict[str, tuple[Stage, ...]] = {
    "heists/rules.py": (
        Stage("sqlite", ("tests/heists/test_rules*.py",)),
        Stage("sqlite", ("tests/heists/test_months.py",)),
        Stage("sqlite", HEISTS),
    ),
    "heists/in_force.py": (
        Stage("sqlite", ("tests/heists/test_in_force.py", CHANGES)),
        Stage("postgres", ("tests/heists/test_in_force.py",)),
    ),
    "heists/queries/facts.py": (
        Stage("sqlite", ("tests/heists/queries/test_facts.py", "tests/heists/queries/test_facts_own.py", *HEISTS)),
        Stage("sqlite", ("tests/heists/api/test_me.py", "tests/heists/models/test_tokens.py")),
        Stage("sqlite", ("tests/heists/queries/test_facts_joins.py",)),
        Stage("sqlite", ("tests/heists/api/test_targets.py", *COMMON)),
    ),
    "heists/services/": (Stage("sqlite", COMMON),),
    "heists/services/heists.py": (
        Stage("sqlite", (*HEISTS, "tests/heists/test_logs.py")),
        Stage("sqlite", (*COMMON, "tests/heists/models/test_tokens.py")),
        Stage("sqlite", ("tests/heists/api/test_heists.py", "tests/heists/api/test_idempotency.py")),
        Stage("postgres", (f"{BOUNDARIES}::{IN_ORDER}", "tests/heists/db/test_cache_keys.py", *STAGED)),
    ),
    "heists/services/shields.py": (
        Stage("sqlite", (*SHIELDS, "tests/heists/management/test_expire_shields.py")),
        Stage("sqlite", (CHANGES, *COMMON, "tests/heists/api/test_shields.py")),
        Stage("postgres", ("tests/heists/services/test_shields_boundaries.py",)),
    ),
    "heists/services/tokens.py": (
        Stage("sqlite", ("tests/heists/services/test_tokens*.py", *COMMON)),
        Stage("sqlite", ("tests/heists/management/test_grant_tokens.py", "tests/heists/admin/test_tokens.py")),
        Stage("postgres", ("tests/heists/services/test_tokens_taken_back.py",)),
    ),
    "heists/services/reversals.py": (
        Stage("sqlite", ("tests/heists/services/test_reversals.py", "tests/heists/services/test_nesting.py")),
        Stage("sqlite", ("tests/heists/admin/test_reversals.py",)),
    ),
    "heists/services/token_csv.py": (
        Stage("sqlite", ("tests/heists/services/test_token_csv.py", "tests/heists/management/test_grant_tokens.py")),
    ),
    "heists/services/notifications.py": (
        Stage("sqlite", ("tests/heists/services/test_notifications*.py", "tests/heists/api/test_notifications.py")),
        Stage("sqlite", (*COMMON, *HEISTS)),
    ),
    "heists/services/players.py": (
        Stage("sqlite", ("tests/heists/services/test_players.py", "tests/heists/admin/test_cascade.py")),
        Stage("postgres", ("tests/heists/services/test_players.py",)),
    ),
    "heists/services/preferences.py": (
        Stage(
            "sqlite",
            ("tests/heists/services/test_preferences.py", "tests/heists/api/test_preferences.py", *COMMON),
        ),
        Stage("postgres", ("tests/heists/services/test_preferences.py", "tests/heists/db/test_connections.py")),
    ),
    "heists/services/retention.py": (
        Stage("sqlite", ("tests/heists/services/test_retention.py",)),
        Stage("postgres", (f"{RETRY}::test_old_rows_are_pruned_also_after_a_serialization_failure",)),
    ),
    "heists/services/truces.py": (
        Stage("sqlite", ("tests/heists/services/test_truces.py", CHANGES)),
        Stage("sqlite", (*COMMON, "tests/heists/api/test_truces.py")),
    ),
    "heists/services/rule_changes.py": (
        Stage("sqlite", (CHANGES,)),
        Stage("sqlite", COMMON),
        Stage("postgres", (CHANGES,)),
    ),
    "heists/services/after_migrate.py": (
        Stage(
            "sqlite",
            ("tests/heists/services/test_after_migrate_rows.py", "tests/heists/management/test_seed_heists.py"),
        ),
        Stage("postgres", ("tests/heists/services/test_after_migrate_rows.py",)),
    ),
    "heists/emails/": (
        Stage("sqlite", ("tests/heists/emails", "tests/heists/management/test_send_heist_emails.py")),
        Stage("postgres", ("tests/heists/emails/test_unsubscribe.py",)),
    ),
    "heists/emails/outbox.py": (
        Stage("sqlite", ("tests/heists/emails/test_outbox*.py", "tests/heists/management/test_send_heist_emails.py")),
        Stage("postgres", ("tests/heists/emails/test_outbox_boundaries.py", *RESENT)),
    ),
    "heists/db/": (
        Stage("sqlite", ("tests/heists/db/test_retry_policy.py", "tests/heists/db/test_errors.py", *COMMON)),
    ),
    "heists/db/atomic.py": (
        Stage("sqlite", ("tests/heists/db/test_atomic.py", "tests/heists/db/test_retry_policy.py")),
    ),
    "heists/db/compiled.py": (
        Stage("sqlite", ("tests/heists/db/test_compiled.py", "tests/heists/queries/test_facts*.py")),
        Stage("postgres", ("tests/heists/db/test_compiled.py",)),
    ),
    "heists/db/cache_keys.py": (
        Stage("sqlite", ("tests/heists/db/test_cache_keys*.py", "tests/heists/queries/test_facts.py")),
    ),
    "heists/db/insert.py": (
        Stage("sqlite", ("tests/heists/db/test_insert.py",)),
        Stage("postgres", ("tests/heists/db/test_insert.py",)),
    ),
    "heists/audit/": (Stage("sqlite", AUDIT), Stage("postgres", OF_ALL_CHECKS)),
    "heists/audit/truces.py": (
        Stage("sqlite", ("tests/heists/audit/test_truces.py",)),
        Stage("postgres", ("tests/heists/audit/test_truces.py",)),
    ),
    "heists/audit/heists.py": (
        Stage("sqlite", ("tests/heists/audit/test_heists.py", "tests/heists/audit/test_losses.py")),
        Stage("sqlite", AUDIT),
    ),
    "heists/api/problems.py": (
        Stage("sqlite", ("tests/heists/api/test_problems*.py", "tests/heists/api/test_bodies.py")),
    ),
    "heists/api/pagination.py": (
        Stage("sqlite", ("tests/heists/api/test_pagination.py",)),
        Stage("sqlite", ("tests/heists/api/test_reading.py", "tests/heists/api/test_targets*.py", "tests/hostile")),
    ),
    "heists/queries/me.py": (Stage("sqlite", ("tests/heists/api/test_me.py",)),),
    "heists/queries/leaderboard.py": (
        Stage("sqlite", ("tests/heists/queries/test_leaderboard*.py", "tests/heists/queries/test_returns.py")),
        Stage("sqlite", ("tests/heists/api/test_reading.py", "tests/heists/admin/test_dashboard.py")),
    ),
    "heists/queries/preview.py": (
        Stage("sqlite", ("tests/heists/api/test_targets.py", "tests/heists/api/test_me.py")),
    ),
    "heists/queries/replay.py": (
        Stage("sqlite", ("tests/heists/queries/test_replay*.py", "tests/heists/management/test_simulate_rules.py")),
        Stage("sqlite", ("tests/heists/audit/test_rejections.py",)),
    ),
    "heists/queries/returns.py": (
        Stage("sqlite", ("tests/heists/queries/test_returns.py", "tests/heists/queries/test_leaderboard*.py")),
        Stage("sqlite", ("tests/heists/admin/test_dashboard.py",)),
    ),
    "heists/queries/truces.py": (
        Stage("sqlite", ("tests/heists/api/test_truces.py", "tests/heists/services/test_truces.py")),
    ),
    "heists/queries/search.py": (
        Stage("sqlite", ("tests/heists/queries/test_search.py", "tests/heists/api/test_targets_filters.py")),
    ),
    "heists/api/polling.py": (Stage("sqlite", ("tests/heists/api/test_polling.py",)),),
    "heists/api/targets.py": (
        Stage("sqlite", ("tests/heists/api/test_targets_filters.py", "tests/docs/test_generated.py")),
        Stage("sqlite", ("tests/heists/api/test_targets.py", "tests/heists/api/test_stateless.py", "tests/hostile")),
    ),
    "heists/api/throttling.py": (Stage("sqlite", ("tests/heists/api/test_throttling*.py",)),),
    "gamification/months.py": (
        Stage("sqlite", ("tests/gamification/test_months.py",)),
        Stage("postgres", ("tests/gamification/test_months.py",)),
        Stage("sqlite", ("tests/gamification",)),
    ),
    "gamification/referrals.py": (
        Stage("sqlite", ("tests/gamification/test_referrals.py",)),
        Stage("postgres", ("tests/gamification/test_referrals.py",)),
        Stage("sqlite", ("tests/gamification",)),
    ),
    "gamification/": (
        Stage("sqlite", ("tests/gamification",)),
        Stage("postgres", ("tests/gamification/test_races.py", "tests/gamification/test_economy*.py")),
        Stage("sqlite", (*HEISTS, *SHIELDS)),
        Stage("postgres", ("tests/races/test_shields.py",)),
    ),
}
# Slow and of no help here; the last needs fifty connections, and both workers share a server that allows a hundred.
LEFT_OUT = ("tests/heists/api/test_fuzzing.py", "tests/gamification/demo", "tests/races/test_simultaneous.py")


def modules(root: Path, patterns: tuple[str, ...] = MODULES) -> list[str]:
    return [str(path.relative_to(root)) for pattern in patterns for path in sorted(root.glob(pattern))]


def stages(module: str, root: Path) -> Iterator[Stage]:
    """Yield the runs that a mutant of this module has to survive, with the paths that are there."""
    prefix = max((prefix for prefix in TESTS if module.startswith(prefix)), key=len)
    if prefix.endswith("/"):
        folder, _, name = module.removesuffix(".py").rpartition("/")
        own = _found((f"tests/{folder}/test_{name}.py", f"tests/{folder}/test_{name}_*.py"), root)
        if own:
            yield Stage("sqlite", own)
    for database, patterns in TESTS[prefix]:
        yield Stage(database, _found(patterns, root))


def _found(patterns: tuple[str, ...], root: Path) -> tuple[str, ...]:
    """Return the paths that fit these patterns, each once, with the names of tests that patterns end with."""
    found: dict[str, None] = {}
    for pattern in patterns:
        path, *test = pattern.split("::")
        found |= dict.fromkeys("::".join([str(p.relative_to(root)), *test]) for p in sorted(root.glob(path)))
    return tuple(found)
