"""The filters of the target list: `eligible` and `search`, their pages and their limits."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from gamification.economy import GamificationEconomy
from gamification.models import PlayerProfile
from heists.models import Shield
from heists.queries import search
from heists.services import execute_heist
from tests.conftest import HeistSettings
from tests.factories import ProfileFactory, UserFactory, player
from tests.heists.api.answers import problem

pytestmark = pytest.mark.django_db
URL = "/api/heists/targets/"
TOO_FEW = 19


def names(client: APIClient, **query: Any) -> list[str]:
    response = client.get(URL, query)
    assert response.status_code == 200, response.content
    return [row["player"]["name"] for row in response.json()["results"]]


def all_pages(client: APIClient, **query: Any) -> list[list[str]]:
    """Return the names on every page, read forwards; reading them back gives the same players."""
    page = client.get(URL, query).json()
    pages = [[row["player"]["name"] for row in page["results"]]]
    assert page["previous"] is None
    while page["next"]:
        page = client.get(page["next"]).json()
        pages.append([row["player"]["name"] for row in page["results"]])
    back = [pages[-1]]
    while page["previous"]:
        page = client.get(page["previous"]).json()
        back.insert(0, [row["player"]["name"] for row in page["results"]])
    assert [name for some in back for name in some] == [name for some in pages for name in some]
    return pages


def crowd(count: int, *, points: int = TOO_FEW, prefix: str = "crowd") -> None:
    """Insert players with these points."""
    users = get_user_model().objects.bulk_create(UserFactory.build(username=f"{prefix}{n:03}") for n in range(count))
    PlayerProfile.objects.bulk_create(
        ProfileFactory.build(user=user, monthly_points=points, referral_code=f"{prefix}{n:03}"[-12:])
        for n, user in enumerate(users)
    )


def test_eligible_keeps_those_for_whom_no_rule_about_the_victim_fails(
    signed_in: Any, heist_settings: HeistSettings
) -> None:
    heist_settings(PAIR_COOLDOWN_HOURS=24, TARGET_COOLDOWN_HOURS=1, COOLDOWN_HOURS=0, MONTHLY_LOSS_PERCENT=4)
    me, other = player("me", points=500, tokens=1), player("other", points=TOO_FEW, tokens=2)
    rich, robbed, at_limit = (player(name, points=1000) for name in ("rich", "robbed", "at limit"))
    mine = player("mine", points=10_000)
    player("poor", points=TOO_FEW)
    player("gone", points=1000, is_active=False)
    hour_ago = timezone.now() - dt.timedelta(hours=2)
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr(timezone, "now", lambda: hour_ago)
        execute_heist(attacker_id=other.pk, victim_id=at_limit.pk)
        execute_heist(attacker_id=me.pk, victim_id=mine.pk)
    execute_heist(attacker_id=other.pk, victim_id=robbed.pk)
    get_user_model().objects.filter(pk=other.pk).update(is_active=False)
    Shield.objects.create(player=rich, cost=50, expires_at=timezone.now() + dt.timedelta(days=1))
    client = signed_in(me)

    [row] = client.get(URL, {"eligible": "true"}).json()["results"]

    # Whatever my own state is: no token is left.
    assert (row["player"]["name"], row["eligible"], row["code"]) == ("rich", False, "insufficient_tokens")
    assert {"at limit", "mine", "robbed", "poor", "rich"} == set(names(client))


def test_my_own_state_hides_nobody(signed_in: Any, heist_settings: HeistSettings) -> None:
    heist_settings(MAX_HEISTS_PER_DAY=1)
    me = player("me", tokens=1)
    execute_heist(attacker_id=me.pk, victim_id=player("first", points=100).pk)
    player("rich", points=1000)
    client = signed_in(me)

    assert names(client, eligible="true") == ["rich"]
    PlayerProfile.objects.filter(user=me).update(monthly_points=2**53 - 1)
    assert names(client, eligible="true") == ["rich"]
    heist_settings(ENABLED=False)
    [row] = client.get(URL, {"eligible": "true"}).json()["results"]
    assert (row["player"]["name"], row["code"]) == ("rich", "feature_disabled")


@pytest.mark.parametrize("value", ["false", "", "1", "True", "TRUE", "yes", "\x00", "true "])
def test_eligible_has_one_value(signed_in: Any, value: str) -> None:
    body = problem(signed_in(player()).get(URL, {"eligible": value}), 400, "validation_error")

    [error] = body["errors"]
    assert (error["field"], error["code"]) == ("eligible", "invalid_choice")


def test_the_pages_of_eligible_players_are_full_where_there_are_enough(signed_in: Any) -> None:
    crowd(30, points=100)
    for n in range(30):
        player(f"rich{n:02}", points=1000 if n % 3 else TOO_FEW)

    pages = all_pages(signed_in(player("me", tokens=1)), eligible="true", page_size=7)

    rich = [f"rich{n:02}" for n in range(30) if n % 3]
    assert [name for page in pages for name in page] == [*rich, *(f"crowd{n:03}" for n in range(30))]
    assert [len(page) for page in pages][:-1] == [7] * (len(pages) - 1)


def test_a_page_examines_200_players_and_may_be_empty(signed_in: Any) -> None:
    for n in range(3):
        player(f"rich{n}", points=100)
    crowd(410, points=1000, prefix="c")
    execute_all_heists_on("c")
    client = signed_in(player("me", tokens=1))

    pages = all_pages(client, eligible="true")

    assert pages == [[], [], ["rich0", "rich1", "rich2"]]
    assert [len(page) for page in all_pages(client, eligible="true", page_size=2)] == [0, 0, 2, 1]


def test_inactive_players_are_examined_too(signed_in: Any) -> None:
    player("rich", points=100)
    crowd(250, points=1000)
    get_user_model().objects.filter(username__startswith="crowd").update(is_active=False)
    client = signed_in(player("me", tokens=1))

    assert all_pages(client, eligible="true") == [[], ["rich"]]
    assert names(client) == ["rich"]
    assert all_pages(client, eligible="true", search="crowd") == [[], []]


def execute_all_heists_on(prefix: str) -> None:
    """Give every player with this name a loss that protects them now."""
    from heists.models import Heist, HeistToken, RuleSet
    from heists.rules import Rules

    thief = player(tokens=1, is_active=False)
    token, rule_set = HeistToken.objects.get(user=thief), RuleSet.objects.in_force(Rules())
    Heist.objects.bulk_create(
        Heist(
            attacker=thief, attacker_token=token, victim=victim, rule_set=rule_set, status="SUCCESS", token_spent=True,
            points_stolen=1, victim_points_before=1001, victim_points_after=1000, attacker_points_before=0,
            attacker_points_after=1,
        )
        for victim in get_user_model().objects.filter(username__startswith=prefix)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "statements"),
    [
        ({}, 2),
        ({"eligible": "true"}, 5),
        ({"eligible": "true", "page_size": 100}, 5),
        ({"search": "crowd"}, 2),
        ({"search": "crowd", "eligible": "true", "page_size": 1}, 5),
        ({"search": "nobody"}, 1),
        ({"search": "nobody", "eligible": "true"}, 1),
    ],
    ids=str,
)
def test_statement_counts_where_nobody_is_eligible(signed_in: Any, query: dict[str, Any], statements: int) -> None:
    crowd(250)
    client = signed_in(player("me", tokens=1))

    with CaptureQueriesContext(connection) as queries:
        assert client.get(URL, query).status_code == 200

    assert len(queries) == statements


def test_the_first_page_takes_two_statements_where_most_are_eligible(signed_in: Any) -> None:
    crowd(100, points=1000)
    client = signed_in(player("me", tokens=1))

    with CaptureQueriesContext(connection) as queries:
        assert len(names(client, eligible="true")) == 20

    assert len(queries) == 2


def test_search_finds_names_by_their_beginning_in_name_order(signed_in: Any) -> None:
    for n, name in enumerate(("anna", "anton", "andrea", "ben", "joanna", "anne@example.com")):
        player(name, points=100 * n)
    player("anonymous", points=100, is_active=False)
    me = player("angela", points=100)
    client = signed_in(me)

    assert names(client, search="an") == ["andrea", "anna", "anton"]
    assert names(client, search="ann") == ["anna"]
    assert names(client, search="an", eligible="true") == ["andrea", "anton"]
    assert names(client, search="zoe") == []


def test_the_pages_of_a_search_are_in_name_order(signed_in: Any) -> None:
    crowd(45, points=50)
    player("aaron", points=1000)

    pages = all_pages(signed_in(player("me")), search="crowd", page_size=20)

    assert [len(page) for page in pages] == [20, 20, 5]
    assert [name for page in pages for name in page] == [f"crowd{n:03}" for n in range(45)]


class SameNames(GamificationEconomy):
    """A host whose players choose a name that others may have too."""

    def name(self, player: Any) -> str:
        return str(player.first_name)

    def search_players(self, text: str, *, exact: bool = False) -> Any:
        return get_user_model().objects.filter(first_name__startswith=text).order_by("first_name")


def test_players_of_the_same_name_are_each_on_one_page(signed_in: Any, heist_settings: HeistSettings) -> None:
    heist_settings(ECONOMY=f"{__name__}.SameNames")
    others = [player(first_name="x" * 10 + "éa"[n % 2] * (n % 3), points=50) for n in range(12)]
    client = signed_in(player("me", first_name="xxx"))

    url, found = f"{URL}?search=xx&page_size=5", []
    while url:
        page = client.get(url).json()
        found += [(row["player"]["name"], row["player"]["id"]) for row in page["results"]]
        url = page["next"]

    in_order = get_user_model().objects.filter(pk__in=[other.pk for other in others]).order_by("first_name", "pk")
    assert found == [(other.first_name, other.pk) for other in in_order]


def test_the_cursor_of_a_long_name_leads_to_the_next_page(signed_in: Any, heist_settings: HeistSettings) -> None:
    heist_settings(ECONOMY=f"{__name__}.SameNames")
    for _ in range(3):
        player(first_name="\U0001f600" * 150)
    client = signed_in(player("me"))

    page = client.get(URL, {"search": "\U0001f600" * 2, "page_size": 2}).json()

    assert len(client.get(page["next"]).json()["results"]) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "blank"),
        ("  ", "blank"),
        ("a", "min_length"),
        (" a ", "min_length"),
        ("e\u0301", "min_length"),
        ("\U0001f600", "min_length"),
        ("a\x00b", "null_characters_not_allowed"),
        ("x" * 151, "max_length"),
        ("x" * 10_240, "max_length"),
        ("\U0001f600" * 2_560, "max_length"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_text_that_is_no_beginning_of_a_name_is_a_400(signed_in: Any, text: str, code: str) -> None:
    body = problem(signed_in(player()).get(URL, {"search": text}), 400, "validation_error")

    assert {"field": "search", "code": code} == {key: body["errors"][0][key] for key in ("field", "code")}


def test_a_lone_surrogate_is_a_400_or_finds_nobody(signed_in: Any) -> None:
    response = signed_in(player()).get(f"{URL}?search=%ED%A0%80ab")

    assert response.status_code in (200, 400)
    assert response.status_code == 400 or response.json()["results"] == []


def test_a_beginning_has_2_to_150_characters(signed_in: Any) -> None:
    client, longest = signed_in(player("me")), "x" * 150
    player(longest)
    player("ab")

    assert names(client, search="ab") == ["ab"]
    assert names(client, search=longest) == [longest]


def test_the_economy_is_asked_for_the_composed_text_and_no_other_form(
    signed_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(search, "players_named", lambda text, economy: asked.append(text))

    for text in ("x\u00b2", "e\u0301m", " ab ", "AB"):
        problem(signed_in(player()).get(URL, {"search": text}), 400, "search_unavailable")

    assert asked == ["x\u00b2", "\u00e9m", "ab", "AB"]


@pytest.mark.parametrize(
    "text", ["%%", "__", "\\\\", "' OR 1=1", "\U0001f600\U0001f600", "ab\u202e", "\ufffd" * 9, "@@"]
)
def test_any_other_text_finds_nobody(signed_in: Any, text: str) -> None:
    player("anna")
    player("b@@b")

    assert names(signed_in(player("me")), search=text) == []


def test_a_decomposed_text_finds_a_composed_name(signed_in: Any) -> None:
    player("\u00e9mile")

    assert names(signed_in(player("me")), search="e\u0301m") == ["\u00e9mile"]


class NoSearch(GamificationEconomy):
    """A host that names players itself, and has no search for these names."""

    def name(self, player: Any) -> str:
        return f"Member {player.pk}"


def test_without_searchable_names_a_search_is_unavailable(signed_in: Any, heist_settings: HeistSettings) -> None:
    heist_settings(ECONOMY=f"{__name__}.NoSearch")
    client = signed_in(player())

    body = problem(client.get(URL, {"search": "an"}), 400, "search_unavailable")
    assert body["detail"] == "This site can't search players by name."
    problem(client.get(URL, {"search": "a"}), 400, "validation_error")
    assert client.get(URL, {"eligible": "true"}).status_code == 200


@pytest.mark.parametrize("query", ["", "?search=crowd", "?eligible=true", "?search=crowd&eligible=true"])
def test_a_cursor_of_the_other_order_is_a_404(signed_in: Any, query: str) -> None:
    crowd(30, points=100)
    client = signed_in(player("me"))
    mine = client.get(URL + query).json()["next"]
    other = client.get(f"{URL}?search=crowd" if "search" not in query else URL).json()["next"]

    cursor = urlsplit(other).query.partition("cursor=")[2].partition("&")[0]

    assert client.get(mine).status_code == 200
    problem(client.get(f"{URL}{query}{'&' if query else '?'}cursor={cursor}"), 404, "invalid_cursor")


@pytest.mark.parametrize(("query", "rows"), [({}, 4), ({"eligible": "true"}, 201)])
def test_one_row_more_than_a_page_is_read(api: APIClient, query: dict[str, str], rows: int) -> None:
    api.force_authenticate(player("me"))

    with CaptureQueriesContext(connection) as statements:
        names(api, page_size=3, **query)

    assert [s["sql"] for s in statements if s["sql"].rstrip().endswith(f"LIMIT {rows}")]
