"""Pages by which staff decide, and what they send, are never read from a replica (docs/integrating.md)."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import models
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from heists.economy import get_economy
from heists.models import Heist, HeistToken, OutboxEmail, TokenGrant
from heists.queries import evidence
from heists.services import execute_heist
from tests import ROOT
from tests.conftest import HeistSettings
from tests.factories import player

pytestmark = pytest.mark.django_db

CODE = str(ROOT / "heists")


class AwayRouter:
    """Writes where the tests do; has no replica for what heists reads without naming a database."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        if "instance" in hints or model._meta.app_label not in ("heists", "auth", "admin"):
            return None
        frame: Any = sys._getframe(1)
        while frame is not None:
            # Who signs in is read before any code of heists runs.
            if frame.f_code.co_filename.startswith(CODE):
                return "nowhere"
            frame = frame.f_back
        return None

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str:
        return "default"

    def allow_relation(self, *args: Any, **hints: Any) -> bool:
        return True


@pytest.fixture
def heist(boss: Any) -> Heist:
    alice, bob = player("alice", tokens=2, email="alice@example.org"), player("bob", points=1000)
    return execute_heist(attacker_id=alice.pk, victim_id=bob.pk)


@pytest.fixture
def away(heist: Heist, settings: Settings) -> Iterator[None]:
    settings.DATABASE_ROUTERS = ["tests.heists.admin.test_databases.AwayRouter"]
    yield


@pytest.mark.usefixtures("away")
def test_points_are_returned(client: Client, heist: Heist) -> None:
    page = reverse("admin:heists_heist_reverse", args=[heist.pk])
    form = {"expected": 50, "reason": "two accounts of one person"}

    assert client.get(page).status_code == 200
    assert client.post(page, form).status_code == 302
    # It was returned before, which leads back to the page of the heist.
    assert client.post(page, form).headers["Location"] == reverse("admin:heists_heist_change", args=[heist.pk])


@pytest.mark.usefixtures("away")
def test_grants_are_taken_back(client: Client, heist: Heist) -> None:
    grant = TokenGrant.objects.using("default").get()
    page = reverse("admin:heists_tokengrant_take_back", args=[grant.pk])

    assert client.get(page).status_code == 200
    assert client.post(page, {"expected": 1, "reason": "granted by mistake"}).status_code == 302
    assert TokenGrant.objects.using("default").count() == 2


@pytest.mark.usefixtures("away")
def test_tokens_are_granted(client: Client, heist: Heist) -> None:
    token = HeistToken.objects.using("default").get(user=heist.attacker_id)
    form = {"nonce": str(uuid.uuid4()), "amount": 2, "note": "lost in an outage"}
    selected = {"action": "grant_tokens", "_selected_action": [token.pk], "index": "0"}

    page = client.post(reverse("admin:heists_heisttoken_changelist"), selected).headers["Location"]
    assert client.get(page).status_code == 200
    for _twice in range(2):
        assert client.post(page, form).status_code == 302
    token.refresh_from_db(using="default")
    assert token.balance == 3


@pytest.mark.usefixtures("away", "rule_changes")
def test_the_rules_are_shown_replayed_and_switched(client: Client, heist: Heist) -> None:
    page = reverse("admin:heists_rules")

    form = client.get(page).context["form"]
    values = {name: form[name].value() for name in form.fields if name != "takes_effect_at"}
    replay = {name: value for name, value in values.items() if value is not None} | {"action": "replay"}
    assert client.post(page, replay).context["found"]["attempts"] == "1"
    assert client.post(page, {"action": "switch", "enabled": "off", "reason": "a bug"}).status_code == 302


@pytest.mark.usefixtures("away")
def test_emails_are_sent_again(client: Client, heist: Heist) -> None:
    emails = OutboxEmail.objects.using("default")
    emails.update(state="SENT")
    selected = {"action": "send_again", "_selected_action": [emails.first().pk], "index": "0"}  # type: ignore[union-attr]

    client.post(reverse("admin:heists_outboxemail_changelist"), selected | {"confirmed": "yes"})

    assert emails.filter(state="WAITING").count() == 1


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("action", [False, True], ids=["page", "action"])
def test_users_are_deleted(client: Client, heist: Heist, action: bool) -> None:
    users = get_user_model()._default_manager.using("default").filter(pk=heist.attacker_id)
    if action:
        selected = {"action": "delete_selected", "_selected_action": [heist.attacker_id]}
        page = client.post(reverse("admin:auth_user_changelist"), selected)
        client.post(reverse("admin:auth_user_changelist"), selected | {"post": "yes"})
    else:
        page = client.get(reverse("admin:auth_user_delete", args=[heist.attacker_id]))
        client.post(reverse("admin:auth_user_delete", args=[heist.attacker_id]), {"post": "yes"})

    assert "Token grants: 1" in page.content.decode()
    assert not users.exists()
    assert not Heist.objects.using("default").exists()


def test_the_evidence_is_of_the_database_of_the_heist(
    heist_settings: HeistSettings, boss: Any, settings: Settings
) -> None:
    heist_settings(NEWCOMER_DAYS=7)
    victim = player("bob", points=1000)
    heist = execute_heist(attacker_id=player("alice", tokens=1).pk, victim_id=victim.pk)
    settings.DATABASE_ROUTERS = ["tests.heists.admin.test_databases.AwayRouter"]

    found = evidence.around(heist, get_economy())

    assert (found.earlier, found.later, found.truces) == ([], [], [])
    assert found.victim_joined_at == victim.date_joined
