"""Links between pages, on the default admin site and on others."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path, reverse

from heists.admin import HeistAdmin
from heists.models import Heist
from heists.services import execute_heist
from tests.factories import player

pytestmark = pytest.mark.django_db

backoffice = AdminSite(name="backoffice")
backoffice.register(Heist, HeistAdmin)
urlpatterns = [path("backoffice/", backoffice.urls), path("", include("config.urls"))]


def test_a_users_page_links_to_the_users_rows(client: Client, boss: Any) -> None:
    alice = player("alice", tokens=1)

    page = client.get(reverse("admin:auth_user_change", args=[alice.pk])).content.decode()

    for name in ("heist", "heisttoken", "tokengrant", "shield", "heistnotification", "outboxemail"):
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

    pages: list[HttpResponse] = []
    for page in ("", "dashboard/", f"{heist.pk}/change/"):
        pages.append(client.get(f"/backoffice/heists/heist/{page}"))

    assert [page.status_code for page in pages] == [200, 200, 200]
    for page in pages:
        assert 'href="/admin/' not in page.content.decode()
    assert client.get("/backoffice/heists/").status_code == 200


def test_the_lists_link_to_the_dashboard(client: Client, auditor: Any) -> None:
    for page in (reverse("admin:app_list", args=["heists"]), reverse("admin:heists_heist_changelist")):
        assert reverse("admin:heists_dashboard") in client.get(page).content.decode()
