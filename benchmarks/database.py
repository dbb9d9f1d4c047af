"""What PostgreSQL makes of it: the plan of every hot query, who uses each index, and bytes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from heists.api.heists import HistoryPage
from heists.api.notifications import InboxPage, inbox
from heists.api.pagination import Window
from heists.conf import rules
from heists.economy import get_economy
from heists.models import Heist, HeistNotification, HeistToken, OutboxEmail, Shield, TokenGrant
from heists.queries import dashboard, facts, leaderboard, rollups
from heists.rules import month_start

from .world import veterans

TABLES = ("heists_heisttoken", "heists_heist", "heists_heistnotification")
FIRST_PAGE = Window(21, backwards=False, position=None)
# A year of the promise (spec section 10): rows of each table.
YEAR = {"heists_heisttoken": 10_000, "heists_heist": 600_000, "heists_heistnotification": 1_200_000}


def hot_queries() -> dict[str, Callable[[], Any]]:
    """Return every query that a player or a member of staff waits for, by name."""
    me, other = (veterans(40) * 2)[:2]
    now, economy = timezone.now(), get_economy()
    month = dt.timedelta(days=30)
    heists, player = Heist.objects, SimpleNamespace(pk=me)

    def read(victims: list[Any]) -> Any:
        return facts.read(me, victims, economy=economy, rules=rules(), now=now, using="default")

    board = [player.pk for player in economy.leaderboard()[:20]]
    address = heists.filter(ip_address__isnull=False).values_list("ip_address", flat=True).first()
    return {
        "facts of a pair": lambda: read([other]),
        "facts of targets": lambda: read(board),
        "target list": lambda: list(economy.leaderboard().exclude(pk=me).filter(is_active=True)[:21]),
        "replay of a key": lambda: list(heists.filter(attacker=me, idempotency_key="none")),
        "balance": lambda: list(HeistToken.objects.filter(user=me).values_list("balance")),
        "feed": lambda: InboxPage(player).take({}, FIRST_PAGE),
        "unread count": lambda: inbox(me).unread().count(),
        "history, attacker": lambda: HistoryPage(player, "attacker").take({}, FIRST_PAGE),
        "history, victim": lambda: HistoryPage(player, "victim").take({}, FIRST_PAGE),
        "history, status": lambda: HistoryPage(player, "attacker").take({"status": "SUCCESS"}, FIRST_PAGE),
        "history, victim, status": lambda: HistoryPage(player, "victim").take({"status": "FAILED_SHIELD"}, FIRST_PAGE),
        "stats": lambda: leaderboard.totals(me),
        # Once a day, by `summarize_heists` at night; and once a minute.
        "leaderboard, closed days": lambda: leaderboard._ranks("attacker", month_start(rules(), now), now, limit=1000),
        "leaderboard, today": lambda: leaderboard._ranks("attacker", now - rollups.DAY, None, limit=1000),
        "leaderboard, named": lambda: get_user_model().objects.in_bulk(board[:10]),
        "my shields": lambda: list(Shield.objects.filter(player=me).order_by("-bought_at")[:21]),
        "shields due": lambda: list(Shield.objects.due(now)[:100]),
        "emails due": lambda: list(OutboxEmail.objects.due(now).order_by("due_at")[:100]),
        "admin: heists": lambda: list(heists.newest_first()[:100]),
        "admin: by status": lambda: list(heists.filter(status="FAILED_SHIELD").newest_first()[:100]),
        "admin: by rare status": lambda: list(heists.filter(status="FAILED_INVALID_TARGET").newest_first()[:100]),
        "admin: victim": lambda: list(heists.filter(victim=me).newest_first()[:100]),
        "admin: address": lambda: list(heists.filter(ip_address=address).newest_first()[:100]),
        "admin: grants": lambda: list(TokenGrant.objects.order_by("-created_at")[:100]),
        "admin: news": lambda: list(HeistNotification.objects.order_by("-created_at")[:100]),
        "admin: news by rare type": lambda: list(
            HeistNotification.objects.filter(type="SHIELD_ACTIVATED").order_by("-created_at")[:100]
        ),
        "admin: tokens": lambda: list(HeistToken.objects.order_by("-last_spent_at")[:100]),
        "grants of a player": lambda: list(TokenGrant.objects.filter(player=me).order_by("-created_at")[:21]),
        "dashboard, today": lambda: dashboard._tallies(dt.UTC, now - rollups.DAY, None),
        "dashboard, hasty players": lambda: dashboard.players_with_many_rejections(now),
        "dashboard, besieged players": lambda: dashboard.players_attacked_often(now),
        "retention": lambda: list(
            HeistNotification.objects.filter(created_at__lt=now - 12 * month).values_list("pk")[:1000]
        ),
    }


def look() -> dict[str, Any]:
    """Return plans, index usage and storage of the world as it is now."""
    plans = {name: _explain(query) for name, query in hot_queries().items()}
    readers: dict[str, list[str]] = {}
    for name, plan in plans.items():
        for index in plan["reads"]:
            readers.setdefault(index, []).append(name)
    return {"plans": plans, "indexes": _indexes(readers)}


def forget_index_usage() -> None:
    """Start counting anew, so that the seeding's foreign key checks don't count as readers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_reset()")


def _explain(query: Callable[[], Any]) -> dict[str, Any]:
    query()
    with CaptureQueriesContext(connection) as done:
        query()
    took, reads, rows = 0.0, set(), 0
    for statement in done:
        if not statement["sql"].startswith("SELECT"):
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
    """Return the bytes of a row, and of a year. Asked before the load, whose players have longer names than people."""
    tables: dict[str, Any] = {}
    rows_of_year = all_of_year = 0.0
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT count(*), pg_table_size('{table}'), pg_total_relation_size('{table}') FROM {table}")
            ((rows, alone, total),) = cursor.fetchall()
            tables[table] = {"rows": rows, "bytes": round(alone / rows), "with_indexes": round(total / rows)}
            # The promise counts two notifications for each heist, so each heist is a success.
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
