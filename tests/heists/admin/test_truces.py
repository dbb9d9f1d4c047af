"""The list and the page of truces: named, with their state at this moment, by every filter."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from heists.models import Truce
from tests.factories import player

pytestmark = pytest.mark.django_db

LIST = "admin:heists_truce_changelist"
DAY = dt.timedelta(days=1)
NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
INSTANT = dt.timedelta(microseconds=1)
# By name: the state and the span.
TRUCES = {
    "alice": ("coming", DAY, None),
    "bob": ("coming", INSTANT, 2 * DAY),
    "carol": ("in-force", dt.timedelta(), None),
    "dave": ("in-force", -DAY, INSTANT),
    "erin": ("over", -DAY, dt.timedelta()),
    "frank": ("withdrawn", DAY, DAY),
    "grace": ("withdrawn", -DAY, -DAY),
}
LABELS = {
    "coming": "Not yet begun",
    "in-force": "In force",
    "over": "Over",
    "withdrawn": "Withdrawn before it began",
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, Truce]:
    rows = {}
    for name, (_state, starts, ends) in TRUCES.items():
        end = None if ends is None else NOW + ends
        rows[name] = Truce.objects.create(player=player(name), starts_at=NOW + starts, ends_at=end, created_at=NOW)
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    return rows


def listed(client: Client, **query: Any) -> list[str]:
    page = client.get(reverse(LIST), query)
    assert page.status_code == 200
    return [row.player.username for row in page.context["cl"].result_list]


def test_the_list_names_players_states_and_dates(client: Client, boss: Any, world: dict[str, Truce]) -> None:
    page = client.get(reverse(LIST)).content.decode()

    for name, (state, *_span) in TRUCES.items():
        row = page.partition(f">{name}</a>")[2].partition("</tr>")[0]
        assert f'class="field-state">{LABELS[state]}</td>' in row
    assert "May\u00a021,\u00a02026 12\u00a0p.m.\u00a0UTC" in page.replace("noon", "12\u00a0p.m.")
    # The newest wish first.
    assert listed(client) == [*TRUCES][::-1]


@pytest.mark.parametrize("state", [*LABELS, "nonsense"])
def test_each_state_has_the_truces_that_show_it(client: Client, boss: Any, world: dict[str, Truce], state: str) -> None:
    assert listed(client, state=state) == [name for name in TRUCES if TRUCES[name][0] == state][::-1]


def test_truces_are_found_by_player_and_by_the_date_of_the_wish(
    client: Client, boss: Any, world: dict[str, Truce]
) -> None:
    Truce.objects.exclude(player=world["bob"].player).update(created_at=NOW - 9 * DAY)

    assert listed(client, q="carol") == ["carol"]
    assert listed(client, player=world["dave"].player_id) == ["dave"]
    assert listed(client, period="7") == ["bob"]
    assert listed(client, **{"from": "2026-05-20"}) == ["bob"]


def test_the_page_of_a_truce_has_its_title_state_and_dates(client: Client, boss: Any, world: dict[str, Truce]) -> None:
    url = reverse("admin:heists_truce_change", args=[world["dave"].pk])

    page = client.get(url).content.decode()

    assert "truce of dave" in page
    assert "In force" in page and "May\u00a019,\u00a02026" in page
    assert client.post(url, {"ends_at_0": "2026-01-01"}).status_code == 403
