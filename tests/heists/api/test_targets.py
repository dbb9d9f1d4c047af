"""The list of targets, the preview, and their agreement with the execution."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from rest_framework.test import APIClient

from heists.api.targets import TargetPagination
from heists.choices import FailureCode
from heists.models import Shield
from heists.services import execute_heist
from tests import oracle
from tests.factories import player, points_of

URL = "/api/heists/targets/"


@pytest.mark.django_db
def test_targets_are_in_leaderboard_order_without_me_and_inactive_players(signed_in: Any) -> None:
    me = player("me", points=500, tokens=1)
    player("poor", points=19)
    player("rich", points=1000)
    player("gone", points=2000, is_active=False)

    response = signed_in(me).get(URL)

    assert [
        (row["player"]["name"], row["monthly_points"], row["eligible"], row["code"], row["potential_points"])
        for row in response.json()["results"]
    ] == [("rich", 1000, True, None, 50), ("poor", 19, False, "insufficient_points", 0)]


@pytest.mark.django_db
def test_paging_shows_each_player_once_where_many_have_equal_points(signed_in: Any) -> None:
    me, others = player(points=5), [player(points=1 + n // 4) for n in range(25)]
    player(points=0)
    client, seen, url = signed_in(me), [], f"{URL}?page_size=3"

    while url:
        page = client.get(url).json()
        seen += [(row["monthly_points"], row["player"]["id"]) for row in page["results"]]
        url = page["next"]

    assert seen == sorted(((1 + n // 4, other.pk) for n, other in enumerate(others)), key=lambda row: (-row[0], row[1]))


def test_a_link_may_lead_to_players_without_points_and_to_no_other_number() -> None:
    # A host may list them.
    assert [TargetPagination.parse_key(value) for value in (0, 1, 2**63 - 1)] == [0, 1, 2**63 - 1]
    for value in (-1, 2**63, True, 1.0, "1", None):
        with pytest.raises(ValueError, match="points"):
            TargetPagination.parse_key(value)


@pytest.mark.django_db
def test_a_preview_has_all_rules_that_fail(signed_in: Any) -> None:
    me, victim, other = player("me", tokens=1), player("victim", points=1000), player(points=100, tokens=1)
    execute_heist(attacker_id=other.pk, victim_id=victim.pk)
    mine = execute_heist(attacker_id=me.pk, victim_id=player(points=1000).pk)

    body = signed_in(me).get(f"{URL}{victim.pk}/").json()

    assert body["player"] == {"id": victim.pk, "name": "victim"}
    assert (body["eligible"], body["code"], body["potential_points"]) == (False, "insufficient_tokens", 47)
    assert body["retry_at"] is None
    assert [reason["code"] for reason in body["reasons"]] == ["insufficient_tokens", "cooldown", "protected"]
    tokens, cooldown, _ = body["reasons"]
    assert (tokens["required"], tokens["available"]) == (1, 0)
    assert dt.datetime.fromisoformat(cooldown["retry_at"]) == mine.created_at + dt.timedelta(hours=24)
    assert cooldown["detail"].startswith("You are still on cooldown")


@pytest.mark.django_db
def test_neither_list_nor_preview_reveals_a_shield(signed_in: Any) -> None:
    me, victim = player(tokens=1), player(points=1000)
    client = signed_in(me)
    before = client.get(URL).json(), client.get(f"{URL}{victim.pk}/").json()
    Shield.objects.create(player=victim, cost=50, expires_at=timezone.now() + dt.timedelta(days=1))

    assert (client.get(URL).json(), client.get(f"{URL}{victim.pk}/").json()) == before


@pytest.mark.django_db
def test_a_preview_of_myself_and_of_an_inactive_player_has_its_code(signed_in: Any) -> None:
    me, gone = player(points=100, tokens=1), player(points=100, is_active=False)
    client = signed_in(me)

    assert client.get(f"{URL}{me.pk}/").json()["code"] == "self_target"
    assert client.get(f"{URL}{gone.pk}/").json()["code"] == "inactive_target"


@pytest.mark.django_db
@pytest.mark.parametrize("pk", ["0", "-1", "x", "01", "1.0", str(2**63), "9" * 400, "%00", "%ED%A0%80", "987654321"])
def test_a_preview_of_an_unknown_player_is_a_404(signed_in: Any, pk: str) -> None:
    response = signed_in(player()).get(f"{URL}{pk}/")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.django_db
def test_everything_stays_readable_while_heists_are_off(signed_in: Any, settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "ENABLED": False}
    me, victim = player(tokens=1), player(points=1000)
    client = signed_in(me)

    assert [row["code"] for row in client.get(URL).json()["results"]] == ["feature_disabled"]
    body = client.get(f"{URL}{victim.pk}/").json()
    assert (body["eligible"], [reason["code"] for reason in body["reasons"]]) == (False, ["feature_disabled"])
    for path in ("", "stats/", "token/", "leaderboard/", "notifications/"):
        assert client.get(f"/api/heists/{path}").status_code == 200


@pytest.mark.django_db
def test_the_list_takes_the_same_statements_for_5_rows_and_100(signed_in: Any) -> None:
    me = player(points=10, tokens=1)
    for n in range(100):
        player(points=n + 1)
    client, counts = signed_in(me), []

    for size in (5, 100):
        with CaptureQueriesContext(connection) as queries:
            assert len(client.get(URL, {"page_size": size}).json()["results"]) == size
        counts.append(len(queries))

    assert counts == [2, 2]


@pytest.mark.django_db
def test_a_preview_takes_one_statement(signed_in: Any) -> None:
    me, victim = player(tokens=1), player(points=1000)
    execute_heist(attacker_id=player(tokens=1).pk, victim_id=victim.pk)
    client = signed_in(me)

    with CaptureQueriesContext(connection) as queries:
        assert client.get(f"{URL}{victim.pk}/").status_code == 200

    assert len(queries) <= 3


world = st.fixed_dictionaries(
    {
        "players": st.lists(
            st.tuples(
                st.integers(0, 3000), st.integers(0, 3), st.booleans(), st.sampled_from([True, True, True, False])
            ),
            min_size=2,
            max_size=5,
        ),
        "past": st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=6),
        "rules": st.fixed_dictionaries(
            {
                "COOLDOWN_HOURS": st.sampled_from([0, 0, 24]),
                "TARGET_COOLDOWN_HOURS": st.sampled_from([0, 0, 48]),
                "PAIR_COOLDOWN_HOURS": st.sampled_from([0, 72]),
                "MAX_HEISTS_PER_DAY": st.sampled_from([1, 2, 10]),
                "MONTHLY_LOSS_PERCENT": st.sampled_from([0, 1, 6, 10, 100]),
                "STEAL_PERCENTAGE": st.sampled_from([1, 5, 100]),
                "MAX_STEAL_POINTS": st.sampled_from([1, 100, 10_000]),
                "MIN_TARGET_POINTS": st.sampled_from([0, 20]),
                "TOKEN_COST": st.sampled_from([0, 1, 2]),
            }
        ),
    }
)


def moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def open_to_others(attacker: Any, victim: Any) -> bool:
    """Whether every question about the victim is answered yes, whatever the attacker's own state is."""
    mine = {"own_truce", "insufficient_tokens", "cooldown", "daily_limit", "balance_full"}
    return {no.code for no in oracle.questions(attacker.pk, victim, timezone.now())} <= mine


