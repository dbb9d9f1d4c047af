"""A week on a site: every status and every type of notification, by the HTTP API and the commands alone."""

from __future__ import annotations

import datetime as dt
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from heists.choices import HeistNotificationType, HeistStatus
from heists.services import reverse_heist
from tests.conftest import HeistSettings
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db


class Person:
    """A player with an account, who uses the HTTP API."""

    def __init__(self, name: str, referral_code: str | None = None) -> None:
        account = {"username": name, "password": PASSWORD} | ({"referral_code": referral_code} if referral_code else {})
        answer = APIClient().post("/api/signup/", account)
        assert answer.status_code == 201, answer.content
        self.name, self.id, self.code = name, answer.json()["id"], answer.json()["referral_code"]
        self.client = APIClient()
        login = self.client.post("/api/auth/login/", {"username": name, "password": PASSWORD})
        self.client.credentials(HTTP_AUTHORIZATION=f"Token {login.json()['token']}")

    def robs(self, victim: Person) -> str:
        answer = self.client.post("/api/heists/", {"victim": victim.id})
        body: Any = answer.json()
        assert answer.status_code in (201, 409), body
        return str(body["status"] if answer.status_code == 201 else body["heist_status"])

    def reads(self, path: str) -> Any:
        answer = self.client.get(f"/api/heists/{path}")
        assert answer.status_code == 200
        return answer.json()

    def inbox(self) -> set[str]:
        return {notification["type"] for notification in self.reads("notifications/")["results"]}


def test_every_status_and_every_notification_happens(
    heist_settings: HeistSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    heist_settings(SHIELD_COST=0, MIN_TARGET_POINTS=96)
    notified: set[str] = set()
    seen: set[str] = set()

    # Alice signs up, and Bob with her code: she earns a token. Carol and Dave use no code. All have the same points.
    alice = Person("alice")
    bob = Person("bob", referral_code=alice.code)
    carol, dave = Person("carol"), Person("dave")
    assert alice.reads("token/")["balance"] == 1
    assert alice.inbox() == {"TOKEN_EARNED"}

    # There is no heist without a token, and none on oneself.
    seen.add(bob.robs(alice))
    seen.add(alice.robs(alice))
    assert seen == {"FAILED_INSUFFICIENT_TOKENS", "FAILED_INVALID_TARGET"}

    # The site gives everybody tokens. Alice robs Bob and has a cooldown then. Bob is protected from Carol.
    for person in (alice, bob, carol, dave):
        call_command(
            "grant_tokens", person.name, amount=5, source=f"week:{person.name}", note="a week", stdout=StringIO()
        )
    seen.add(alice.robs(bob))
    seen.add(alice.robs(carol))
    seen.add(carol.robs(bob))
    assert {"SUCCESS", "FAILED_COOLDOWN", "FAILED_TARGET_PROTECTED"} <= seen
    assert bob.inbox() >= {"HEIST_VICTIM"}

    # Dave robs Alice, and staff return her points.
    seen.add(dave.robs(alice))
    reverse_heist(heist_id=dave.reads("")["results"][0]["id"], reversed_by=None, reason="a bug")
    lost = alice.reads("")["results"][0]
    assert lost["reversed"]["points"] == lost["points_stolen"] > 0

    # Two days later no player is protected, but Bob has too few points.
    later = timezone.now() + dt.timedelta(days=2, minutes=1)
    monkeypatch.setattr(timezone, "now", lambda: later)
    seen.add(carol.robs(bob))
    assert "FAILED_INSUFFICIENT_POINTS" in seen

    # Dave and Carol get shields. Dave's blocks Carol's heist; Carol's own expires.
    assert [p.client.post("/api/heists/shields/").status_code for p in (dave, carol)] == [201, 201]
    seen.add(carol.robs(dave))
    much_later = later + dt.timedelta(days=8)
    monkeypatch.setattr(timezone, "now", lambda: much_later)
    call_command("expire_shields", stdout=StringIO())
    assert [shield["state"] for shield in dave.reads("shields/")["results"]] == ["used"]
    assert [shield["state"] for shield in carol.reads("shields/")["results"]] == ["expired"]

    # Every status and every type has occurred, each for the right players.
    for person in (alice, bob, carol, dave):
        notified |= person.inbox()
    assert alice.inbox() == {"TOKEN_EARNED", "HEIST_SUCCESS", "HEIST_VICTIM", "HEIST_REVERSED"}
    assert dave.inbox() == {"TOKEN_EARNED", "SHIELD_ACTIVATED", "HEIST_SUCCESS", "HEIST_REVERSED"}
    assert carol.inbox() == {"TOKEN_EARNED", "SHIELD_EXPIRED"}
    assert seen == set(HeistStatus.values)
    assert notified == set(HeistNotificationType.values)

    # And the data are right.
    call_command("audit_heists", stdout=StringIO())
