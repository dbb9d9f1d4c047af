"""The admin in a real browser, as a support agent uses it."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from heists.choices import GrantReason
from heists.errors import FeatureDisabled
from heists.models import Reversal, RuleChange, TokenGrant
from heists.services import execute_heist
from tests.factories import PASSWORD, player, points_of, tokens_of

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


def test_points_are_returned_once_and_a_grant_is_taken_back(staff_page: Any, heist: Any) -> None:
    staff_page.goto("/admin/heists/heist/?q=bob&status=SUCCESS")
    staff_page.click("#result_list tbody tr:first-child th a")
    staff_page.click("text=Return the points")
    assert "50 points go back from alice to bob." in staff_page.inner_text("#content")
    staff_page.fill("#id_reason", "two accounts of one person")
    staff_page.fill("#id_note", "Please play with one account.")
    staff_page.check("#id_return_token")
    staff_page.dblclick("text=Yes, return 50 points")
    staff_page.wait_for_url(f"**/heist/{heist.pk}/change/")

    text = staff_page.inner_text("#content")
    assert "two accounts of one person" in text
    assert text.count("The team reversed a heist: bob got back 50 points that alice had stolen.") == 2
    assert Reversal.objects.count() == 1
    assert (points_of(heist.victim), tokens_of(heist.attacker).balance) == (1000, 2)

    refund = TokenGrant.objects.get(reason=GrantReason.REFUND)
    staff_page.goto(f"/admin/heists/tokengrant/{refund.pk}/change/")
    staff_page.click("text=Take back")
    staff_page.fill("#id_reason", "a second thought")
    staff_page.click("text=Yes, take back 1 token")
    staff_page.wait_for_url(f"**/tokengrant/{refund.pk}/change/")
    assert "1 token was taken back from alice." in staff_page.inner_text(".messagelist")
    assert tokens_of(heist.attacker).balance == 1


@pytest.mark.usefixtures("rule_changes")
def test_rules_are_tried_and_changed_and_heists_are_switched_off_and_on(
    staff_page: Any, heist: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead, clock = [dt.timedelta()], timezone.now
    monkeypatch.setattr(timezone, "now", lambda: clock() + ahead[0])

    def rob() -> int:
        attacker, victim = player(tokens=1), player(points=1000)
        return execute_heist(attacker_id=attacker.pk, victim_id=victim.pk).points_stolen

    staff_page.click("text=Rules and switch")
    staff_page.fill("#id_steal_percentage", "8")
    staff_page.click("text=Replay the attempts under the proposed rules")
    replayed = staff_page.inner_text("#heists-replay")
    assert "Of 2 attempts, 0 would have ended otherwise and 2 the same; 0 are unknown." in replayed
    assert "Points moved: 50 recorded, 80 under the proposed rules (+60.0 %)." in replayed
    two_minutes_later = timezone.localtime(timezone.now() + dt.timedelta(minutes=2))
    staff_page.fill("#id_takes_effect_at", two_minutes_later.strftime("%Y-%m-%dT%H:%M:%S"))
    staff_page.fill("#id_reason", "more at stake")
    staff_page.dblclick("button[value=change]")
    staff_page.wait_for_selector("text=by agent: more at stake")
    assert RuleChange.objects.get().reason == "more at stake"
    assert rob() == 50

    ahead[0] = dt.timedelta(minutes=2)
    assert rob() == 80

    staff_page.fill("#id_switch_reason", "a bug")
    staff_page.click("text=Switch heists off")
    staff_page.wait_for_selector("text=It counts within ten seconds.")
    with pytest.raises(FeatureDisabled):
        rob()

    staff_page.fill("#id_switch_reason", "mended")
    staff_page.click("text=Switch heists on")
    staff_page.wait_for_selector("text=by agent: mended")
    assert rob() == 80


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