class AgreementTest(TestCase):
    """The list, the preview and the execution agree with one another, and with the specification."""

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(world)
    def test_list_preview_and_execution_agree(self, world: dict[str, Any]) -> None:
        from django.conf import settings as site

        with self.settings(HEISTS={**site.HEISTS, **world["rules"], "READ_RATE_LIMIT_PER_MINUTE": 10**6}):
            players = [
                player(points=points, tokens=tokens, is_active=active or not n)
                for n, (points, tokens, _, active) in enumerate(world["players"])
            ]
            for robber, robbed in world["past"]:
                if robber < len(players) > robbed and players[robber].is_active:
                    execute_heist(attacker_id=players[robber].pk, victim_id=players[robbed].pk)
            for owner, (_, _, shielded, _) in zip(players, world["players"], strict=True):
                if shielded:
                    Shield.objects.create(player=owner, cost=1, expires_at=timezone.now() + dt.timedelta(days=1))
            me = players[0]
            client = APIClient()
            client.force_authenticate(me)
            response = client.get(URL)
            assert response.status_code == 200, response.content
            listed = {row["player"]["id"]: row for row in response.json()["results"]}
            assert set(listed) == {other.pk for other in players[1:] if other.is_active and points_of(other)}
            kept = client.get(URL, {"eligible": "true"}).json()["results"]
            assert kept == [row for pk, row in listed.items() if open_to_others(me, pk)]

            for victim in players:
                previewed = client.get(f"{URL}{victim.pk}/").json()
                reasons = previewed.pop("reasons")
                assert listed.get(victim.pk, previewed) == previewed
                assert previewed["eligible"] is (not reasons)
                assert previewed["code"] == (reasons[0]["code"] if reasons else None)
                now = timezone.now()
                assert [(reason["code"], moment(reason["retry_at"])) for reason in reasons] == [
                    (no.code, no.retry_at) for no in oracle.questions(me.pk, victim.pk, now)
                ]
                assert previewed["potential_points"] == oracle.amount(victim.pk, now)

            victim, shielded = players[1], world["players"][1][2]
            expected = client.get(f"{URL}{victim.pk}/").json()
            still_shielded = Shield.objects.live(timezone.now()).filter(player=victim).exists()
            heist = execute_heist(attacker_id=me.pk, victim_id=victim.pk)
            if not expected["eligible"]:
                assert heist.failure_code == expected["code"]
                assert heist.retry_at == moment(expected["retry_at"])
            elif still_shielded:
                assert heist.failure_code == FailureCode.SHIELD
            else:
                assert (heist.failure_code, heist.points_stolen) == (None, expected["potential_points"])
            assert shielded == still_shielded
