"""Titles, texts, times and numbers as staff read them."""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
import itertools
import re
import time
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone, translation

from heists.admin.names import player_name
from heists.admin.rules import LABELS
from heists.choices import EmailState, GrantReason, HeistNotificationType
from heists.models import (
    EmailPreference,
    Heist,
    HeistNotification,
    HeistToken,
    OutboxEmail,
    RuleSet,
    Shield,
    TokenGrant,
)
from heists.services import buy_shield, execute_heist, grant_tokens, set_email_preference
from tests.factories import player, rewrite, tokens_of

pytestmark = pytest.mark.django_db

MODELS = (EmailPreference, Heist, HeistNotification, HeistToken, OutboxEmail, RuleSet, Shield, TokenGrant)


@pytest.fixture
def world() -> Heist:
    """Return the success of alice against bob; every table has a row."""
    alice = player("alice", tokens=1, email="alice@example.org")
    bob, cid = player("bob", points=2000, email="bob@example.org"), player("cid", points=1, coins=500)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")
    buy_shield(player_id=cid.pk)
    set_email_preference(player_id=bob.pk, mute=[HeistNotificationType.HEIST_VICTIM])
    return heist


def page(client: Client, row: Any) -> str:
    response = client.get(reverse(f"admin:heists_{row._meta.model_name}_change", args=[row.pk]))
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def title(text: str) -> str:
    found = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
    assert found
    return found[1].split("|")[0].strip()


def breadcrumb(text: str) -> str:
    found = re.search(r'class="breadcrumbs">.*?</div>', text, re.DOTALL)
    assert found
    return found[0]


def test_titles_and_breadcrumbs_name_people_and_facts(client: Client, boss: Any, world: Heist) -> None:
    alice = world.attacker
    expected = {
        world: "alice robbed bob: 100 points",
        TokenGrant.objects.get(player=alice): "1 token for alice",
        HeistToken.objects.get(user=alice): "0 tokens of alice",
        Shield.objects.get(): "shield of cid",
        EmailPreference.objects.get(): "email preference of bob",
        HeistNotification.objects.get(type="HEIST_VICTIM"): "You were robbed (notification for bob)",
        OutboxEmail.objects.get(notification__type="HEIST_SUCCESS"): "You robbed a player (email for alice)",
    }
    for row, text in expected.items():
        found = page(client, row)
        assert title(found) == text
        assert text in breadcrumb(found)


def test_a_rejection_is_named_by_its_status(world: Heist) -> None:
    again = execute_heist(attacker_id=world.attacker_id, victim_id=world.victim_id)
    row = Heist.objects.select_related("attacker", "victim").get(pk=again.pk)

    assert str(row) == "alice attacked bob: Not enough tokens"
    with translation.override("de"):
        assert str(row) == "alice hat bob angegriffen: Nicht genug Marken"


