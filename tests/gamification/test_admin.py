"""Staff read balances and ledgers, and set what an event is worth."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from gamification import services
from gamification.models import MonthlyStanding, PointEventTypeMaster, ReferralReward

pytestmark = pytest.mark.django_db

READ_ONLY = ["playerprofile", "pointevent", "coinentry", "monthlystanding"]


@pytest.mark.parametrize("model", READ_ONLY)
def test_balances_and_ledgers_are_read_only_for_superusers_too(admin_client: Client, alice: Any, model: str) -> None:
    services.award_coins(player=alice, amount=5)
    MonthlyStanding.objects.create(player=alice, month=dt.date(2026, 1, 1), points=5)
    row = apps.get_model("gamification", model).objects.get()
    pages = f"/admin/gamification/{model}/"

    assert admin_client.get(pages).status_code == 200
    assert admin_client.get(pages, {"q": "alice"}).status_code == 200
    assert admin_client.get(f"{pages}{row.pk}/change/").status_code == 200
    assert admin_client.get(f"{pages}add/").status_code == 403
    assert admin_client.post(f"{pages}{row.pk}/change/", {"points": 1, "coins": 1}).status_code == 403
    assert admin_client.post(f"{pages}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    admin_client.post(pages, {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})
    assert type(row).objects.filter(pk=row.pk).exists()


def test_deleting_the_user_takes_the_rows_along(admin_client: Client, alice: Any) -> None:
    services.award_coins(player=alice, amount=5)

    response = admin_client.post(f"/admin/auth/user/{alice.pk}/delete/", {"post": "yes"})

    assert response.status_code == 302
    assert not get_user_model().objects.filter(username="alice").exists()


def test_who_may_not_delete_the_rows_may_not_delete_the_user(client: Client, alice: Any) -> None:
    staff = get_user_model().objects.create(username="staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "delete_user"]))
    client.force_login(staff)

    assert client.post(f"/admin/auth/user/{alice.pk}/delete/", {"post": "yes"}).status_code == 403
    assert get_user_model().objects.filter(username="alice").exists()


@pytest.mark.parametrize("model", READ_ONLY)
def test_a_search_finds_the_exact_name_only(admin_client: Client, alice: Any, model: str) -> None:
    services.award_coins(player=alice, amount=5)
    MonthlyStanding.objects.create(player=alice, month=dt.date(2026, 1, 1), points=5)

    found = [
        admin_client.get(f"/admin/gamification/{model}/", {"q": text}).context["cl"].result_count
        for text in ("alice", "alic", "lice", "%")
    ]

    assert found == [1, 0, 0, 0]


def test_referral_rewards_are_read_only_too(admin_client: Client, alice: Any) -> None:
    code = alice.player_profile.referral_code
    services.sign_up(username="bob", password="correct horse battery", referral_code=code)
    pages = "/admin/gamification/referralreward/"

    assert "alice" in admin_client.get(pages, {"q": "alice"}).content.decode()
    assert admin_client.get(f"{pages}add/").status_code == 403


def test_staff_set_what_an_event_is_worth_but_not_its_name(admin_client: Client) -> None:
    checkin = PointEventTypeMaster.objects.get(name="CHECKIN")

    response = admin_client.post(
        f"/admin/gamification/pointeventtypemaster/{checkin.pk}/change/",
        {"name": "RENAMED", "points": 12, "description": "Check-in", "active": "on"},
    )

    checkin.refresh_from_db()
    assert response.status_code == 302
    assert (checkin.name, checkin.points) == ("CHECKIN", 12)


def test_a_type_that_events_refer_to_is_not_deleted(admin_client: Client, alice: Any) -> None:
    signup = PointEventTypeMaster.objects.get(name="SIGNUP")

    admin_client.post(f"/admin/gamification/pointeventtypemaster/{signup.pk}/delete/", {"post": "yes"})

    assert PointEventTypeMaster.objects.filter(name="SIGNUP").exists()


PAGES = [
    ("playerprofile", "alice", ("1,334", "November 2026")),
    ("pointevent", "alice: +1,234 (CHECKIN)", ("1,234", "November 2026", "UTC")),
    ("coinentry", "alice: +5,000 (Award)", ("5,000", "UTC")),
    ("monthlystanding", "alice, October 2026: 77,777", ("77,777", "October 2026")),
    ("referralreward", "alice, October 2026", ("October 2026", "UTC")),
]


@pytest.mark.parametrize(("model", "title", "facts"), PAGES)
def test_titles_name_players_and_facts_numbers_are_grouped_and_times_have_their_zone(
    admin_client: Client, alice: Any, monkeypatch: pytest.MonkeyPatch, model: str, title: str, facts: tuple[str, ...]
) -> None:
    now = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    services.award_points(player=alice, type_name="CHECKIN", points=1234)
    services.award_coins(player=alice, amount=5000)
    october = dt.date(2026, 10, 1)
    MonthlyStanding.objects.create(player=alice, month=october, points=77_777)
    ReferralReward.objects.create(referrer=alice, month=october, reference="referral:1")
    row = apps.get_model("gamification", model).objects.latest("pk")

    pages = f"/admin/gamification/{model}/"
    for address in (pages, f"{pages}{row.pk}/change/"):
        page = admin_client.get(address).content.decode()
        for fact in facts:
            assert fact in page.replace("\u00a0", " "), (address, fact)
    assert f"<h2>{title}</h2>" in page


def test_the_admin_is_in_german_and_spanish(admin_client: Client) -> None:
    for language, name in (("de", "Monatsstände"), ("es", "Resultados mensuales")):
        page = admin_client.get("/admin/gamification/", headers={"accept-language": language}).content.decode()
        assert name in page
