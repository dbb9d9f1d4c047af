"""Who may open which page, and what the pages link to for whom (docs/specification.md, "Admin")."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from heists.models import Heist, HeistToken, OutboxEmail, RuleChange, TokenGrant
from heists.services import execute_heist
from tests.factories import player, tokens_of

pytestmark = pytest.mark.django_db

# Each page that is none of Django's own, with the permission to view its model, and its own permission.
PAGES = {
    "heists_dashboard": ("view_heist", None),
    "heists_heist_export": ("view_heist", None),
    "heists_heist_reverse": ("view_heist", "reverse_heist"),
    "heists_heisttoken_grant": ("view_heisttoken", "grant_tokens"),
    "heists_tokengrant_take_back": ("view_tokengrant", "grant_tokens"),
    "heists_rules": ("view_rulechange", None),
}
FORMS: dict[str, dict[str, Any]] = {
    "heists_heist_reverse": {"expected": 50, "reason": "two accounts of one person"},
    "heists_heisttoken_grant": {"nonce": str(uuid.uuid4()), "amount": 2, "note": "lost in an outage"},
    "heists_tokengrant_take_back": {"expected": 1, "reason": "granted by mistake"},
    "heists_rules": {"action": "switch", "enabled": "off", "reason": "a bug"},
}


@pytest.fixture
def heist(db: None) -> Heist:
    """Alice, who has one token left, stole 50 of bob's points."""
    alice, bob = player("alice", tokens=2, email="alice@example.org"), player("bob", points=1000)
    return execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")


def address(page: str, heist: Heist) -> str:
    if page == "heists_heist_reverse":
        return reverse(f"admin:{page}", args=[heist.pk])
    if page == "heists_tokengrant_take_back":
        return reverse(f"admin:{page}", args=[TokenGrant.objects.get().pk])
    query = f"?player={heist.attacker_id}" if page == "heists_heisttoken_grant" else ""
    return reverse(f"admin:{page}") + query


def facts() -> tuple[Any, ...]:
    """Return what the forms would change."""
    tokens = list(HeistToken.objects.order_by("pk").values_list("balance", flat=True))
    return tokens, Heist.objects.filter(reversal=None).count(), TokenGrant.objects.count(), RuleChange.objects.count()


def sign_in(client: Client, *codenames: str | None, is_staff: bool = True) -> None:
    user = player("clerk", is_staff=is_staff)
    permissions = Permission.objects.filter(content_type__app_label="heists")
    user.user_permissions.set(permissions.filter(codename__in=[name for name in codenames if name]))
    client.force_login(user)


@pytest.mark.parametrize("page", PAGES)
def test_permissions_are_for_staff_only(client: Client, heist: Heist, page: str) -> None:
    sign_in(client, *PAGES[page], "change_rules", is_staff=False)
    before = facts()

    for response in (client.get(address(page, heist)), client.post(address(page, heist), FORMS.get(page, {}))):
        assert (response.status_code, "/admin/login/" in response.headers.get("Location", "")) == (302, True)
    assert facts() == before


@pytest.mark.parametrize("page", PAGES)
def test_the_permission_of_a_page_is_not_enough_without_the_one_to_view(
    client: Client, heist: Heist, page: str
) -> None:
    sign_in(client, PAGES[page][1], "change_rules")
    before = facts()

    assert client.get(address(page, heist)).status_code == 403
    assert client.post(address(page, heist), FORMS.get(page, {})).status_code == 403
    assert facts() == before


@pytest.mark.parametrize("page", [page for page, (_view, own) in PAGES.items() if own])
def test_the_permission_to_view_is_not_enough(client: Client, heist: Heist, page: str) -> None:
    sign_in(client, *[view for view, _own in PAGES.values()])
    before = facts()

    assert client.get(address(page, heist)).status_code == 403
    assert client.post(address(page, heist), FORMS[page]).status_code == 403
    assert facts() == before


@pytest.mark.parametrize("page", [page for page, (_view, own) in PAGES.items() if own])
def test_both_permissions_are_enough(client: Client, heist: Heist, page: str) -> None:
    sign_in(client, *PAGES[page])
    before = facts()

    assert client.get(address(page, heist)).status_code == 200
    assert client.post(address(page, heist), FORMS[page]).status_code == 302
    assert facts() != before


def test_rules_are_changed_only_with_the_permission_to(client: Client, heist: Heist) -> None:
    sign_in(client, "view_rulechange", "add_rulechange", "change_rulechange")

    assert client.get(address("heists_rules", heist)).status_code == 200
    for data in (FORMS["heists_rules"], {"action": "replay"}, {"action": "change"}, {}):
        assert client.post(address("heists_rules", heist), data).status_code == 403
    assert not RuleChange.objects.exists()


