"""A week on a site: every status and every type of notification, by the HTTP API and the commands alone."""

from __future__ import annotations

import datetime as dt
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from gamification.services import award_points
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
        # The default of Django's column does not follow a clock that a test sets.
        User.objects.filter(pk=self.id).update(date_joined=timezone.now())
        self.client = APIClient()
        self.signs_in()

    def signs_in(self) -> None:
        login = APIClient().post("/api/auth/login/", {"username": self.name, "password": PASSWORD})
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

    def attempts(self, victim: Person) -> str:
        """Rob somebody and return the failure code, or the status of an outcome."""
        body: Any = self.client.post("/api/heists/", {"victim": victim.id}).json()
        return str(body["code"] if "heist_status" in body else body["status"])

    def points(self) -> int:
        return int(self.reads("me/")["monthly_points"])

    def wants_a_truce(self, wanted: bool) -> Any:
        answer = self.client.put("/api/heists/truce/", {"wanted": wanted})
        assert answer.status_code == 200, answer.content
        return answer.json()

    def board(self, month: str | None = None) -> dict[str, Any]:
        """Return the leaderboard of points: whether it is final, and its names and points."""
        body = self.client.get("/api/leaderboard/", {"month": month} if month else {}).json()
        places = [(row["player"]["name"], row["monthly_points"]) for row in body["results"]]
        return {"final": body["final"], "places": places}

    def robbers(self, month: str) -> list[tuple[str, int]]:
        rows = self.reads(f"leaderboard/?month={month}")["results"]
        return [(row["player"]["name"], row["points_stolen"]) for row in rows]

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


class Site:
    """The site over some months: a clock that is set, and an audit after every step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def at(self, time: str) -> None:
        """Audit what was done so far, and set the clock."""
        self.audit()
        now = dt.datetime.fromisoformat(time).replace(tzinfo=dt.UTC)
        self._patch.setattr(timezone, "now", lambda: now)

    def audit(self) -> None:
        out = StringIO()
        try:
            call_command("audit_heists", stdout=out)
        except SystemExit:
            pytest.fail(out.getvalue())

    def run(self, command: str) -> list[str]:
        """Run a command twice, with an audit after each, and return what it printed."""
        printed = []
        for _ in range(2):
            out = StringIO()
            call_command(command, stdout=out, stderr=StringIO())
            printed.append(out.getvalue())
            self.audit()
        return printed


def earns(person: Person, points: int) -> None:
    award_points(player=User.objects.get(pk=person.id), type_name="LOYALTY_BONUS", points=points)


def rewarded(site: Site) -> list[int]:
    """Return how many referrals each of two runs rewarded."""
    return [int(line.split()[0]) for line in site.run("reward_referrals")]


def test_three_months(heist_settings: HeistSettings, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    heist_settings(NEWCOMER_DAYS=3)
    settings.GAMIFICATION = {"REFERRAL_MEMBER_HOURS": 48, "REFERRAL_EARNED_POINTS": 100}
    site = Site(monkeypatch)

    # September. Bob and Carol join with Alice's code, which pays nothing yet.
    site.at("2026-09-10T12:00")
    alice = Person("alice")
    bob, carol = Person("bob", referral_code=alice.code), Person("carol", referral_code=alice.code)
    earns(bob, 900)
    call_command("grant_tokens", "alice", amount=3, source="story:alice", note="a story", stdout=StringIO())
    assert rewarded(site) == [0, 0]
    assert alice.reads("token/")["balance"] == 3

    # Bob is new: he can't be robbed for three days, as long as he robs nobody.
    assert alice.attempts(bob) == "newcomer"
    assert bob.reads("me/")["as_victim"]["newcomer_until"] == "2026-09-13T12:00:00Z"

    # Bob meets the conditions and Carol does not, for she has earned nothing.
    site.at("2026-09-13T12:00")
    assert rewarded(site) == [1, 0]
    assert alice.reads("token/")["balance"] == 4
    assert alice.attempts(bob) == "SUCCESS"
    assert (bob.points(), alice.points()) == (950, 200)

    # Bob wants a truce. It begins with the next month, so he is robbed once more.
    site.at("2026-09-20T12:00")
    assert bob.wants_a_truce(True)["starts_at"] == "2026-10-01T00:00:00Z"
    assert alice.attempts(bob) == "SUCCESS"
    assert (bob.points(), alice.points()) == (903, 247)

    # The last second of September, and the first of October. No job has run.
    site.at("2026-09-30T23:59:59")
    assert (bob.points(), alice.points(), carol.points()) == (903, 247, 100)
    assert bob.reads("me/")["as_victim"]["code"] is None
    site.at("2026-10-01T00:00")
    assert (bob.points(), alice.points(), carol.points()) == (0, 0, 0)
    earns(bob, 500)
    assert bob.points() == 500
    assert (alice.attempts(bob), bob.attempts(alice)) == ("truce", "own_truce")
    september = bob.board("2026-09")
    assert (september["final"], september["places"]) == (False, [("bob", 903), ("alice", 247), ("carol", 100)])
    assert site.run("close_month") == [
        "2 profiles closed, 2 standings written.\n",
        "0 profiles closed, 0 standings written.\n",
    ]
    # No host's clock is in September any more.
    site.at("2026-10-01T00:00:02")
    assert bob.board("2026-09") == {**september, "final": True}
    assert bob.board()["places"] == [("bob", 500)]

    # In the middle of October Bob wants no truce any more. It ends with the month.
    site.at("2026-10-15T12:00")
    alice.signs_in()
    bob.signs_in()
    assert bob.wants_a_truce(False)["ends_at"] == "2026-11-01T00:00:00Z"
    assert alice.attempts(bob) == "truce"
    site.at("2026-10-31T23:59:59")
    assert alice.attempts(bob) == "truce"

    # November begins for all: who was robbed in September may lose a whole month's share again.
    site.at("2026-11-01T00:00")
    earns(bob, 1000)
    assert alice.attempts(bob) == "SUCCESS"
    assert (bob.points(), alice.points()) == (950, 50)
    site.run("close_month")
    site.at("2026-11-01T00:00:02")
    assert bob.board("2026-10") == {"final": True, "places": [("bob", 500)]}
    assert bob.board("2026-09") == {**september, "final": True}
    assert [bob.robbers(month) for month in ("2026-09", "2026-10", "2026-11")] == [[("alice", 97)], [], [("alice", 50)]]

    site.at("2026-11-02T12:00")
