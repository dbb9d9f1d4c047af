"""The page of one heist: who, when, from where, by which rules, with links to all that belongs to it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from heists.admin.formats import when
from heists.economy import get_economy
from heists.models import Heist, HeistNotification, HeistToken, Truce
from heists.queries.evidence import ROWS, around
from heists.services import buy_shield, execute_heist, reverse_heist
from tests.conftest import HeistSettings
from tests.factories import player, rewrite

pytestmark = pytest.mark.django_db


def page(client: Client, heist: Heist) -> str:
    response = client.get(reverse("admin:heists_heist_change", args=[heist.pk]))
    assert response.status_code == 200
    return response.content.decode()


def test_the_page_shows_and_links_what_belongs_to_the_heist(client: Client, boss: Any) -> None:
    alice, bob = player("alice", points=10, tokens=1), player("bob", points=1000)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")

    text = page(client, heist)

    for user in (alice, bob):
        assert reverse("admin:auth_user_change", args=[user.pk]) in text
        assert f"{reverse('admin:heists_heist_changelist')}?player={user.pk}" in text
    for notification in HeistNotification.objects.filter(heist=heist):
        assert reverse("admin:heists_heistnotification_change", args=[notification.pk]) in text
        assert notification.message in text
    token = HeistToken.objects.get(user=alice)
    assert reverse("admin:heists_heisttoken_change", args=[token.pk]) in text
    assert reverse("admin:heists_ruleset_change", args=[heist.rule_set_id]) in text
    assert "?q=192.0.2.7" in text
    assert "5 % of 1,000 points, at most 100, are 50; 50 were stolen" in text
    assert "+50" in text and "-50" in text


def test_a_rejection_says_why(client: Client, boss: Any) -> None:
    alice, bob = player("alice"), player("bob", points=1000)

    text = page(client, execute_heist(attacker_id=alice.pk, victim_id=bob.pk))

    assert "insufficient_tokens" in text or "Not enough tokens" in text
    assert "No point events." in text and "No notifications." in text
    assert "The attacker had spent no token before" in text


def test_a_robber_who_was_deleted_since_explains_the_protection(client: Client, boss: Any) -> None:
    alice, carol, bob = player("alice", tokens=1), player("carol", tokens=1), player("bob", points=1000)
    first = execute_heist(attacker_id=carol.pk, victim_id=bob.pk)
    first_page = page(client, first)
    rejection = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    explained = page(client, rejection)
    assert rejection.failure_code == "protected" and "The victim had not been robbed before" in first_page
    (line,) = [line for line in explained.splitlines() if "The victim had last been robbed at" in line]

    carol.delete()

    assert line in page(client, rejection).splitlines()
    # A later heist explains no earlier one.
    (loss,) = HeistToken.objects.get(user=bob).losses_on_deleted or []
    later = loss | {"heist": rejection.pk + 1}
    HeistToken.objects.filter(user=bob).update(losses_on_deleted=[later])
    assert "The victim had not been robbed before" in page(client, rejection)


def test_the_evidence_is_the_nearest_heists_of_both_players_in_order() -> None:
    now = timezone.now()
    alice, bob, cid = player("alice"), player("bob"), player("cid")

    def attempt(attacker: Any, victim: Any, hours: int) -> Heist:
        heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)
        rewrite(heist, created_at=now + dt.timedelta(hours=hours))
        heist.refresh_from_db()
        return heist

    far = [attempt(alice, cid, -50 - number) for number in range(ROWS)]
    before, at_once, here = attempt(cid, bob, -1), attempt(bob, alice, 0), attempt(alice, bob, 0)
    after, unrelated = attempt(cid, alice, 2), attempt(cid, cid, 1)

    found = around(here, get_economy())

    assert found.earlier == [*far[ROWS - 3 :: -1], before, at_once]
    assert found.later == [after]
    assert unrelated not in found.later


def test_the_page_shows_the_truces_in_which_the_attempt_was_made(client: Client, boss: Any) -> None:
    alice, bob, now = player("alice"), player("bob", points=1000), timezone.now()
    day = dt.timedelta(days=1)
    Truce.objects.create(player=bob, starts_at=now - 3 * day)
    rejection = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    at = rejection.created_at
    for starts, ends in ((-9 * day, at - 5 * day), (-4 * day, at), (day, None)):
        Truce.objects.create(player=alice, starts_at=at + starts, ends_at=ends)
    Truce.objects.create(player=player(), starts_at=now - day)

    text = page(client, rejection)

    assert text.count(" had a truce from ") == 1
    assert "bob had a truce from " in text
    Truce.objects.filter(player=bob).update(ends_at=at + dt.timedelta(microseconds=1))
    Truce.objects.filter(player=alice, ends_at=None).update(starts_at=at)
    text = page(client, rejection)
    assert text.count(" had a truce from ") == 2 and text.count(" until ") >= 1
    assert "truces were switched off" not in text


def test_the_page_says_that_truces_were_off_and_when_the_victim_joined(
    client: Client, boss: Any, heist_settings: HeistSettings
) -> None:
    alice, bob = player("alice"), player("bob", points=1000, date_joined=dt.datetime(2026, 5, 1, tzinfo=dt.UTC))
    Truce.objects.create(player=bob, starts_at=dt.datetime(2026, 5, 1, tzinfo=dt.UTC))
    before = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    heist_settings(TRUCE_ENABLED=False, NEWCOMER_DAYS=3)
    after = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert "joined at" not in page(client, before)
    text = page(client, after).replace("\u00a0", " ")
    assert "(truces were switched off)" in text
    assert (
        "The victim joined at May 1, 2026 midnight UTC; without a heist of their own, new players are protected "
        in text
    )
    assert "for 3 days, until May 4, 2026 midnight UTC" in text


def test_the_statements_do_not_grow_with_the_history(client: Client, boss: Any) -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            page(client, heist)
        return len(queries)

    statements()
    few = statements()
    for _number in range(12):
        execute_heist(attacker_id=bob.pk, victim_id=alice.pk)

    assert statements() == few <= 18


def test_there_is_no_link_that_the_reader_may_not_open(client: Client, auditor: Any) -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000)

    text = page(client, execute_heist(attacker_id=alice.pk, victim_id=bob.pk))

    assert "/admin/auth/user/" not in text
    assert "Grant tokens" not in text
    assert "alice" in text and "bob" in text


def test_the_windows_of_both_players_end_as_their_own_rules_say(client: Client, boss: Any) -> None:
    alice, bob, carol = player("alice", tokens=2), player("bob", points=1000), player("carol", tokens=1)
    earlier = execute_heist(attacker_id=alice.pk, victim_id=player(points=1000).pk)
    loss = execute_heist(attacker_id=carol.pk, victim_id=bob.pk)
    rejection = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    rewrite(earlier, created_at=dt.datetime(2026, 5, 1, 8, 30, tzinfo=dt.UTC))
    rewrite(loss, created_at=dt.datetime(2026, 5, 2, 9, 30, tzinfo=dt.UTC))

    text = page(client, rejection).replace("\u00a0", " ")

    assert "at May 1, 2026 8:30 a.m. UTC; the cooldown (24 h) ran until May 2, 2026 8:30 a.m. UTC" in text
    assert "at May 2, 2026 9:30 a.m. UTC; the protection (48 h) ran until May 4, 2026 9:30 a.m. UTC" in text


def test_a_block_and_a_rejection_start_no_protection_and_a_rejection_no_cooldown() -> None:
    alice, bob = player("alice"), player("bob", points=1000, coins=50)
    buy_shield(player_id=bob.pk)
    carol = player("carol", tokens=1)
    blocked = execute_heist(attacker_id=carol.pk, victim_id=bob.pk)
    first, second = (execute_heist(attacker_id=alice.pk, victim_id=bob.pk) for _number in range(2))

    found = around(second, get_economy())

    assert blocked.status == "FAILED_SHIELD" and first.failure_code == "insufficient_tokens"
    assert (found.attackers_last_outcome, found.victims_last_loss) == (None, None)
    assert (
        around(execute_heist(attacker_id=carol.pk, victim_id=bob.pk), get_economy()).attackers_last_outcome == blocked
    )


def test_the_last_loss_is_the_latest_whether_its_heist_is_still_there_or_not(client: Client, boss: Any) -> None:
    alice, bob = player("alice"), player("bob", points=1000)
    gone = execute_heist(attacker_id=player(tokens=1).pk, victim_id=bob.pk)
    rewrite(gone, created_at=dt.datetime(2026, 5, 1, 8, 30, tzinfo=dt.UTC))
    kept = execute_heist(attacker_id=player(tokens=1).pk, victim_id=bob.pk)
    rejection = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    def robbed_at(there: dt.datetime, deleted: dt.datetime) -> bool:
        """Return whether the page names the later of both times."""
        rewrite(kept, created_at=there, status="SUCCESS", token_spent=True, failure_code=None)
        losses = [{"heist": gone.pk, "points": 50, "at": deleted.isoformat()}]
        HeistToken.objects.update_or_create(user=bob, defaults={"losses_on_deleted": losses})
        return f"robbed at {when(max(there, deleted))};" in page(client, rejection)

    day = dt.datetime(2026, 5, 2, 9, 30, tzinfo=dt.UTC)
    assert robbed_at(day, day + dt.timedelta(hours=5))
    assert robbed_at(day + dt.timedelta(hours=5), day)


def test_the_timeline_is_in_order_with_the_heist_in_its_place(client: Client, boss: Any) -> None:
    alice, bob = player("alice"), player("bob")
    heists = [execute_heist(attacker_id=alice.pk, victim_id=bob.pk) for _number in range(3)]
    for number, heist in enumerate(heists):
        rewrite(heist, created_at=timezone.now() - dt.timedelta(hours=9 - number))

    context = client.get(reverse("admin:heists_heist_change", args=[heists[1].pk])).context

    pages = [reverse("admin:heists_heist_change", args=[heist.pk]) for heist in heists]
    assert [(row["link"], row["here"]) for row in context["timeline"]] == list(
        zip(pages, [False, True, False], strict=True)
    )


def test_events_and_notifications_name_their_players_in_order(client: Client, boss: Any) -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    context = client.get(reverse("admin:heists_heist_change", args=[heist.pk])).context

    assert {(event["player"], event["points"]) for event in context["events"]} == {("alice", "+50"), ("bob", "-50")}
    rows = HeistNotification.objects.filter(heist=heist).order_by("pk")
    assert [entry["row"] for entry in context["notifications"]] == list(rows)
    assert [entry["player"] for entry in context["notifications"]] == [row.user.username for row in rows]


def test_truces_are_named_by_their_players_oldest_first(client: Client, boss: Any) -> None:
    alice, bob = player("alice"), player("bob")
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    for user, days in ((bob, 1), (alice, 2)):
        Truce.objects.create(player=user, starts_at=heist.created_at - dt.timedelta(days=days))

    context = client.get(reverse("admin:heists_heist_change", args=[heist.pk])).context

    assert [truce["player"] for truce in context["truces"]] == ["alice", "bob"]


@pytest.mark.parametrize("token", [False, True])
def test_the_token_is_named_only_where_it_was_given_back(client: Client, boss: Any, token: bool) -> None:
    heist = execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)
    reverse_heist(heist_id=heist.pk, reversed_by=None, reason="a mistake", return_token=token)

    assert ("Tokens given back to the attacker: 1" in page(client, heist)) == token


def test_the_later_heists_are_the_nearest_too() -> None:
    now = timezone.now()
    alice, bob = player("alice"), player("bob")
    heists = [execute_heist(attacker_id=alice.pk, victim_id=bob.pk) for _number in range(2 * ROWS)]
    for hours, heist in enumerate(heists):
        rewrite(heist, created_at=now + dt.timedelta(hours=hours))
        heist.refresh_from_db()

    assert around(heists[0], get_economy()).later == heists[1 : ROWS + 1]
    assert around(heists[-1], get_economy()).earlier == heists[-ROWS - 1 : -1]


def test_of_heists_in_one_moment_the_earlier_have_the_smaller_keys() -> None:
    now, alice, bob = timezone.now(), player("alice"), player("bob")
    heists = [execute_heist(attacker_id=alice.pk, victim_id=bob.pk) for _number in range(3)]
    for heist in heists:
        rewrite(heist, created_at=now)
        heist.refresh_from_db()

    found = around(heists[1], get_economy())

    assert (found.earlier, found.later) == ([heists[0]], [heists[2]])


def test_the_heists_of_either_player_in_either_role_are_around() -> None:
    alice, bob, carol = player("alice"), player("bob"), player("carol")
    pairs = [(alice, carol), (carol, alice), (bob, carol), (carol, bob)]
    before = [execute_heist(attacker_id=attacker.pk, victim_id=victim.pk) for attacker, victim in pairs]
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    after = [execute_heist(attacker_id=attacker.pk, victim_id=victim.pk) for attacker, victim in pairs]

    found = around(heist, get_economy())

    assert (found.earlier, found.later) == (before, after)


def test_only_where_the_monthly_limit_protected_points_the_page_says_so(
    client: Client, boss: Any, heist_settings: HeistSettings
) -> None:
    heist_settings(MONTHLY_LOSS_PERCENT=10, STEAL_PERCENTAGE=10, TARGET_COOLDOWN_HOURS=0)
    bob = player("bob", points=1000)
    whole, rest = (execute_heist(attacker_id=player(tokens=1).pk, victim_id=bob.pk) for _number in range(2))
    heist_settings(MONTHLY_LOSS_PERCENT=15, STEAL_PERCENTAGE=10, TARGET_COOLDOWN_HOURS=0)
    part = execute_heist(attacker_id=player(tokens=1).pk, victim_id=bob.pk)

    limited = "monthly loss limit protected the rest"
    assert (whole.points_stolen, rest.points_stolen, part.points_stolen) == (100, 0, 50)
    assert [limited in page(client, heist).replace("&#x27;", "'") for heist in (whole, part)] == [False, True]


def test_of_many_heists_in_several_roles_the_nearest_are_listed() -> None:
    now = timezone.now()
    alice, bob, carol = player("alice"), player("bob"), player("carol")
    pairs = [(alice, carol), (carol, bob)] * ROWS
    heists = [execute_heist(attacker_id=attacker.pk, victim_id=victim.pk) for attacker, victim in pairs]
    here = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    for distance, heist in enumerate(heists, 1):
        rewrite(heist, created_at=now + dt.timedelta(hours=distance))
    rewrite(here, created_at=now)
    here.refresh_from_db()

    assert around(here, get_economy()).later == heists[:ROWS]

    for distance, heist in enumerate(heists, 1):
        rewrite(heist, created_at=now - dt.timedelta(hours=distance))
    assert around(here, get_economy()).earlier == heists[ROWS - 1 :: -1]
