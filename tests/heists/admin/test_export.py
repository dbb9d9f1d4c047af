"""The CSV of the filtered list: streamed, complete, without formulas."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from heists.admin import HeistAdmin, export
from heists.services import execute_heist
from tests.factories import player

pytestmark = pytest.mark.django_db


def rows(client: Client, **query: Any) -> list[dict[str, str]]:
    response = client.get(reverse("admin:heists_heist_export"), query)
    assert response.status_code == 200 and response.streaming
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(text)))


def test_the_file_has_the_rows_of_the_list(client: Client, auditor: Any) -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")
    execute_heist(attacker_id=bob.pk, victim_id=alice.pk)

    assert len(rows(client)) == 2
    assert len(rows(client, p="99")) == 2
    (row,) = rows(client, status="SUCCESS", q="alice")
    assert (row["id"], row["attacker"], row["victim"], row["points_stolen"]) == (str(heist.pk), "alice", "bob", "50")
    assert (row["status"], row["ip_address"]) == ("SUCCESS", "192.0.2.7")
    assert row["created_at"] == heist.created_at.astimezone(dt.UTC).isoformat()
    assert rows(client, q="nobody") == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_is_a_formula_gets_an_apostrophe(start: str) -> None:
    assert export.cell(f"{start}1+1") == f"'{start}1+1"
    assert export.cell("a=1") == "a=1"
    assert export.cell(-5) == -5
    assert export.cell(None) is None


def test_a_name_that_is_a_formula_gets_an_apostrophe(client: Client, auditor: Any) -> None:
    alice, bob = player("@SUM(A1)", tokens=1), player("-2+3", points=1000)
    execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    (row,) = rows(client)

    assert (row["attacker"], row["victim"]) == ("'@SUM(A1)", "'-2+3")


def test_the_statements_do_not_grow_with_the_rows(client: Client, auditor: Any) -> None:
    alice, bob = player("alice"), player("bob")

    def statements() -> int:
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
        with CaptureQueriesContext(connection) as queries:
            rows(client)
        return len(queries)

    statements()
    assert statements() == statements()


def test_a_million_rows_take_no_more_memory_than_a_few_thousand() -> None:
    def many(count: int) -> Iterator[tuple[Any, ...]]:
        return ((number, "alice", "bob", "SUCCESS") for number in range(count))

    def peak(count: int) -> int:
        tracemalloc.start()
        for _piece in export.lines(["a", "b", "c", "d"], many(count)):
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(20 * export.CHUNK_ROWS) < 2 * peak(2 * export.CHUNK_ROWS)


def test_the_file_has_every_page_of_the_list(client: Client, auditor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HeistAdmin, "list_per_page", 1)
    alice, bob = player("alice"), player("bob")
    for _number in range(3):
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert [len(rows(client, p=page)) for page in ("1", "2", "99", "all")] == [3, 3, 3, 3]


def test_the_file_is_downloaded_and_kept_by_no_cache(client: Client, auditor: Any) -> None:
    response = client.get(reverse("admin:heists_heist_export"))

    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "no-store" in response.headers["Cache-Control"]
    assert re.fullmatch(
        r'attachment; filename="heists-\d{4}-\d\d-\d\d-\d{4}\.csv"', response.headers["Content-Disposition"]
    )


def test_each_export_is_logged_with_who_and_what(
    client: Client, auditor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "heists"):
        rows(client)
        rows(client, status="SUCCESS", p="2")

    assert [record.getMessage() for record in caplog.records if "exported" in record.getMessage()] == [
        f"heists exported by user {auditor.pk}: all",
        f"heists exported by user {auditor.pk}: status=SUCCESS",
    ]


def test_a_time_is_in_utc_whatever_the_zone_of_the_connection() -> None:
    noon = dt.datetime(2026, 5, 20, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))

    assert export.cell(noon) == "2026-05-20T10:00:00+00:00"
