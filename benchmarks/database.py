"""What PostgreSQL does: the plans of every page and command, who uses each index, and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from heists.models import Heist, OutboxEmail
from heists.queries import cached
from heists.services import execute_heist, expire_shields, prune

from . import pages
from .world import veterans

TABLES = ("heists_heisttoken", "heists_heist", "heists_heistnotification")
OUR_TABLES = ('"heists_', '"gamification_')
# A year of the promised use (docs/specification.md, "Guarantees"): rows of each table.
YEAR = {"heists_heisttoken": 10_000, "heists_heist": 600_000, "heists_heistnotification": 1_200_000}
STAFF_PAGES = {
    "admin: heists": "heist/",
    "admin: by status": "heist/?status=FAILED_SHIELD",
    "admin: by rare status": "heist/?status=FAILED_INVALID_TARGET",
    "admin: last seven days": "heist/?period=7",
    "admin: grants": "tokengrant/",
    "admin: notifications": "heistnotification/",
    "admin: notifications by rare type": "heistnotification/?type=SHIELD_ACTIVATED",
    "admin: tokens": "heisttoken/",
    "admin: shields": "shield/",
    "admin: emails": "outboxemail/",
    "admin: dashboard": "heist/dashboard/",
}


def hot_calls() -> dict[str, Callable[[], Any]]:
    """Return every page that a player or a member of staff waits for, and every regular command, by name."""
    User = get_user_model()
    player, other = (User.objects.get(pk=pk) for pk in (veterans(40) * 2)[:2])
    address = Heist.objects.filter(ip_address__isnull=False).values_list("ip_address", flat=True).first()
    api, admin = pages.client(player), Client(SERVER_NAME="127.0.0.1")
    admin.force_login(User.objects.create_superuser("benchmark"))

    def page(client: Any, path: str) -> Callable[[], Any]:
        return lambda: pages.get(client, path)

    repeated = Heist.objects.exclude(idempotency_key=None).newest_first().first()
    assert repeated
    return {
        **{name: page(api, path) for name, path in pages.paths().items()},
        "preview": page(api, f"/api/heists/targets/{other.pk}/"),
        "replay of a key": lambda: execute_heist(
            attacker_id=repeated.attacker_id,
            victim_id=repeated.victim_id,
            idempotency_key=repeated.idempotency_key,
        ),
        **{name: page(admin, f"/admin/heists/{path}") for name, path in STAFF_PAGES.items()},
        "admin: player": page(admin, f"/admin/heists/heist/?q={player.get_username()}"),
        "admin: address": page(admin, f"/admin/heists/heist/?q={address}"),
        "shields due": expire_shields,
        "emails due": lambda: list(OutboxEmail.objects.due(timezone.now()).order_by("due_at")[:100]),
        "retention": lambda: prune(dry_run=True),
    }


def look() -> dict[str, Any]:
    """Return plans, index usage and storage of the world as it is now."""
    # Sums that are slow enough to be cached are explained too.
    cached.SLOW_SECONDS = float("inf")
    plans = {name: _explain(call) for name, call in hot_calls().items()}
    readers: dict[str, list[str]] = {}
    for name, plan in plans.items():
        for index in plan["reads"]:
            readers.setdefault(index, []).append(name)
    return {"plans": plans, "indexes": _indexes(readers)}


def reset_index_usage() -> None:
    """Reset the statistics, so that the foreign key checks of the seeding don't count as readers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_reset()")


def _explain(call: Callable[[], Any]) -> dict[str, Any]:
    """Explain each SELECT of a call that reads our tables."""
    call()
    with CaptureQueriesContext(connection) as statements:
        call()
    took, reads, rows = 0.0, set(), 0
    for statement in statements:
        if not statement["sql"].startswith("SELECT") or not any(table in statement["sql"] for table in OUR_TABLES):
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement['sql']}".replace("%", "%%"), ())
            ((plan,),) = cursor.fetchall()
        took += plan[0]["Execution Time"] + plan[0]["Planning Time"]
        for node in _nodes(plan[0]["Plan"]):
            if "Index Name" in node:
                reads.add(node["Index Name"])
            elif node["Node Type"] == "Seq Scan":
                reads.add(f"SCAN {node['Relation Name']}")
                rows = max(rows, node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
    return {"ms": round(took, 3), "reads": sorted(reads), "rows_scanned": rows}


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _indexes(readers: dict[str, list[str]]) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelname, idx_scan, pg_relation_size(indexrelid) FROM pg_stat_user_indexes "
            "WHERE relname LIKE 'heists\\_%%' OR relname LIKE 'gamification\\_%%' ORDER BY indexrelname",
            (),
        )
        return {
            name: {"scans": scans, "mb": round(size / 2**20, 2), "queries": readers.get(name, [])}
            for name, scans, size in cursor.fetchall()
        }


def storage() -> dict[str, Any]:
    """Return the bytes of a row, and of a year. Called before the load, whose players have longer names than people."""
    tables: dict[str, Any] = {}
    rows_of_year = all_of_year = 0.0
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT count(*), pg_table_size('{table}'), pg_total_relation_size('{table}') FROM {table}")
            ((rows, alone, total),) = cursor.fetchall()
            tables[table] = {"rows": rows, "bytes": round(alone / rows), "with_indexes": round(total / rows)}
            # A year has two notifications for each heist, so each heist is a success.
            kind = {"heists_heist": "status = 'SUCCESS'", "heists_heistnotification": "type LIKE 'HEIST%%'"}.get(table)
            cursor.execute(f"SELECT avg(pg_column_size(t)) FROM {table} t WHERE {kind or 'true'}", ())
            ((size,),) = cursor.fetchall()
            # A row's pointer in its page, and the rest of a page that holds no further row.
            filled = (float(size) + 4) * 8192 / (8192 - 24 - (float(size) + 4) / 2)
            tables[table]["promised_row"] = round(filled)
            rows_of_year += YEAR[table] * filled
            all_of_year += YEAR[table] * (filled + (total - alone) / rows)
    megabyte = 1_000_000
    year = {"rows_mb": round(rows_of_year / megabyte), "with_indexes_mb": round(all_of_year / megabyte)}
    return {"storage": tables, "year": year}