def test_sending_again_needs_the_permission_to_view_as_well(client: Client, heist: Heist) -> None:
    sign_in(client, "send_again")
    email = OutboxEmail.objects.get(notification__heist=heist, notification__user=heist.attacker_id)
    OutboxEmail.objects.filter(pk=email.pk).update(state="SENT")
    data = {"action": "send_again", "_selected_action": [email.pk], "confirmed": "yes", "index": "0"}

    assert client.post(reverse("admin:heists_outboxemail_changelist"), data).status_code == 403
    assert OutboxEmail.objects.get(pk=email.pk).state == "SENT"


@pytest.mark.parametrize("name", ["heist", "heisttoken", "outboxemail", "attemptlog"])
def test_an_action_of_the_whole_site_is_not_offered_and_does_not_run(
    client: Client, boss: Any, heist: Heist, name: str
) -> None:
    ran: list[Any] = []

    def archive(model_admin: Any, request: Any, queryset: Any) -> None:
        ran.append(queryset)

    admin.site.add_action(archive)
    try:
        page = client.get(reverse(f"admin:heists_{name}_changelist"))
        data = {"action": "archive", "_selected_action": [heist.pk], "index": "0"}
        client.post(reverse(f"admin:heists_{name}_changelist"), data)
    finally:
        admin.site.disable_action("archive")
        del admin.site._global_actions["archive"]

    assert "archive" not in page.content.decode() and ran == []


def test_the_dashboard_links_only_to_what_its_reader_may_open(client: Client, heist: Heist) -> None:
    sign_in(client, "view_heist")
    targets = ("heisttoken", "outboxemail", "reversal")

    alone = client.get(address("heists_dashboard", heist)).content.decode()
    clerk = client.get(address("heists_dashboard", heist)).context["user"]
    clerk.user_permissions.add(*Permission.objects.filter(codename__in=[f"view_{name}" for name in targets]))
    more = client.get(address("heists_dashboard", heist)).content.decode()

    for name in targets:
        link = f'href="{reverse(f"admin:heists_{name}_changelist")}'
        assert (link in alone, link in more) == (False, True), name


@pytest.mark.parametrize("codename", ["view_heisttoken", "grant_tokens"])
def test_a_link_to_the_page_of_grants_needs_both_permissions(client: Client, heist: Heist, codename: str) -> None:
    sign_in(client, "view_heist", codename)
    page = reverse("admin:heists_heist_change", args=[heist.pk])
    link = reverse("admin:heists_heisttoken_grant")

    assert link not in client.get(page).content.decode()
    clerk = client.get(page).context["user"]
    clerk.user_permissions.add(*Permission.objects.filter(codename__in=["view_heisttoken", "grant_tokens"]))

    assert link in client.get(page).content.decode()


def test_the_page_of_a_token_row_links_to_heists_only_for_those_who_may_view_them(client: Client, heist: Heist) -> None:
    sign_in(client, "view_heisttoken")
    row = tokens_of(heist.attacker)
    page = client.get(reverse("admin:heists_heisttoken_change", args=[row.pk])).content.decode()

    assert "?player=" not in page


def test_a_page_links_to_a_reversal_only_where_there_is_something_to_return(client: Client, heist: Heist) -> None:
    sign_in(client, "view_heist", "reverse_heist")
    rejected = execute_heist(attacker_id=heist.attacker_id, victim_id=heist.victim_id)

    def has_link(row: Heist) -> bool:
        page = client.get(reverse("admin:heists_heist_change", args=[row.pk])).content.decode()
        return f'href="{reverse("admin:heists_heist_reverse", args=[row.pk])}"' in page

    assert (has_link(heist), has_link(rejected)) == (True, False)
    client.post(address("heists_heist_reverse", heist), FORMS["heists_heist_reverse"])
    assert not has_link(heist)


def test_the_links_of_a_users_page_are_those_that_the_reader_may_open(client: Client, heist: Heist) -> None:
    sign_in(client, "view_heist", "view_shield")
    clerk = client.get(reverse("admin:heists_heist_changelist")).context["user"]
    clerk.user_permissions.add(Permission.objects.get(codename="view_user"))
    page = client.get(reverse("admin:auth_user_change", args=[heist.attacker_id])).content.decode()

    shown = [name for name in ("heist", "heisttoken", "tokengrant", "shield", "truce") if f"/heists/{name}/?" in page]
    assert shown == ["heist", "shield"]

    clerk.user_permissions.set(Permission.objects.filter(codename="view_user"))
    context = client.get(reverse("admin:auth_user_change", args=[heist.attacker_id])).context
    assert "Heists" not in [str(fieldset.name) for fieldset in context["adminform"]]
