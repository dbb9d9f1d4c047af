"""Staff read; nobody adds, changes or deletes rows, with any permission (docs/specification.md, "Admin")."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client, RequestFactory
from django.urls import reverse

from heists.choices import GrantReason
from heists.models import Heist, HeistToken, TokenGrant
from heists.services import (
    buy_shield,
    execute_heist,
    grant_tokens,
    reverse_heist,
    set_email_preference,
    set_truce,
    switch_heists,
)
from tests.factories import player

pytestmark = pytest.mark.django_db

# A model without permissions is for the audit alone, and not for staff.
MODELS = [
    model
    for model in sorted(apps.get_app_config("heists").get_models(), key=lambda model: model.__name__)
    if model._meta.default_permissions
]
NAMES = [model._meta.model_name for model in MODELS]


def robbery() -> Heist:
    alice, bob = player("alice", tokens=1), player("bob", points=1000)
    return execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")


def test_every_model_is_registered() -> None:
    assert [model for model in MODELS if not admin.site.is_registered(model)] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_superuser_can_read_the_list_and_can_not_add(client: Client, boss: Any, name: str) -> None:
    robbery()

    assert client.get(reverse(f"admin:heists_{name}_changelist")).status_code == 200
    assert client.get(reverse(f"admin:heists_{name}_add")).status_code == 403
    assert client.post(reverse(f"admin:heists_{name}_add"), {}).status_code == 403


def test_a_value_that_is_missing_is_a_dash_on_every_page(client: Client, boss: Any) -> None:
    """Nobody granted or reversed anything by name; there is no address, no note, no key and no heist that ended."""
    heist = robbery()
    execute_heist(attacker_id=heist.attacker_id, victim_id=heist.victim_id)
    reverse_heist(heist_id=heist.pk, reversed_by=None, reason="a mistake")
    buy_shield(player_id=player("carol", coins=50).pk)
    set_truce(player_id=heist.victim_id, wanted=True)
    set_email_preference(player_id=heist.victim_id, muted=True)
    switch_heists(enabled=False, changed_by=None, reason="a test")
    player(tokens=1, email="dora@example.org")
    get_user_model().objects.update(email="")

    for model in MODELS:
        row = model._default_manager.order_by("pk").first()
        assert row is not None, model
        page = client.get(reverse(f"admin:heists_{model._meta.model_name}_change", args=[row.pk])).content.decode()
        values = [value.strip() for value in re.findall(r'<div class="readonly">(.*?)</div>', page, re.DOTALL)]
        assert len(values) > 1, model
        assert not {"", "None"} & set(values), model


@pytest.mark.parametrize("model", [Heist, HeistToken, TokenGrant])
def test_a_superuser_can_read_a_row_and_not_change_or_delete_it(client: Client, boss: Any, model: Any) -> None:
    robbery()
    row = model.objects.order_by("pk").first()
    name = model._meta.model_name
    before = model.objects.values().get(pk=row.pk)

    assert client.get(reverse(f"admin:heists_{name}_change", args=[row.pk])).status_code == 200
    posted = {"points_stolen": 1, "balance": 99, "amount": 99, "status": "SUCCESS"}
    assert client.post(reverse(f"admin:heists_{name}_change", args=[row.pk]), posted).status_code == 403
    assert client.get(reverse(f"admin:heists_{name}_delete", args=[row.pk])).status_code == 403
    assert client.post(reverse(f"admin:heists_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert model.objects.values().get(pk=row.pk) == before


@pytest.mark.parametrize("name", NAMES)
def test_no_action_changes_a_row(client: Client, boss: Any, name: str) -> None:
    heist = robbery()

    for action in ("delete_selected", "nonsense"):
        client.post(
            reverse(f"admin:heists_{name}_changelist"),
            {"action": action, "_selected_action": [heist.pk], "post": "yes", "index": "0"},
        )

    assert Heist.objects.filter(pk=heist.pk).exists()
    assert HeistToken.objects.exists() and TokenGrant.objects.exists()


def test_deleting_a_user_in_the_admin_deletes_the_heists(client: Client, boss: Any) -> None:
    heist = robbery()
    delete = reverse("admin:auth_user_delete", args=[heist.attacker_id])

    page = client.get(delete)
    assert b"Your account doesn" not in page.content
    client.post(delete, {"post": "yes"})

    assert not Heist.objects.exists()
    assert not TokenGrant.objects.exists()


def test_deleting_users_by_action_deletes_the_heists(client: Client, boss: Any) -> None:
    heist = robbery()

    client.post(
        reverse("admin:auth_user_changelist"),
        {"action": "delete_selected", "_selected_action": [heist.attacker_id, heist.victim_id], "post": "yes"},
    )

    assert not Heist.objects.exists()


def test_grants_stay_when_the_member_of_staff_is_deleted(client: Client, boss: Any) -> None:
    alice, helper = player("alice"), player("helper", is_staff=True)
    grant_tokens(player=alice, amount=1, reason=GrantReason.STAFF, source="ticket:1", granted_by=helper)

    client.post(reverse("admin:auth_user_delete", args=[helper.pk]), {"post": "yes"})

    assert TokenGrant.objects.get().granted_by is None


def test_an_auditor_reads_everything_and_changes_nothing(client: Client, auditor: Any) -> None:
    heist = robbery()

    for name in NAMES:
        assert client.get(reverse(f"admin:heists_{name}_changelist")).status_code == 200
    assert client.get(reverse("admin:heists_heist_change", args=[heist.pk])).status_code == 200
    assert client.get(reverse("admin:heists_dashboard")).status_code == 200
    assert client.get(reverse("admin:heists_heist_export")).status_code == 200
    assert client.get(reverse("admin:heists_heisttoken_grant"), {"player": heist.attacker_id}).status_code == 403
    assert client.post(reverse("admin:heists_heisttoken_grant"), {"player": heist.attacker_id}).status_code == 403
    assert b"Grant tokens" not in client.get(reverse("admin:heists_heisttoken_changelist")).content


@pytest.mark.parametrize("codename", [None, "change_heist", "delete_heist", "grant_tokens", "send_again"])
def test_without_a_view_permission_there_is_no_menu_and_no_page(client: Client, codename: str | None) -> None:
    clerk = player("clerk", is_staff=True)
    if codename:
        clerk.user_permissions.add(Permission.objects.get(content_type__app_label="heists", codename=codename))
    client.force_login(clerk)
    heist = robbery()

    assert b"/heists/" not in client.get(reverse("admin:index")).content
    for name in NAMES:
        assert client.get(reverse(f"admin:heists_{name}_changelist")).status_code == 403
    assert client.get(reverse("admin:heists_heist_change", args=[heist.pk])).status_code == 403
    assert client.get(reverse("admin:heists_dashboard")).status_code == 403
    assert client.get(reverse("admin:heists_heist_export")).status_code == 403
    assert client.get(reverse("admin:heists_heisttoken_grant"), {"player": heist.pk}).status_code == 403


@pytest.mark.parametrize("page", ["heists_dashboard", "heists_heist_export", "heists_heisttoken_grant"])
def test_players_and_visitors_are_redirected_to_the_login(client: Client, page: str) -> None:
    assert client.get(reverse(f"admin:{page}")).status_code == 302
    client.force_login(player("alice"))
    assert client.get(reverse(f"admin:{page}")).status_code == 302


def test_outside_a_page_nothing_may_be_deleted(boss: Any) -> None:
    """A host may ask, for instance in a command."""
    request = RequestFactory().get("/")
    request.user = boss

    assert not admin.site.get_model_admin(Heist).has_delete_permission(request)
