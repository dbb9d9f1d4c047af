"""Links between pages, on the default admin site and on others."""

from __future__ import annotations

import ast
import html
import re
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.test import Client
from django.urls import include, path, reverse

from heists.admin import (
    EmailPreferenceAdmin,
    HeistAdmin,
    HeistNotificationAdmin,
    HeistTokenAdmin,
    OutboxEmailAdmin,
    RuleChangeAdmin,
    RuleSetAdmin,
    ShieldAdmin,
    TokenGrantAdmin,
    TruceAdmin,
)
from heists.choices import HeistNotificationType
from heists.models import (
    EmailPreference,
    Heist,
    HeistNotification,
    HeistToken,
    OutboxEmail,
    RuleChange,
    RuleSet,
    Shield,
    TokenGrant,
    Truce,
)
from heists.services import buy_shield, execute_heist, set_email_preference, set_truce, switch_heists
from tests import ROOT
from tests.factories import player

pytestmark = pytest.mark.django_db

ADMINS = {
    EmailPreference: EmailPreferenceAdmin,
    Heist: HeistAdmin,
    HeistNotification: HeistNotificationAdmin,
    HeistToken: HeistTokenAdmin,
    OutboxEmail: OutboxEmailAdmin,
    RuleChange: RuleChangeAdmin,
    RuleSet: RuleSetAdmin,
    Shield: ShieldAdmin,
    TokenGrant: TokenGrantAdmin,
    Truce: TruceAdmin,
}


def site_of(name: str, *models: Any) -> AdminSite:
    """Return an admin site that has these models only."""
    site = AdminSite(name=name)
    for model in models:
        site.register(model, ADMINS[model])
    return site


def without(model: Any) -> list[Any]:
    return [other for other in ADMINS if other is not model]


backoffice = site_of("backoffice", Heist)
urlpatterns = [
    path("backoffice/", backoffice.urls),
    *(path(f"only-{model.__name__}/", site_of(f"only-{model.__name__}", model).urls) for model in ADMINS),
    *(
        path(f"without-{model.__name__}/", site_of(f"without-{model.__name__}", *without(model)).urls)
        for model in ADMINS
    ),
    path("", include("config.urls")),
]


def test_a_users_page_links_to_the_users_rows(client: Client, boss: Any) -> None:
    alice = player("alice", tokens=1)

    page = client.get(reverse("admin:auth_user_change", args=[alice.pk])).content.decode()

    for name in ("heist", "heisttoken", "tokengrant", "shield", "truce", "heistnotification", "outboxemail"):
        address = f"{reverse(f'admin:heists_{name}_changelist')}?player={alice.pk}"
        assert address in page
        assert client.get(address).status_code == 200
    assert client.get(reverse("admin:auth_user_add")).status_code == 200


def test_a_users_page_can_still_be_saved(client: Client, boss: Any) -> None:
    alice = player("alice")
    form = {"username": "alicia", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}

    client.post(reverse("admin:auth_user_change", args=[alice.pk]), form)

    alice.refresh_from_db()
    assert alice.username == "alicia"


@pytest.mark.urls(__name__)
def test_on_another_admin_site_links_stay_on_it(client: Client, boss: Any) -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    paths = ["", "dashboard/", f"{heist.pk}/change/"]
    pages = [client.get(f"/backoffice/heists/heist/{path}") for path in paths]

    assert [page.status_code for page in pages] == [200, 200, 200]
    for page in pages:
        assert 'href="/admin/' not in page.content.decode()
    assert client.get("/backoffice/heists/").status_code == 200


def test_the_lists_link_to_the_dashboard(client: Client, auditor: Any) -> None:
    for page in (reverse("admin:app_list", args=["heists"]), reverse("admin:heists_heist_changelist")):
        assert reverse("admin:heists_dashboard") in client.get(page).content.decode()


def one_of_each() -> None:
    """Fill every table of heists."""
    alice, bob = player("alice", tokens=1, email="alice@example.org"), player("bob", points=1000, coins=500)
    buy_shield(player_id=bob.pk)
    execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")
    set_truce(player_id=bob.pk, wanted=True)
    set_email_preference(player_id=bob.pk, mute=[HeistNotificationType.HEIST_VICTIM])
    switch_heists(enabled=False, changed_by=None, reason="a bug")


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("kind", "model"),
    [*(("only", model) for model in ADMINS), *(("without", model) for model in (Heist, HeistToken, OutboxEmail))],
)
def test_a_site_may_register_some_of_the_classes(client: Client, boss: Any, kind: str, model: Any) -> None:
    one_of_each()
    site = f"/{kind}-{model.__name__}"
    shown = [model] if kind == "only" else without(model)

    pages = [f"{site}/", f"{site}/heists/"]
    for other in shown:
        table = f"{site}/heists/{other._meta.model_name}/"
        pages += [table, f"{table}?q=alice", f"{table}{other.objects.order_by('pk').first().pk}/change/"]
        if other is Heist:
            pages += [f"{table}dashboard/?days=7", f"{table}export/"]
    links: set[str] = set()
    for address in pages:
        page = client.get(address)
        assert page.status_code == 200, address
        if not page.streaming:
            links |= set(re.findall(r'href="(/[^"#]*)', html.unescape(page.content.decode())))

    # Links stay on this site, and lead to pages that it has.
    assert [link for link in links if not link.startswith((f"{site}/", "/static/")) and link != "/"] == []
    queries = {link.partition("?")[0]: link for link in links if link.startswith(f"{site}/heists/")}
    for link in set(queries.values()) - set(pages):
        # A page that has nothing to do says so on the page before it.
        assert client.get(link, follow=True).status_code == 200, link


def test_the_front_page_links_to_the_dashboard(client: Client, auditor: Any) -> None:
    assert client.get(reverse("admin:index")).content.decode().count(reverse("admin:heists_dashboard")) == 1


def test_nothing_outside_the_admin_imports_it() -> None:
    """A site without `django.contrib.admin` can't import it."""
    importing = [
        str(file)
        for file in (ROOT / "heists").rglob("*.py")
        if (ROOT / "heists" / "admin") not in file.parents
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and re.search(r"\b(heists|contrib)\.admin\b|^\.*admin\b", ast.unparse(node).split()[1])
    ]

    assert importing == []
