"""Staff return the points of a heist in the admin (docs/specification.md, "Admin")."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from gamification.economy import GamificationEconomy
from gamification.models import PlayerProfile
from heists.economy import Economy
from heists.models import Heist, Reversal
from heists.services import execute_heist, reverse_heist
from tests.conftest import HeistSettings
from tests.factories import player, points_of, rewrite, tokens_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def heist(db: None) -> Heist:
    """Alice stole 50 of bob's 1,000 points."""
    return execute_heist(attacker_id=player("alice", points=100, tokens=1).pk, victim_id=player("bob", points=1000).pk)


def page_of(heist: Heist) -> str:
    return reverse("admin:heists_heist_change", args=[heist.pk])


def url_of(heist: Heist) -> str:
    return reverse("admin:heists_heist_reverse", args=[heist.pk])


def form(**fields: Any) -> dict[str, Any]:
    return {"expected": 50, "reason": "two accounts of one person", "note": "", **fields}


def send(client: Client, heist: Heist, **fields: Any) -> str:
    """Send the form, and return the page that follows."""
    return client.post(url_of(heist), form(**fields), follow=True).content.decode()


def set_points(user: Any, points: int) -> None:
    PlayerProfile.objects.filter(user=user).update(monthly_points=points)


def test_the_page_shows_the_numbers_and_changes_nothing(client: Client, boss: Any, heist: Heist) -> None:
    assert f'href="{url_of(heist)}"' in client.get(page_of(heist)).content.decode()

    page = client.get(url_of(heist))

    assert page.context["sentences"][0] == "50 points go back from alice to bob."
    assert page.context["rows"] == [("alice", "150", "-50", "100"), ("bob", "950", "+50", "1,000")]
    assert "alice robbed bob: 50 points" in page.content.decode()
    assert 'value="Yes, return 50 points"' in page.content.decode()
    assert not Reversal.objects.exists()


def test_the_points_are_returned_logged_and_shown(client: Client, boss: Any, heist: Heist) -> None:
    text = send(client, heist, note="Please <b>do not</b>.", return_token="on")

    reversal = Reversal.objects.get()
    assert (reversal.reversed_by, reversal.reason) == (boss, "two accounts of one person")
    assert (reversal.note, reversal.token_returned) == ("Please <b>do not</b>.", True)
    assert points_of(heist.victim) == 1000
    assert tokens_of(heist.attacker).balance == 1
    assert "50 points went back from alice to bob." in text
    for shown in ("Points returned", "by boss", "two accounts of one person", "Please &lt;b&gt;do not&lt;/b&gt;."):
        assert shown in text
    assert url_of(heist) not in text
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id, entry.object_repr) == (boss, str(heist.pk), "alice robbed bob: 50 points")
    assert entry.change_message == (
        "Points returned: 50, from alice to bob. Tokens given back: 1. two accounts of one person"
    )


def test_without_the_tick_the_token_stays_spent(client: Client, boss: Any, heist: Heist) -> None:
    send(client, heist)

    assert tokens_of(heist.attacker).balance == 0
    assert "Tokens" not in LogEntry.objects.get().change_message


def test_a_heist_without_cost_asks_about_no_token(client: Client, boss: Any, heist_settings: HeistSettings) -> None:
    heist_settings(TOKEN_COST=0)
    heist = execute_heist(attacker_id=player().pk, victim_id=player(points=1000).pk)

    assert "return_token" not in client.get(url_of(heist)).content.decode()
    send(client, heist)
    assert not Reversal.objects.get().token_returned


@pytest.mark.parametrize("reason", ["", "   ", "x" * 256])
def test_a_reason_is_required(client: Client, boss: Any, heist: Heist, reason: str) -> None:
    page = client.post(url_of(heist), form(reason=reason))

    assert page.context["form"].errors.keys() == {"reason"}
    assert not Reversal.objects.exists()


def test_where_the_number_changed_the_page_is_shown_again(client: Client, boss: Any, heist: Heist) -> None:
    set_points(heist.attacker, 30)

    page = client.post(url_of(heist), form(note="Sorry."))

    text = page.content.decode()
    assert "Meanwhile the number has changed: 50 → 30 points. Nothing was returned yet." in text
    assert "50 points were stolen, but alice has only 30 left." in text
    assert page.context["rows"][0] == ("alice", "30", "-30", "0")
    assert not Reversal.objects.exists()
    again = {name: page.context["form"][name].value() for name in ("expected", "reason", "note")}
    assert again == {"expected": 30, "reason": "two accounts of one person", "note": "Sorry."}

    client.post(url_of(heist), again)

    assert Reversal.objects.get().points_returned == 30


