"""The admin in a real browser, as a support agent uses it."""

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
    """Return a success of alice against bob; a rejection follows it."""
    player("agent", is_staff=True, is_superuser=True)
    alice, bob = player("alice", tokens=2), player("bob", points=1000)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")
    execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")
    return heist


@pytest.fixture
def staff_page(page: Any, heist: Any) -> Any:
    """Return the page, signed in as the agent."""
    page.goto("/admin/")
    page.fill("#id_username", "agent")
    page.fill("#id_password", PASSWORD)
    page.click("input[type=submit]")
    page.wait_for_url("**/admin/")
    return page


def test_a_heist_is_found_in_three_clicks(staff_page: Any, heist: Any) -> None:
    staff_page.goto("/admin/heists/heist/")
    staff_page.fill("#searchbar", "bob")
    staff_page.press("#searchbar", "Enter")
    staff_page.wait_for_url("**q=bob*")
    staff_page.click("#changelist-filter >> text=Success")
    staff_page.click("#result_list tbody tr:first-child th a")

    text = staff_page.inner_text("#content")
    for answer in ("alice", "bob", "1,000", "-50", "950", "192.0.2.7", "5 % of 1,000 points, at most 100, are 50"):
        assert answer in text
    assert staff_page.locator("#heists-timeline tbody tr").count() == 2
    assert staff_page.locator("input[type=submit]:visible").count() == 0

    staff_page.click("#content fieldset tr:has-text('Victim') >> text=bob")
    assert staff_page.locator("input[name=username]").input_value() == "bob"


def test_tokens_are_granted_once_with_a_reason(staff_page: Any, heist: Any) -> None:
    staff_page.goto(f"/admin/heists/heist/{heist.pk}/change/")
    staff_page.click("#content fieldset tr:has-text('Victim') >> text=Grant tokens")
    staff_page.fill("#id_amount", "2")
    staff_page.fill("#id_note", "robbed during the outage")
    staff_page.dblclick("text=Yes, grant tokens")
    staff_page.wait_for_url("**/heisttoken/?player=*")

    assert "granted" in staff_page.inner_text(".messagelist")
    grant = TokenGrant.objects.get(reason=GrantReason.STAFF)
    assert (grant.amount, grant.note, str(grant.granted_by)) == (2, "robbed during the outage", "agent")
    assert tokens_of(heist.victim).balance == 2


def test_tokens_are_granted_from_the_list_by_action(staff_page: Any, heist: Any) -> None:
    staff_page.goto("/admin/heists/heisttoken/")
    staff_page.check("#action-toggle")
    staff_page.select_option("select[name=action]", "grant_tokens")
    staff_page.click("button[name=index]")
    staff_page.wait_for_url("**/grant/?player=*")

    assert "alice" in staff_page.inner_text("#content")


def test_the_filtered_list_is_exported(staff_page: Any, heist: Any, tmp_path: Path) -> None:
    staff_page.goto("/admin/heists/heist/?status=SUCCESS")
    with staff_page.expect_download() as download:
        staff_page.click("text=Export CSV")
    download.value.save_as(tmp_path / "heists.csv")

    with (tmp_path / "heists.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["attacker"], row["victim"], row["points_stolen"]) == ("alice", "bob", "50")


def test_the_dashboard_links_to_the_heists_of_a_day(staff_page: Any, heist: Any) -> None:
    staff_page.goto("/admin/heists/")
    staff_page.click("text=Dashboard")
    staff_page.click("text=7 days")
    staff_page.wait_for_url("**days=7")

    assert staff_page.locator("svg.heists-chart").count() == 3
    assert "alice" in staff_page.inner_text("#heists-attackers")
    assert "bob" in staff_page.inner_text("#heists-victims")
    assert not staff_page.locator("#heists-numbers table").is_visible()
    staff_page.click("#heists-numbers summary")
    assert staff_page.locator("#heists-numbers table").is_visible()

    # The chart has the colours of the theme.
    theme = "dark" if staff_page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
    fill = staff_page.evaluate("getComputedStyle(document.querySelector('.heists-series-0 rect')).fill")
    assert fill == {"light": "rgb(65, 120, 147)", "dark": "rgb(129, 212, 250)"}[theme]

    staff_page.locator("svg.heists-chart >> nth=0").locator("a").last.click()
    staff_page.wait_for_url("**/heist/?period=*")
    assert staff_page.locator("#result_list tbody tr").count() == 2
