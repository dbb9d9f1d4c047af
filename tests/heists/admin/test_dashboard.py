"""The dashboard's numbers are those of the rows, cached or not (docs/specification.md, "Admin")."""

from __future__ import annotations

import datetime as dt
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.urls import reverse
from django.utils import timezone

from heists.choices import GrantReason, HeistStatus
from heists.models import Heist, OutboxEmail, Shield
from heists.queries import dashboard, rollups
from heists.rules import DAY
from heists.services import execute_heist, grant_tokens
from tests.factories import player, rewrite

pytestmark = pytest.mark.django_db

NOON = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)


def success(attacker: Any, victim: Any, points: int, at: dt.datetime) -> Heist:
    """Return a success without asking the rules."""
    heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)
    rewrite(
        heist,
        status=HeistStatus.SUCCESS,
        failure_code=None,
        token_spent=True,
        points_stolen=points,
        victim_points_before=points,
        victim_points_after=0,
        attacker_points_before=0,
        attacker_points_after=points,
        created_at=at,
    )
    return heist


def rejection(attacker: Any, victim: Any, at: dt.datetime) -> None:
    heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)
    rewrite(heist, created_at=at)


@pytest.mark.parametrize("caching", [False, True])
def test_the_period_adds_up_cached_or_not(monkeypatch: pytest.MonkeyPatch, caching: bool) -> None:
    monkeypatch.setattr("heists.queries.cached.SLOW_SECONDS", 0 if caching else 3600)
    monkeypatch.setattr("heists.queries.rollups.OPEN_TIMEOUT", dt.timedelta())
    alice, bob, cid = player("alice"), player("bob"), player("cid")
    success(alice, bob, 30, NOON - dt.timedelta(days=2))
    success(bob, cid, 50, NOON - dt.timedelta(days=1))
    rejection(alice, cid, NOON - dt.timedelta(days=1))
    success(alice, cid, 9, NOON - dt.timedelta(days=7))
    dashboard.period(7, NOON)
    success(alice, cid, 25, NOON - dt.timedelta(minutes=5))

    period = dashboard.period(7, NOON)

    assert [day.attempts for day in period.days] == [0, 0, 0, 0, 1, 2, 1]
    assert [day.points for day in period.days] == [0, 0, 0, 0, 30, 50, 25]
    assert (period.attempts, period.successes, period.points, period.success_rate) == (4, 3, 105, 75)
    assert [(rank.player, rank.heists, rank.points) for rank in period.attackers] == [(alice, 2, 55), (bob, 1, 50)]
    assert [(rank.player, rank.points) for rank in period.victims] == [(cid, 75), (bob, 30)]


@pytest.mark.parametrize(("timeout", "saved"), [(dt.timedelta(), 3), (rollups.OPEN_TIMEOUT, 8)])
def test_closed_days_are_read_once_and_the_open_day_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, timeout: dt.timedelta, saved: int
) -> None:
    monkeypatch.setattr("heists.queries.cached.SLOW_SECONDS", 0)
    monkeypatch.setattr("heists.queries.rollups.OPEN_TIMEOUT", timeout)
    success(player("alice"), player("bob"), 30, NOON - dt.timedelta(days=2))

    with CaptureQueriesContext(connection) as first:
        dashboard.period(7, NOON)
    with CaptureQueriesContext(connection) as second:
        dashboard.period(7, NOON)

    assert len(second) == len(first) - saved


@pytest.mark.parametrize("later", [30, 8 * 60, 22 * 60, 23 * 60 + 59], ids="minutes={}".format)
@pytest.mark.parametrize("days", dashboard.PERIODS_DAYS)
def test_after_summarize_no_page_computes_closed_days_for_a_day(
    monkeypatch: pytest.MonkeyPatch, days: int, later: int
) -> None:
    monkeypatch.setattr("heists.queries.cached.SLOW_SECONDS", 0)
    alice, bob = player("alice"), player("bob")
    for ago in (1, days - 1, days):
        success(alice, bob, 30, NOON - ago * DAY)
    night = NOON.replace(hour=1, minute=30)
    page_at = night + dt.timedelta(hours=1, minutes=later - 30)
    dashboard.summarize(night)

    with CaptureQueriesContext(connection) as queries:
        shown = dashboard.period(days, page_at)

    monkeypatch.setattr("heists.queries.rollups.cached", lambda name, compute, life: compute())
    with CaptureQueriesContext(connection) as more:
        assert dashboard.period(days, page_at) == shown
    assert len(more) == len(queries) + 3


def test_the_cache_of_one_day_is_not_used_on_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heists.queries.cached.SLOW_SECONDS", 0)
    success(player("alice"), player("bob"), 30, NOON - 6 * DAY)

    assert dashboard.period(7, NOON).attackers
    assert not dashboard.period(7, NOON.replace(hour=0) + DAY).attackers


def test_the_command_summarizes_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dt.datetime] = []
    monkeypatch.setattr(dashboard, "summarize", calls.append)
    out = StringIO()

    call_command("summarize_heists", stdout=out)

    assert len(calls) == 1 and "7, 30, 90" in out.getvalue()


def test_the_distribution_counts_players_by_balance() -> None:
    for tokens in (1, 1, 3):
        player(tokens=tokens)

    assert dashboard.token_distribution() == [(1, 2), (3, 1)]


