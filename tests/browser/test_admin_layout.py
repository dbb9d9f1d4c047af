"""The admin's pages at three widths, in both themes: accessible, not wider than the screen, texts large enough."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from gamification.models import (
    CoinEntry,
    MonthlyStanding,
    PlayerProfile,
    PointEvent,
    PointEventTypeMaster,
    ReferralReward,
)
from heists.choices import HeistNotificationType
from heists.models import (
    EmailPreference,
    Heist,
    HeistNotification,
    HeistToken,
    OutboxEmail,
    Reversal,
    RuleChange,
    RuleSet,
    Shield,
    TokenGrant,
    Truce,
)
from heists.services import (
    buy_shield,
    execute_heist,
    reverse_heist,
    set_email_preference,
    set_truce,
    switch_heists,
)
from tests.factories import PASSWORD, player

pytestmark = pytest.mark.django_db(transaction=True)

WIDTHS = (1440, 1280, 390)
MODELS = (
    *(Heist, HeistToken, TokenGrant, Shield, HeistNotification, OutboxEmail, EmailPreference, RuleSet, Reversal, Truce),
    RuleChange,
    *(PlayerProfile, PointEvent, PointEventTypeMaster, CoinEntry, MonthlyStanding, ReferralReward),
)


@pytest.fixture
def addresses(page: Any) -> list[str]:
    """Sign in as staff, fill every table, and return the address of each page of heists."""
    player("agent", is_staff=True, is_superuser=True)
    alice = player("alice", tokens=2, email="alice@example.org")
    bob, cid = player("bob", points=1000, email="bob@example.org"), player("cid", coins=500)
    execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")
    execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="2001:db8::1234:5678:9abc:def0")
    wrong = execute_heist(attacker_id=player("dan", tokens=1).pk, victim_id=player("eve", points=1000).pk)
    reverse_heist(heist_id=wrong.pk, reversed_by=None, reason="two accounts of one person", note="Sorry.")
    buy_shield(player_id=cid.pk)
    set_email_preference(player_id=bob.pk, mute=[HeistNotificationType.HEIST_VICTIM])
    set_truce(player_id=bob.pk, wanted=True)
    switch_heists(enabled=False, changed_by=None, reason="a bug")
    october = dt.date(2026, 10, 1)
    MonthlyStanding.objects.create(player=bob, month=october, points=1234)
    ReferralReward.objects.create(referrer=bob, month=october, reference="referral:1")
    page.goto("/admin/")
    page.fill("#id_username", "agent")
    page.fill("#id_password", PASSWORD)
    page.click("input[type=submit]")
    page.wait_for_url("**/admin/")
    found = ["/admin/", "/admin/heists/", "/admin/gamification/"]
    for model in MODELS:
        table = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        found += [table, f"{table}{model.objects.order_by('pk').values_list('pk', flat=True)[0]}/change/"]
    found += [f"/admin/heists/heist/dashboard/?days={days}" for days in (7, 90)]
    found += ["/admin/heists/heist/?q=alice&role=attacker&from=2020-01-01", "/admin/heists/heist/?q=nosuch"]
    robbed, granted = Heist.objects.order_by("pk")[0], TokenGrant.objects.order_by("pk")[0]
    found += [f"/admin/heists/heist/{wrong.pk}/change/", f"/admin/heists/heist/{robbed.pk}/return-points/"]
    found += [f"/admin/heists/tokengrant/{granted.pk}/take-back/", "/admin/heists/rulechange/rules/"]
    return [*found, f"/admin/heists/heisttoken/grant/?player={alice.pk}"]


def test_every_page_is_accessible_and_fits_the_screen(page: Any, addresses: list[str]) -> None:
    # Django's own breadcrumbs and search form break rules on every page of its admin.
    others = {"exclude": [[".breadcrumbs"], ["#toolbar"]]}
    faults = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for address in addresses:
            page.goto(address)
            found = [
                (violation["id"], [node["html"] for node in violation["nodes"]])
                for violation in Axe().run(page, context=others).response["violations"]
            ]
            if (extra := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
                found.append(("wider than the screen", [extra]))
            if found:
                faults[width, address] = found

    assert faults == {}


@pytest.mark.parametrize("days", [7, 30, 90])
def test_charts_are_readable_at_every_width(page: Any, addresses: list[str], days: int) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"/admin/heists/heist/dashboard/?days={days}")
        for chart in page.locator("svg.heists-chart").all():
            scale = chart.evaluate("svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width")
            size = chart.evaluate("svg => parseFloat(getComputedStyle(svg.querySelector('.heists-axis')).fontSize)")
            assert size * scale >= 11
            bars = chart.evaluate("svg => [...svg.querySelectorAll('rect.heists-bar')].map(bar => bar.getBBox().width)")
            assert min(bars) * scale >= 6
            boxes = chart.evaluate(
                "svg => [...svg.querySelectorAll('text.heists-axis')].map(text => text.getBBox())"
                ".map(box => [box.x, box.y, box.width, box.height])"
            )
            right, bottom = chart.evaluate("svg => [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height]")
            assert all(x >= 0 and y >= 0 and x + w <= right and y + h <= bottom for x, y, w, h in boxes)
            for number, (x, y, w, h) in enumerate(boxes):
                for x2, y2, w2, h2 in boxes[number + 1 :]:
                    assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
        # Where the chart scrolls, the newest day is in view.
        last = page.locator("svg.heists-chart").first.locator("rect.heists-partial").first
        assert 0 <= last.evaluate("bar => bar.getBoundingClientRect().x") < width


def test_dates_take_two_lines_at_most(page: Any, addresses: list[str]) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    for address in (address for address in addresses if address.endswith("/")):
        page.goto(address)
        lines = page.evaluate(
            """[...document.querySelectorAll('#result_list .field-time, #result_list [class*="_at"]')]
            .filter(cell => /\\\\d{4}/.test(cell.textContent)).map(cell => {
                const range = document.createRange(); range.selectNodeContents(cell);
                return new Set([...range.getClientRects()].map(box => Math.round(box.y / 8))).size })"""
        )
        assert max(lines, default=1) <= 2, address
