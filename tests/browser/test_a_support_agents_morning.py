"""A support agent's morning, in a real browser: who took my points, when, from where, and was it fair?"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from heists.choices import GrantReason
from heists.models import TokenGrant
from heists.services import execute_heist
from tests.factories import PASSWORD, player, tokens_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def heist() -> Any:
    """The morning's case: alice robbed bob, and tried again at once."""
    player("agent", is_staff=True, is_superuser=True)
    alice, bob = player("alice", tokens=2), player("bob", points=1000)
    deed = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")
    execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")
    return deed


@pytest.fixture
def desk(page: Any, heist: Any) -> Any:
    """The agent, signed in."""
    page.goto("/admin/")
    page.fill("#id_username", "agent")
    page.fill("#id_password", PASSWORD)
    page.click("input[type=submit]")
    page.wait_for_url("**/admin/")
    return page


def test_the_complaint_is_answered_in_three_clicks(desk: Any, heist: Any) -> None:
    desk.goto("/admin/heists/heist/")
    desk.fill("#searchbar", "bob")
    desk.press("#searchbar", "Enter")
    desk.wait_for_url("**q=bob*")
    desk.click("#changelist-filter >> text=Success")
    desk.click("#result_list tbody tr:first-child th a")

    told = desk.inner_text("#content")
    for answer in ("alice", "bob", "1000", "-50", "950", "192.0.2.7", "5 % of 1000 points, at most 100, are 50"):
        assert answer in told
    assert desk.locator("#heists-timeline tbody tr").count() == 2
    assert desk.locator("input[type=submit]:visible").count() == 0

    desk.click("#content fieldset tr:has-text('Victim') >> text=bob")
    assert desk.locator("input[name=username]").input_value() == "bob"


def test_a_token_is_granted_once_with_its_reason(desk: Any, heist: Any) -> None:
    desk.goto(f"/admin/heists/heist/{heist.pk}/change/")
    desk.click("#content fieldset tr:has-text('Victim') >> text=Grant tokens")
    desk.fill("#id_amount", "2")
    desk.fill("#id_note", "robbed during the outage")
    desk.dblclick("text=Yes, grant them")
    desk.wait_for_url("**/heisttoken/?player=*")

    assert "granted" in desk.inner_text(".messagelist")
    grant = TokenGrant.objects.get(reason=GrantReason.STAFF)
    assert (grant.amount, grant.note, grant.granted_by.username) == (2, "robbed during the outage", "agent")
    assert tokens_of(heist.victim).balance == 2


def test_tokens_are_granted_from_the_list_by_action(desk: Any, heist: Any) -> None:
    desk.goto("/admin/heists/heisttoken/")
    desk.check("#action-toggle")
    desk.select_option("select[name=action]", "grant_tokens")
    desk.click("button[name=index]")
    desk.wait_for_url("**/grant/?player=*")

    assert "alice" in desk.inner_text("#content")


def test_the_filtered_list_is_exported(desk: Any, heist: Any, tmp_path: Path) -> None:
    desk.goto("/admin/heists/heist/?status=SUCCESS")
    with desk.expect_download() as download:
        desk.click("text=Export CSV")
    download.value.save_as(tmp_path / "heists.csv")

    with (tmp_path / "heists.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["attacker"], row["victim"], row["points_stolen"]) == ("alice", "bob", "50")


def test_the_dashboard_is_read(desk: Any, heist: Any) -> None:
    desk.goto("/admin/heists/")
    desk.click("text=Dashboard")
    desk.click("text=7 days")
    desk.wait_for_url("**days=7")

    assert desk.locator("svg.heists-chart").count() == 3
    assert "alice" in desk.inner_text("#heists-attackers")
    assert "bob" in desk.inner_text("#heists-victims")
    assert not desk.locator("#heists-numbers table").is_visible()
    desk.click("#heists-numbers summary")
    assert desk.locator("#heists-numbers table").is_visible()

    # The chart is drawn in the theme's own colours.
    theme = "dark" if desk.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
    fill = desk.evaluate("getComputedStyle(document.querySelector('.heists-series-0 rect')).fill")
    assert fill == {"light": "rgb(65, 120, 147)", "dark": "rgb(129, 212, 250)"}[theme]

    desk.locator("svg.heists-chart >> nth=0").locator("a").last.click()
    desk.wait_for_url("**/heist/?period=*")
    assert desk.locator("#result_list tbody tr").count() == 2
