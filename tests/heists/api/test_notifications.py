"""Reading notifications and marking them as read."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from heists import services
from heists.api import notifications
from heists.api.notifications import NotificationMetadataSerializer
from heists.choices import GrantReason, HeistNotificationType
from heists.models import HeistNotification, Shield
from heists.services import buy_shield, execute_heist, expire_shields, grant_tokens, reverse_heist
from tests.factories import player

pytestmark = pytest.mark.django_db
URL = "/api/heists/notifications/"
WEEK = dt.timedelta(days=8)


def test_the_list_has_my_notifications_newest_first_and_unread_count(signed_in: Any) -> None:
    me, other = player("me", points=1000, tokens=1), player("other", points=1000, tokens=1)
    won = execute_heist(attacker_id=me.pk, victim_id=other.pk)
    lost = execute_heist(attacker_id=other.pk, victim_id=me.pk)

    body = signed_in(me).get(URL).json()

    assert [(row["type"], row["heist"], row["read"]) for row in body["results"]] == [
        ("HEIST_VICTIM", lost.pk, False),
        ("HEIST_SUCCESS", won.pk, False),
        ("TOKEN_EARNED", None, False),
    ]
    assert body["unread_count"] == 3
    first = body["results"][0]
    assert set(first) == {"id", "type", "message", "heist", "metadata", "read", "created_at"}
    assert first["message"].startswith("Oh no! other just pulled a heist on you")
    assert first["metadata"]["attacker_id"] == other.pk


def test_the_schema_has_every_member_of_the_metadata(signed_in: Any) -> None:
    me, other, friend = player("me", points=1000, tokens=1, coins=100), player("other", points=1000, tokens=1), player()
    heist = execute_heist(attacker_id=me.pk, victim_id=other.pk)
    reverse_heist(heist_id=heist.pk, reversed_by=player(is_staff=True), reason="a test", note="A test.")
    buy_shield(player_id=me.pk)
    execute_heist(attacker_id=other.pk, victim_id=me.pk)
    buy_shield(player_id=me.pk)
    Shield.objects.filter(used_at=None).update(bought_at=F("bought_at") - WEEK, expires_at=F("expires_at") - WEEK)
    expire_shields()
    grant_tokens(player=me, amount=1, reason=GrantReason.REFERRAL, source="referral", referred=friend)

    rows = signed_in(me).get(URL).json()["results"] + signed_in(other).get(URL).json()["results"]

    assert {row["type"] for row in rows} == set(HeistNotificationType.values)
    described = NotificationMetadataSerializer().fields.keys()
    assert {name for row in rows for name in row["metadata"]} == described


def test_filters(signed_in: Any) -> None:
    me = player("me", tokens=1)
    execute_heist(attacker_id=me.pk, victim_id=player(points=1000).pk)
    HeistNotification.objects.filter(user=me, type="TOKEN_EARNED").update(read=True)
    client = signed_in(me)

    def types(**query: str) -> list[str]:
        return [row["type"] for row in client.get(URL, query).json()["results"]]

    assert types(read="true") == ["TOKEN_EARNED"]
    assert types(read="false") == ["HEIST_SUCCESS"]
    assert types(type="TOKEN_EARNED") == ["TOKEN_EARNED"]
    assert types(type="TOKEN_EARNED", read="false") == []
    assert client.get(URL, {"type": "TOKEN_EARNED"}).json()["unread_count"] == 1


@pytest.mark.parametrize("query", [{"read": "perhaps"}, {"read": ""}, {"type": "x"}, {"type": "\x00"}])
def test_an_invalid_filter_is_a_400(signed_in: Any, query: dict[str, str]) -> None:
    response = signed_in(player()).get(URL, query)

    assert (response.status_code, response.json()["code"]) == (400, "validation_error")


def test_marking_one_is_safe_to_repeat(signed_in: Any) -> None:
    me = player(tokens=1)
    notification = HeistNotification.objects.get(user=me)
    client = signed_in(me)

    for _ in range(2):
        response = client.post(f"{URL}{notification.pk}/read/")
        assert (response.status_code, response.json()["read"]) == (200, True)

    assert client.get(URL).json()["unread_count"] == 0


def test_marking_all_marks_only_mine(signed_in: Any) -> None:
    me, other = player(tokens=1), player(tokens=1)

    response = signed_in(me).post(f"{URL}read-all/")

    assert (response.status_code, response.json()) == (200, {"marked": 1, "unread_count": 0})
    assert HeistNotification.objects.filter(user=other).unread().count() == 1


@pytest.mark.parametrize("pk", ["0", "x", "-1", str(2**63), "9" * 99, "987654321", "%00"])
def test_marking_an_unknown_notification_is_a_404(signed_in: Any, pk: str) -> None:
    response = signed_in(player()).post(f"{URL}{pk}/read/")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_a_message_without_metadata_is_shown_as_stored(signed_in: Any) -> None:
    me = player()
    HeistNotification.objects.create(user=me, type="HEIST_SUCCESS", message="As stored.", metadata=None)

    row = signed_in(me).get(URL).json()["results"][0]

    assert (row["message"], row["metadata"]) == ("As stored.", {})


def test_the_list_takes_one_statement_and_an_empty_page_two(signed_in: Any) -> None:
    me = player(tokens=1)

    for query, statements in (({}, 1), ({"read": "true"}, 2)):
        with CaptureQueriesContext(connection) as queries:
            assert signed_in(me).get(URL, query).json()["unread_count"] == 1
        assert len(queries) == statements


def test_the_unread_count_is_mine_whatever_the_page_shows(signed_in: Any) -> None:
    me, other = player(tokens=1), player(tokens=1)
    HeistNotification.objects.create(user=other, type="TOKEN_EARNED", message="Another one.")

    for query in ({}, {"read": "true"}, {"read": "false"}, {"type": "HEIST_VICTIM"}):
        assert signed_in(me).get(URL, query).json()["unread_count"] == 1
        assert signed_in(other).get(URL, query).json()["unread_count"] == 2
    HeistNotification.objects.filter(user=me).update(read=True)
    for query in ({}, {"read": "false"}):
        assert signed_in(me).get(URL, query).json()["unread_count"] == 0


def test_an_answer_to_marking_counts_what_came_since(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    me = player(tokens=1)
    mark = services.mark_all_read

    def mark_and_send(player_id: Any) -> int:
        marked = mark(player_id=player_id)
        HeistNotification.objects.create(user=me, type="TOKEN_EARNED", message="A new one.")
        return marked

    monkeypatch.setattr(notifications, "mark_all_read", mark_and_send)

    assert signed_in(me).post(f"{URL}read-all/").json() == {"marked": 1, "unread_count": 1}


def test_a_notification_that_is_deleted_while_it_is_marked_is_a_404(
    signed_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = player(tokens=1)
    pk = HeistNotification.objects.get(user=me).pk

    def mark_and_delete(**kwargs: Any) -> bool:
        HeistNotification.objects.all().delete()
        return True

    monkeypatch.setattr(notifications, "mark_read", mark_and_delete)

    assert signed_in(me).post(f"{URL}{pk}/read/").status_code == 404


def test_the_schema_of_a_page_has_the_unread_count() -> None:
    page = notifications.NotificationPagination().get_paginated_response_schema({})

    assert set(page["required"]) == {"next", "previous", "results", "unread_count"} == set(page["properties"])
    assert page["properties"]["unread_count"]["type"] == "integer"


class NoReplica:
    """A router whose replica does not answer: what reads from it fails."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "no such database"


def test_the_answer_to_marking_is_read_from_the_written_database(signed_in: Any, settings: Any) -> None:
    me = player(tokens=1)
    pk = HeistNotification.objects.get(user=me).pk
    client = signed_in(me)
    settings.DATABASE_ROUTERS = [NoReplica()]

    assert client.post(f"{URL}{pk}/read/").json()["read"] is True
    assert client.post(f"{URL}read-all/").json() == {"marked": 0, "unread_count": 0}
