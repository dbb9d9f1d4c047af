"""Staff try and change the rules, and switch heists off and on, in the admin (docs/specification.md, "Admin")."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from heists import conf, in_force
from heists.admin import rule_changes as page_module
from heists.models import Heist, RuleChange, RuleSet
from heists.queries.replay import Comparison
from heists.rules import Rules
from heists.services import change_rules, execute_heist, switch_heists
from tests.conftest import HeistSettings
from tests.factories import player

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rule_changes")]

NOON = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = (dt.timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))
SOON = "2026-05-20T12:02:00"


class Clock:
    now = NOON


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    return clock


def url() -> str:
    return reverse("admin:heists_rules")


def form(action: str = "change", **fields: Any) -> dict[str, Any]:
    values = {name: str(getattr(conf.rules(), name)) for name in page_module.CHANGEABLE if name != "truce_enabled"}
    return {
        **values,
        "truce_enabled": "on",
        "seen": "0",
        "weeks": "4",
        "takes_effect_at": SOON,
        "reason": "less luck",
        "action": action,
        **fields,
    }


def send(client: Client, action: str = "change", **fields: Any) -> Any:
    return client.post(url(), form(action, **fields))


def switch(client: Client, to: str, **fields: Any) -> Any:
    return client.post(url(), {"action": "switch", "enabled": to, "reason": "a bug", **fields})


def errors_of(response: Any) -> dict[str, list[str]]:
    return {name: [str(error) for error in errors] for name, errors in response.context["form"].errors.items()}


def test_without_a_change_the_settings_decide(client: Client, boss: Any, heist_settings: HeistSettings) -> None:
    heist_settings(STEAL_PERCENTAGE=6, TRUCE_ENABLED=False)

    page = client.get(url())

    text = page.content.decode()
    assert "The settings decide: no change of the rules has taken effect." in text
    assert "Heists are switched on." in text
    rows = {row["field"].name: (row["now"], row["range"]) for row in page.context["rows"]}
    assert rows.keys() == set(Rules.__dataclass_fields__) - {"time_zone"}
    assert rows["steal_percentage"] == ("6", "1-100")
    assert rows["shield_cost"] == ("50", "0-1,000,000,000")
    assert rows["truce_enabled"] == ("no", "")
    assert page.context["form"]["steal_percentage"].value() == 6


def test_rules_are_changed_logged_and_shown(client: Client, boss: Any, clock: Clock) -> None:
    text = client.post(url(), form(steal_percentage="8", truce_enabled=""), follow=True).content.decode()

    change = RuleChange.objects.get()
    assert change.rule_set is not None
    assert change.rule_set.rules == Rules(steal_percentage=8, truce_enabled=False)
    assert (change.takes_effect_at, change.changed_by, change.reason) == (NOON + 2 * MINUTE, boss, "less luck")
    done = "The rules change on May 20, 2026 12:02 p.m. UTC: steal percentage 5 → 8, truce enabled yes → no."
    assert done in text.replace("\xa0", " ").replace("&nbsp;", " ")
    assert "To come: Rules from May 20, 2026, 12:02 p.m. UTC on, by boss: less luck" in text
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (boss, str(change.pk))
    assert entry.object_repr == "rules from May 20, 2026, 12:02 p.m. UTC on"
    assert entry.change_message.replace("\xa0", " ") == f"{done} less luck"

    clock.now = NOON + 2 * MINUTE
    page = client.get(url())
    assert "by boss: less luck" in page.content.decode()
    assert "In force since" in page.content.decode()
    assert [row["now"] for row in page.context["rows"] if row["field"].name == "steal_percentage"] == ["8"]
    in_force.forget()
    heist = execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)
    assert heist.points_stolen == 80


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("steal_percentage", "0", "Write a whole number from 1 to 100."),
        ("steal_percentage", "101", "Write a whole number from 1 to 100."),
        ("steal_percentage", "", "Write a whole number from 1 to 100."),
        ("steal_percentage", "9" * 5000, "Write a whole number from 1 to 100."),
        ("steal_percentage", "five", "Write a whole number from 1 to 100."),
        ("steal_percentage", "nan", "Write a whole number from 1 to 100."),
        ("steal_percentage", "0.05", "This is a share. Did you mean 5?"),
        ("cooldown_hours", "0.5", "Write a whole number from 0 to 8,784."),
        ("cooldown_hours", "-1", "Write a whole number from 0 to 8,784."),
        ("takes_effect_at", "", "This field is required."),
        ("takes_effect_at", "soon", "Enter a valid date/time."),
        ("takes_effect_at", "0001-01-01T00:00", "The moment has to be between"),
        ("takes_effect_at", "9999-12-31T23:59:59", "The moment has to be between"),
        ("takes_effect_at", "2026-05-20T11:59:00", "The moment has to be between"),
        ("takes_effect_at", "2026-05-20T12:00:59", "The moment has to be between May 20, 2026 12:01 p.m. UTC and"),
        ("reason", "", "This field is required."),
        ("reason", "   ", "This field is required."),
        ("reason", "x" * 256, "Ensure this value has at most 255 characters (it has 256)."),
        ("weeks", "3", "Select a valid choice. 3 is not one of the available choices."),
        ("seen", "x", "Enter a whole number."),
    ],
)
def test_a_mistake_gets_a_sentence_beside_its_field(
    client: Client, boss: Any, field: str, value: str, sentence: str
) -> None:
    page = send(client, **{"cooldown_hours": "12", field: value})

    assert page.status_code == 200
    [error] = errors_of(page)[field]
    assert error.replace("\xa0", " ").startswith(sentence)
    assert not RuleChange.objects.exists()
    assert page.context["form"][field].value() == value


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
@pytest.mark.parametrize("value", ["0001-01-01T00:00", "9999-12-31T23:59:59"])
def test_a_moment_at_the_end_of_the_calendar_in_any_zone(
    client: Client, boss: Any, settings: Any, zone: str, value: str
) -> None:
    settings.TIME_ZONE = zone

    assert errors_of(send(client, takes_effect_at=value)).keys() == {"takes_effect_at"}


def test_the_next_minute_is_early_enough(client: Client, boss: Any) -> None:
    send(client, steal_percentage="8", takes_effect_at="2026-05-20T12:01:00")

    assert RuleChange.objects.get().takes_effect_at == NOON + MINUTE


def test_a_form_that_is_sent_twice_has_one_effect(client: Client, boss: Any) -> None:
    send(client, steal_percentage="8")

    page = send(client, steal_percentage="8")

    assert errors_of(page) == {"takes_effect_at": ["There is a change of the rules for this moment already, by boss."]}
    assert RuleChange.objects.count() == LogEntry.objects.count() == 1


def test_a_change_by_another_since_the_page_was_opened_is_named(client: Client, boss: Any) -> None:
    rules = Rules(steal_percentage=8)
    change_rules(rules=rules, takes_effect_at=NOON + HOUR, changed_by=player("ann"), reason="a try")

    page = send(client, cooldown_hours="12")

    [error] = errors_of(page)["__all__"]
    assert error.replace("\xa0", " ").startswith("ann changed the rules on May 20, 2026 noon UTC.")
    assert RuleChange.objects.count() == 1
    again = client.get(url()).context["form"]["seen"].value()
    assert send(client, cooldown_hours="12", seen=again).status_code == 302


def test_a_form_that_changes_nothing_says_so(client: Client, boss: Any) -> None:
    assert errors_of(send(client)) == {"__all__": ["It is so already; there is nothing to change."]}
    assert not RuleChange.objects.exists()


def test_heists_are_switched_off_and_on_again(client: Client, boss: Any, clock: Clock) -> None:
    assert (
        "Heists are switched off. It counts within ten seconds."
        in client.get(switch(client, "off").url).content.decode()
    )
    assert not in_force.enabled(NOON)
    page = client.get(url())
    assert "Since May 20, 2026 noon UTC, by boss: a bug" in page.content.decode().replace("\xa0", " ")
    assert 'value="Switch heists on"' in page.content.decode()

    clock.now += MINUTE
    switch(client, "on", reason="mended")

    # As after the commit, which the test's transaction does not have.
    in_force.forget()
    assert in_force.enabled(clock.now)
    entries = LogEntry.objects.order_by("pk").values_list("object_repr", "change_message")
    assert list(entries) == [
        ("heists switched off at May 20, 2026, noon UTC", "Heists are switched off. a bug"),
        ("heists switched on at May 20, 2026, 12:01 p.m. UTC", "Heists are switched on. mended"),
    ]


def test_a_switch_that_is_sent_twice_has_one_effect(client: Client, boss: Any) -> None:
    switch(client, "off")

    page = switch(client, "off")

    assert page.context["switch_form"].non_field_errors() == ["It is so already; there is nothing to change."]
    assert RuleChange.objects.count() == LogEntry.objects.count() == 1


@pytest.mark.parametrize("fields", [{"reason": ""}, {"reason": "x" * 256}, {"enabled": ""}, {"enabled": "maybe"}])
def test_a_switch_without_a_reason_or_a_position(client: Client, boss: Any, fields: dict[str, str]) -> None:
    page = switch(client, **({"to": "off"} | fields) if "enabled" not in fields else {"to": fields["enabled"]})

    assert page.status_code == 200
    assert page.context["switch_form"].errors
    assert not RuleChange.objects.exists()


def test_switched_off_by_the_settings_is_said(client: Client, boss: Any, heist_settings: HeistSettings) -> None:
    heist_settings(ENABLED=False)

    text = client.get(url()).content.decode()

    assert "is False: heists are off, whatever the switch says." in text
    assert "Heists are switched on." in text


def played(minutes_ago: int, *, points: int = 1000) -> Heist:
    """An attempt under the rules of the settings, some minutes before noon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timezone, "now", lambda: NOON - minutes_ago * MINUTE)
        return execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=points).pk)