def test_days_are_those_of_the_sites_time_zone(settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    success(player("alice"), player("bob"), 30, dt.datetime(2026, 5, 19, 13, tzinfo=dt.UTC))

    period = dashboard.period(7, NOON)

    assert [day.date.isoformat() for day in period.days if day.points] == ["2026-05-20"]


@pytest.mark.parametrize("days", ["7", "30", "90"])
def test_the_page_shows_numbers_and_names(client: Client, boss: Any, days: str) -> None:
    now = timezone.now()
    alice, bob = player("alice", tokens=3), player("bob")
    success(alice, bob, 30, now)
    Shield.objects.create(player=bob, cost=50, expires_at=now + dt.timedelta(days=1))
    for _number in range(6):
        rejection(alice, bob, now)

    page = client.get(reverse("admin:heists_dashboard"), {"days": days})

    text = page.content.decode()
    tiles = {tile["label"]: tile["value"] for tile in page.context["tiles"]}
    assert (tiles["Attempts"], tiles["Points moved"], tiles["Live shields"]) == ("7", "30", "1")
    assert f"?player={alice.pk}" in text and f"?player={bob.pk}" in text
    assert "14.3 %" in text
    assert "was attacked 7 times in 24 hours (limit: 5)." in text
    assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text


def test_a_warning_of_a_pair_leads_to_the_heists_between_them(client: Client, boss: Any) -> None:
    now, zone = timezone.now(), timezone.get_default_timezone()
    alice, bob, cid = player("alice"), player("bob"), player("cid")
    grant_tokens(player=alice, amount=1, reason=GrantReason.REFERRAL, source=f"referral:{bob.pk}", referred=bob)
    for days in (0, 0, 29):
        success(alice, bob, 30, dt.datetime.combine(now.astimezone(zone).date() - days * DAY, dt.time(), zone))
    success(alice, cid, 30, now)
    rejection(alice, bob, now)

    text = client.get(reverse("admin:heists_dashboard")).content.decode()

    assert "alice</a> attacked <a" in text and "3</a> times in 30 days, rejections not counted (limit: 2)." in text
    assert "alice</a> referred <a" in text and "bob</a> and attacked them. Attacks in 30 days: <a" in text
    address = f"?player={alice.pk}&amp;q={bob.pk}&amp;period=30&amp;token_spent=1"
    assert text.count(address) == 2
    page = client.get(reverse("admin:heists_heist_changelist") + address.replace("&amp;", "&"))
    rows = page.context["cl"].result_list
    assert {(row.attacker, row.victim, row.token_spent) for row in rows} == {(alice, bob, True)} and len(rows) == 3


def test_a_warning_of_an_address_leads_to_its_heists(client: Client, boss: Any) -> None:
    bob = player("bob")
    for _number in range(4):
        execute_heist(attacker_id=player().pk, victim_id=bob.pk, ip_address="2001:db8::7")

    text = client.get(reverse("admin:heists_dashboard")).content.decode()

    assert '4 players attacked from <a href="/admin/heists/heist/?q=2001%3Adb8%3A%3A7&amp;period=7">' in text


def test_the_page_takes_a_fixed_number_of_statements(client: Client, boss: Any) -> None:
    now = timezone.now()

    def statements(days: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("admin:heists_dashboard"), {"days": days})
        return len(queries)

    success(player(), player(), 30, now)
    few = statements(7)
    for _number in range(5):
        success(player(), player(), 30, now)
    assert statements(7) == statements(90) == few <= 26

    for attacker in [player(tokens=1) for _number in range(3)]:
        victim = player()
        for _number in range(11):
            rejection(attacker, victim, now)
            success(attacker, victim, 30, now)
    assert statements(7) == statements(90) <= 28


def test_an_empty_site_has_a_dashboard(client: Client, boss: Any) -> None:
    page = client.get(reverse("admin:heists_dashboard"))

    assert page.status_code == 200
    assert "No successful heists." in page.content.decode()


def test_emails_are_late_only_once_they_are_due(client: Client, boss: Any) -> None:
    player(tokens=1, email="alice@example.org")

    def tile(**due: float) -> tuple[str, str]:
        OutboxEmail.objects.update(due_at=timezone.now() + dt.timedelta(**due))
        tiles = client.get(reverse("admin:heists_dashboard")).context["tiles"]
        return next((tile["value"], tile["more"]) for tile in tiles if tile["label"] == "Emails waiting")

    assert tile(hours=1) == ("1", "")
    assert tile(hours=-2, minutes=-5) == ("1", "the oldest for 2\xa0hours, 5\xa0minutes")


def test_a_player_who_was_deleted_since_is_left_out_of_a_cached_list(
    client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heists.queries.cached.SLOW_SECONDS", 0)
    alice, bob = player("alice"), player("bob")
    success(alice, bob, 30, timezone.now())
    client.get(reverse("admin:heists_dashboard"))
    alice.delete()

    page = client.get(reverse("admin:heists_dashboard"))

    assert page.status_code == 200 and page.context["attackers"] == []
    assert len(page.context["victims"]) == 1


def test_links_lead_to_the_heists_that_the_numbers_count(client: Client, boss: Any) -> None:
    now = timezone.now()
    alice, bob = player("alice"), player("bob")
    success(alice, bob, 30, now)
    for _number in range(11):
        rejection(alice, bob, now)
    today = timezone.localdate(timezone=timezone.get_default_timezone()).isoformat()

    context = client.get(reverse("admin:heists_dashboard")).context

    assert f'href="/admin/heists/heist/?period={today}"' in context["heists_chart"]
    assert f'href="/admin/heists/heist/?status=SUCCESS&amp;period={today}"' in context["points_chart"]
    for warnings in (context["many_rejections"], context["attacked_often"]):
        assert '&amp;period=7">' in warnings[0][0]
    assert "period" not in context["attackers"][0][0]


def test_the_zone_is_the_sites_and_not_the_readers(client: Client, boss: Any) -> None:
    with override_settings(TIME_ZONE="Pacific/Auckland"), timezone.override("America/New_York"):
        page = client.get(reverse("admin:heists_dashboard")).content.decode()

    assert "Days are those of Pacific/Auckland" in page