def test_a_form_that_is_sent_twice_returns_once(client: Client, boss: Any, heist: Heist) -> None:
    send(client, heist)

    text = send(client, heist, reason="again")

    assert "The points of this heist were returned before: 50, on " in text
    assert ", by boss." in text
    assert (points_of(heist.victim), Reversal.objects.count(), LogEntry.objects.count()) == (1000, 1, 1)


def test_an_error_is_a_sentence_with_its_numbers(client: Client, boss: Any, heist: Heist) -> None:
    rejected = execute_heist(attacker_id=player().pk, victim_id=player(points=1000).pk)
    assert "This heist moved no points." in client.get(url_of(rejected), follow=True).content.decode()
    assert url_of(rejected) not in client.get(page_of(rejected)).content.decode()

    set_points(heist.attacker, 0)
    text = client.get(url_of(heist), follow=True).content.decode()
    assert "The attacker stole 50 points and has 0 now: there is nothing to return." in text

    rewrite(heist, created_at=timezone.now() - dt.timedelta(days=40))
    text = client.get(url_of(heist), follow=True).content.decode()
    assert "The month of this heist ended on " in text


@pytest.mark.parametrize("pk", ["12345", "abc", "-1", "0", "9" * 30, "1_0", "\u0663"])
def test_an_unknown_heist_is_a_sentence(client: Client, boss: Any, pk: str) -> None:
    page = client.get(reverse("admin:heists_heist_reverse", args=[pk]), follow=True)

    assert page.redirect_chain == [(reverse("admin:heists_heist_changelist"), 302)]
    assert "There is no such heist any more." in page.content.decode()


def test_it_needs_its_own_permission(client: Client, auditor: Any, heist: Heist) -> None:
    assert url_of(heist) not in client.get(page_of(heist)).content.decode()
    assert client.get(url_of(heist)).status_code == client.post(url_of(heist), form()).status_code == 403
    assert not Reversal.objects.exists()

    auditor.user_permissions.add(Permission.objects.get(codename="reverse_heist"))
    assert url_of(heist) in client.get(page_of(heist)).content.decode()
    send(client, heist)
    assert Reversal.objects.get().reversed_by == auditor


def test_an_economy_without_give_back_has_no_button(
    client: Client, boss: Any, heist: Heist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GamificationEconomy, "give_back", Economy.give_back)

    assert url_of(heist) not in client.get(page_of(heist)).content.decode()
    assert "On this site, points can&#x27;t be returned." in send(client, heist)


@pytest.mark.django_db(transaction=True)
def test_it_works_with_atomic_requests(client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    heist = execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    send(client, heist)

    assert Reversal.objects.exists()


def test_the_list_of_reversals(client: Client, boss: Any, heist: Heist) -> None:
    staff = player("susan", is_staff=True)
    reversal = reverse_heist(heist_id=heist.pk, reversed_by=staff, reason="a bug", note="Sorry.")
    url = reverse("admin:heists_reversal_changelist")
    staff.delete()

    text = client.get(url).content.decode()
    assert "alice robbed bob: 50 points" in text and "susan" in text and "a bug" in text
    for query, found in (("q=bob", 1), ("q=bob&role=attacker", 0), ("q=bob&role=victim", 1)):
        assert client.get(f"{url}?{query}").context["cl"].result_count == found, query
    page = client.get(reverse("admin:heists_reversal_change", args=[reversal.pk])).content.decode()
    assert "150 → 100" in page and "950 → 1,000" in page and "Sorry." in page


def test_the_statements_of_the_list_do_not_grow(client: Client, boss: Any, heist_settings: HeistSettings) -> None:
    heist_settings(COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0, MONTHLY_LOSS_PERCENT=100)
    alice, bob = player(tokens=9), player(points=1000)

    def reversed() -> None:
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
        reverse_heist(heist_id=heist.pk, reversed_by=boss, reason="a bug")

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("admin:heists_reversal_changelist"))
        return len(queries)

    reversed()
    statements()
    few = statements()
    for _number in range(5):
        reversed()
    assert statements() == few


def test_the_pages_take_a_fixed_number_of_statements(client: Client, boss: Any, heist: Heist) -> None:
    def statements(url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        return len(queries)

    client.get(page_of(heist))
    before, asked = statements(page_of(heist)), statements(url_of(heist))
    reverse_heist(heist_id=heist.pk, reversed_by=boss, reason="a bug")

    assert statements(page_of(heist)) == before
    assert asked <= 6