def test_the_attempts_of_the_last_weeks_are_replayed(client: Client, boss: Any) -> None:
    played(5), played(4), played(3, points=15)

    page = send(client, "replay", steal_percentage="8", min_target_points="10", reason="", takes_effect_at="")

    assert errors_of(page) == {}
    found = page.context["found"]
    assert [found[name] for name in ("attempts", "changed", "same", "unknown")] == ["3", "1", "2", "0"]
    assert found["rows"] == [("Target has too few points", "Success", "1", "33.3 %")]
    assert [found[name] for name in ("recorded", "replayed", "difference")] == ["100", "161", "+61.0 %"]
    text = page.content.decode()
    assert "Of 3 attempts, 1 would have ended otherwise and 2 the same; 0 are unknown." in text
    assert "Each attempt is judged alone" in text
    assert not RuleChange.objects.exists()
    # The form is as it was sent, so that the change is one click away.
    assert page.context["form"]["steal_percentage"].value() == "8"


def test_a_replay_over_no_attempts(client: Client, boss: Any) -> None:
    played(minutes_ago=8 * 24 * 60)

    page = send(client, "replay", weeks="1")

    assert errors_of(page) == {"weeks": ["There were no attempts in this time."]}
    assert send(client, "replay", weeks="2").context["found"]["attempts"] == "1"