def test_a_row_is_named_without_a_statement(world: Heist) -> None:
    """A log line, or a list of thousands of rows, must not ask for each player."""
    rows = [row for model in MODELS for row in model.objects.all()]

    with CaptureQueriesContext(connection) as queries:
        texts = [str(row) for row in rows]

    assert len(queries) == 0
    assert f"player {world.attacker_id} robbed player {world.victim_id}: 100 points" in texts


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_an_email_shows_recipient_and_text_in_the_players_language(
    client: Client, boss: Any, world: Heist, settings: Any, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    # Each signature has a second of its own, as where a second begins between two.
    seconds = itertools.count(int(time.time()))
    monkeypatch.setattr("django.core.signing.time.time", lambda: next(seconds))
    settings.LANGUAGE_CODE = language
    settings.HEISTS = {**settings.HEISTS, "SITE_URL": "https://example.org"}
    text = page(client, OutboxEmail.objects.get(notification__type="HEIST_VICTIM"))

    assert "bob@example.org" in text
    stole = {"en": "alice stole 100 points from you", "de": "alice hat dir 100 Punkte gestohlen"}
    assert stole.get(language, "alice te ha robado 100 puntos") in text
    # The link would unsubscribe the player.
    assert "/unsubscribe/" not in text


def test_an_email_that_can_not_be_rendered_still_has_a_page(
    client: Client, boss: Any, world: Heist, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("template")

    monkeypatch.setattr("heists.admin.emails.compose", broken)
    email = OutboxEmail.objects.filter(notification__user=world.victim).first()
    assert email is not None
    OutboxEmail.objects.filter(pk=email.pk).update(state=EmailState.FAILED, last_error="SMTPException: full")

    text = page(client, email)

    assert "can't be rendered" in text and "SMTPException: full" in text


class Anchors(HTMLParser):
    """Finds links inside links."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.nested, self.found = 0, 0, 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "a":
            self.found += 1
            self.nested += self.open > 0
            self.open += 1

    def handle_endtag(self, tag: str) -> None:
        self.open -= tag == "a"


@pytest.mark.parametrize("model", MODELS)
def test_no_link_is_inside_another_and_each_row_has_one(client: Client, boss: Any, world: Heist, model: Any) -> None:
    table = reverse(f"admin:heists_{model._meta.model_name}_changelist")
    text = client.get(table).content.decode()
    for address in (table, *(f"{table}{row.pk}/change/" for row in model.objects.all())):
        anchors = Anchors()
        anchors.feed(client.get(address).content.decode())
        assert anchors.nested == 0 and anchors.found

    for row in model.objects.all():
        assert re.search(rf'<th class="[^"]*"><a href="{table}{row.pk}/change/[^"]*">[^<]+</a></th>', text)


@pytest.mark.parametrize(("zone", "shown"), [("America/New_York", "EST"), ("Asia/Kathmandu", "+0545")])
@pytest.mark.parametrize("model", [model for model in MODELS if model is not EmailPreference])
def test_every_time_has_its_zone(
    client: Client, boss: Any, world: Heist, settings: Any, model: Any, zone: str, shown: str
) -> None:
    settings.TIME_ZONE = zone
    moment = dt.datetime(2026, 1, 15, 12, 34, tzinfo=dt.UTC)
    rewrite(Heist.objects.all(), created_at=moment)
    HeistNotification.objects.update(created_at=moment)
    OutboxEmail.objects.update(due_at=moment)
    Shield.objects.update(bought_at=moment)
    HeistToken.objects.update(last_spent_at=moment)
    table = reverse(f"admin:heists_{model._meta.model_name}_changelist")

    for address in (table, *(f"{table}{row.pk}/change/" for row in model.objects.all()[:1])):
        text = html.unescape(client.get(address).content.decode()).replace("\N{NO-BREAK SPACE}", " ")
        body = text.partition('id="content"')[2]
        times = re.findall(r"\d{4},? (?:\d{1,2}(?::\d\d)? [ap]\.m\.|noon|midnight)(.{0,6})", body)
        assert times, address
        assert [after for after in times if not after.startswith(f" {shown}")] == [], address


def test_tokens_are_zero_and_not_a_dash(client: Client, auditor: Any) -> None:
    auditor.user_permissions.remove(*auditor.user_permissions.filter(codename="view_heisttoken"))
    alice, bob = player("alice"), player("bob", points=1)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    assert tokens_of(alice).balance == 0 and not HeistToken.objects.filter(user=bob).exists()

    rows = re.findall(r'<th scope="row">(?:Attacker|Victim)</th>(.*?)</tr>', page(client, heist), re.DOTALL)

    cells = [re.findall(r'class="heists-number">(.*?)</td>', row) for row in rows]
    assert [row[-1] for row in cells] == ["0", "0"]


def test_numbers_are_grouped_on_every_page(client: Client, boss: Any) -> None:
    alice = player("alice", points=4_000_000, tokens=1)
    bob = player("bob", points=1_234_567, coins=5000)
    grant_tokens(player=bob, amount=654_321, reason=GrantReason.STAFF, source="x", granted_by=boss)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    lists = [reverse(f"admin:heists_{name}_changelist") for name in ("heist", "heisttoken", "tokengrant")]
    pages = [page(client, row) for row in (heist, tokens_of(bob), TokenGrant.objects.get(source="x"))]
    pages += [client.get(address).content.decode() for address in (*lists, reverse("admin:heists_dashboard"))]

    assert "1,234,567" in pages[0] and "4,000,000" in pages[0]
    assert "654,321" in pages[1] and "654,321" in pages[2]
    for text in pages:
        shown = re.sub(r"<[^>]*>|<style.*?</style>", " ", text)
        assert re.findall(r"1234567|4000000|654321|654322", shown) == []


def test_a_list_groups_its_count(client: Client, boss: Any, world: Heist) -> None:
    values = {
        field.attname: getattr(world, field.attname) for field in Heist._meta.concrete_fields if field.name != "id"
    }
    Heist.objects.bulk_create([Heist(**{**values, "created_at": timezone.now()}) for _number in range(1200)])

    text = client.get(reverse("admin:heists_heist_changelist")).content.decode()

    assert "1,201 heists" in text


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_page_reads_the_names_that_players_see_once(
    client: Client, boss: Any, world: Heist, named: list[set[Any]], model: Any
) -> None:
    list_page = html.unescape(client.get(reverse(f"admin:heists_{model._meta.model_name}_changelist")).content.decode())
    calls = len(named)
    row = model.objects.order_by("pk")[0]
    row_page = page(client, row)

    if model is RuleSet:
        assert named == []
        return
    who = world.attacker if model in (Heist, HeistToken, TokenGrant) else None
    who = who or getattr(row, "user", None) or getattr(row, "player", None) or row.notification.user
    assert f"Number {who.pk} ({who.username})" in list_page
    assert f"Number {who.pk} ({who.username})" in title(row_page)
    assert (calls, len(named)) == (1, 2)


def test_the_dashboard_reads_all_names_at_once(client: Client, boss: Any, world: Heist, named: list[set[Any]]) -> None:
    text = html.unescape(client.get(reverse("admin:heists_dashboard")).content.decode())

    for who in (world.attacker, world.victim):
        assert f">Number {who.pk} ({who.username})</a>" in text
    assert named == [{world.attacker_id, world.victim_id}]


def test_a_name_that_is_the_username_stands_alone(client: Client, boss: Any, world: Heist) -> None:
    assert "alice (" not in page(client, world)


def test_a_user_without_a_username_has_the_players_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    nameless = player("")
    assert player_name(nameless) == f"Player {nameless.pk}"


def test_a_grant_and_its_log_name_the_player_as_players_do(
    client: Client, boss: Any, world: Heist, named: list[set[Any]]
) -> None:
    who, form = world.attacker, f"{reverse('admin:heists_heisttoken_grant')}?player={world.attacker_id}"
    answer = client.get(form)
    label = f"Number {who.pk} ({who.username})"

    assert f"<li>{label}</li>" in answer.content.decode()
    nonce = answer.context["form"]["nonce"].value()
    client.post(form, {"amount": 2, "note": "A prize.", "nonce": nonce})

    texts = set(LogEntry.objects.values_list("object_repr", flat=True))
    assert texts == {f"2 tokens for {label}", f"2 tokens of {label}"}


def test_the_file_has_both_names(client: Client, boss: Any, world: Heist, named: list[set[Any]]) -> None:
    answer: Any = client.get(reverse("admin:heists_heist_export"))
    (row,) = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))

    assert (row["attacker"], row["attacker_name"]) == ("alice", f"Number {world.attacker_id}")
    assert (row["victim"], row["victim_name"]) == ("bob", f"Number {world.victim_id}")
    assert named == [{world.attacker_id, world.victim_id}]


@pytest.mark.parametrize(
    ("language", "labels"),
    [
        ("en", ("Token cost", "Max heists per day", "Time zone")),
        ("de", ("Preis in Marken", "Raubzüge pro Tag höchstens", "Zeitzone")),
        ("es", ("Precio en fichas", "Máximo de atracos al día", "Zona horaria")),
    ],
)
def test_the_rules_have_names_in_the_language_of_the_reader(
    admin_client: Client, language: str, labels: tuple[str, ...]
) -> None:
    execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)
    address = f"/admin/heists/ruleset/{RuleSet.objects.get().pk}/change/"

    page = admin_client.get(address, headers={"accept-language": language}).content.decode()

    for label in labels:
        assert f"<label>{label}:</label>" in page
    assert LABELS.keys() == {field.name for field in RuleSet._meta.fields} - {"id", "created_at"}