def test_a_replay_over_too_many_attempts_names_the_command(
    client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "MOST_ATTEMPTS", 2)
    played(3), played(2)
    assert send(client, "replay").context["found"]["attempts"] == "2"
    played(1)

    page = send(client, "replay", weeks="1", steal_percentage="8", truce_enabled="")

    assert errors_of(page) == {
        "weeks": [
            "These are too many attempts for this page (over 2). Use the command: manage.py simulate_rules "
            "STEAL_PERCENTAGE=8 TRUCE_ENABLED=False --since 2026-05-13T12:00:00Z"
        ]
    }


def test_attempts_before_the_period_count_for_the_limit_of_rows(
    client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "MOST_ROWS", 2)
    played(3), played(minutes_ago=10 * 24 * 60)
    assert send(client, "replay", weeks="1").context["found"]["attempts"] == "1"
    played(minutes_ago=11 * 24 * 60)

    assert "Use the command" in errors_of(send(client, "replay", weeks="1"))["weeks"][0]


def test_an_auditor_reads_and_changes_nothing(client: Client, auditor: Any) -> None:
    switch_heists(enabled=False, changed_by=None, reason="a bug")

    page = client.get(url())

    assert "Heists are switched off." in page.content.decode()
    assert "<button" not in page.content.decode().split('id="heists-switch"')[1]
    for action in ("change", "replay", "switch"):
        assert send(client, action, steal_percentage="8", enabled="on").status_code == 403
    assert RuleChange.objects.count() == 1


def test_staff_without_the_permission_to_view_see_nothing(client: Client, auditor: Any) -> None:
    auditor.user_permissions.set(Permission.objects.filter(codename="change_rules"))

    assert client.get(url()).status_code == 403
    assert url() not in client.get(reverse("admin:index")).content.decode()


def test_staff_with_both_permissions_change_the_rules(client: Client, auditor: Any) -> None:
    auditor.user_permissions.add(Permission.objects.get(codename="change_rules"))

    assert send(client, steal_percentage="8").status_code == 302
    assert RuleChange.objects.get().changed_by_name == "auditor"


def test_the_page_is_linked(client: Client, boss: Any) -> None:
    for name in ("admin:index", "admin:heists_rulechange_changelist"):
        assert f'href="{url()}"' in client.get(reverse(name)).content.decode()


def test_the_list_and_the_page_of_a_change_name_facts(client: Client, boss: Any) -> None:
    send(client, steal_percentage="8")
    switch(client, "off")
    row = RuleChange.objects.get(kind="RULES")

    text = client.get(reverse("admin:heists_rulechange_changelist")).content.decode()
    assert "Heists switched off at May 20, 2026, noon UTC" in text
    assert "less luck" in text
    text = client.get(reverse("admin:heists_rulechange_change", args=[row.pk])).content.decode()
    assert "rules from May 20, 2026, 12:02 p.m. UTC on" in text
    assert reverse("admin:heists_ruleset_change", args=[RuleSet.objects.get().pk]) in text


def statements(client: Client, action: str | None = None) -> int:
    with CaptureQueriesContext(connection) as found:
        response = client.get(url()) if action is None else send(client, action, steal_percentage="9")
        assert response.status_code == 200
    return len(found)


def test_the_number_of_statements_is_constant(client: Client, boss: Any, clock: Clock) -> None:
    played(9)
    before = statements(client), statements(client, "replay")
    for number in range(1, 4):
        rules = Rules(steal_percentage=5 + number)
        change_rules(rules=rules, takes_effect_at=NOON + number * HOUR, changed_by=boss, reason="a try")
        switch_heists(enabled=bool(number % 2 - 1), changed_by=boss, reason="a bug")
        clock.now += MINUTE
    for minutes in range(5):
        played(minutes)

    assert (statements(client), statements(client, "replay")) == before
    assert before[0] <= 6
    assert before[1] <= 16


def test_a_switch_since_the_rules_changed_is_no_change_of_the_rules(client: Client, boss: Any, clock: Clock) -> None:
    send(client, steal_percentage="7")
    clock.now += HOUR
    in_force.forget()
    switch(client, "off")

    seen = client.get(url()).context["form"]["seen"].value()
    at = "2026-05-20T14:00:00"

    assert seen == RuleChange.objects.get(kind="RULES").pk
    assert send(client, steal_percentage="8", seen=str(seen), takes_effect_at=at).status_code == 302


def test_changes_to_come_are_in_order_and_one_of_this_moment_is_in_force(
    client: Client, boss: Any, clock: Clock
) -> None:
    for minutes, share in ((2, 7), (30, 8), (20, 9)):
        seen = client.get(url()).context["form"]["seen"].value()
        at = f"2026-05-20T12:{minutes:02}:00"
        assert send(client, steal_percentage=str(share), seen=str(seen), takes_effect_at=at).status_code == 302

    # The newest is the one that was made last.
    assert client.get(url()).context["form"]["seen"].value() == RuleChange.objects.latest("pk").pk

    def shown() -> tuple[Any, list[int]]:
        context = client.get(url()).context
        in_effect = context["change"] and context["change"]["row"].rule_set.steal_percentage
        return in_effect, [change["row"].rule_set.steal_percentage for change in context["to_come"]]

    assert shown() == (None, [7, 9, 8])
    clock.now = NOON + 2 * MINUTE
    assert shown() == (7, [9, 8])
    clock.now = NOON + 2 * MINUTE - dt.timedelta(microseconds=1)
    assert shown() == (None, [7, 9, 8])


def test_shares_of_a_replay_are_of_what_is_known(client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    played(3)
    comparison = Comparison()
    comparison.attempts, comparison.unknown = 10, 2
    comparison.changes.update({("cooldown", None): 2})
    monkeypatch.setattr("heists.queries.replay.compare", lambda *args, **options: comparison)

    page = send(client, "replay", reason="", takes_effect_at="")

    assert errors_of(page) == {}
    found = page.context["found"]
    assert (found["attempts"], found["changed"], found["same"], found["unknown"]) == ("10", "2", "6", "2")
    assert [row[2:] for row in found["rows"]] == [("2", "25.0 %")]
