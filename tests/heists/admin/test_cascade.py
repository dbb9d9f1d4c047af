"""Deleting users in the admin: heists' rows are counted, however many there are."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connection, models
from django.db.models.signals import pre_delete
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from gamification.models import PlayerProfile, PointEvent
from heists.admin import cascade
from heists.choices import HeistNotificationType
from heists.models import AttemptLog, Heist, HeistNotification
from heists.services import execute_heist
from tests.factories import player, tokens_of

pytestmark = pytest.mark.django_db


def many_rows(user: Any, number: int) -> None:
    """Give a player this number of rejections, and of notifications."""
    one = execute_heist(attacker_id=user.pk, victim_id=user.pk)
    values = {field.attname: getattr(one, field.attname) for field in Heist._meta.concrete_fields if field.name != "id"}
    Heist.objects.bulk_create([Heist(**values) for _number in range(number - 1)])
    HeistNotification.objects.bulk_create(
        [
            HeistNotification(user=user, type=HeistNotificationType.SHIELD_EXPIRED, message="expired")
            for _number in range(number)
        ]
    )


def delete(client: Client, user: Any, action: bool) -> None:
    """Delete the user on their page, or by the action of the list."""
    if action:
        data = {"action": "delete_selected", "_selected_action": [user.pk], "post": "yes"}
        client.post(reverse("admin:auth_user_changelist"), data)
    else:
        client.post(reverse("admin:auth_user_delete", args=[user.pk]), {"post": "yes"})


def test_the_page_is_as_long_for_many_rows_as_for_few(client: Client, boss: Any) -> None:
    few, many = player("few", tokens=1), player("many", tokens=1)
    many_rows(few, 2)
    many_rows(many, 3000)
    pages = []
    for user in (few, many):
        with CaptureQueriesContext(connection) as queries:
            page = client.get(reverse("admin:auth_user_delete", args=[user.pk])).content.decode()
        pages.append((len(queries), page))

    (few_queries, few_page), (many_queries, many_page) = pages
    assert many_queries == few_queries <= 40
    assert abs(len(many_page) - len(few_page)) < 200
    assert "Heists: 3,000" in many_page and "Heists: 2" in few_page
    # The grant wrote one more.
    assert "Notifications: 3,001" in many_page


def test_the_rows_are_deleted(client: Client, boss: Any) -> None:
    user, other = player("alice", tokens=1), player("bob", points=1000)
    heist = execute_heist(attacker_id=user.pk, victim_id=other.pk)
    execute_heist(attacker_id=other.pk, victim_id=other.pk)

    client.post(reverse("admin:auth_user_delete", args=[user.pk]), {"post": "yes"})

    assert not Heist.objects.filter(pk=heist.pk).exists()
    assert Heist.objects.count() == 1


def test_a_heist_against_oneself_is_counted_once(client: Client, boss: Any) -> None:
    user = player("alice")
    execute_heist(attacker_id=user.pk, victim_id=user.pk)

    page = client.get(reverse("admin:auth_user_delete", args=[user.pk])).content.decode()

    assert "Heists: 1" in page


def test_each_model_still_needs_its_delete_permission(client: Client) -> None:
    clerk, user = player("clerk", is_staff=True), player("alice", tokens=1)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "delete_user"]))
    client.force_login(clerk)
    address = reverse("admin:auth_user_delete", args=[user.pk])

    assert "token grant" in client.get(address).content.decode()
    assert client.post(address, {"post": "yes"}).status_code == 403

    clerk.user_permissions.set(Permission.objects.filter(codename__startswith="delete_"))
    assert client.post(address, {"post": "yes"}).status_code == 302
    assert not type(user).objects.filter(pk=user.pk).exists()


@pytest.mark.parametrize("action", [False, True])
def test_the_statements_of_a_deletion_do_not_grow_with_the_rows(client: Client, boss: Any, action: bool) -> None:
    counts = []
    for rows in (2, 1500):
        user = player(tokens=1)
        many_rows(user, rows)
        with CaptureQueriesContext(connection) as queries:
            delete(client, user, action)
        assert not type(user).objects.filter(pk=user.pk).exists()
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 65


@pytest.mark.parametrize("action", [False, True])
def test_what_deleted_heists_leave_is_kept(client: Client, boss: Any, action: bool) -> None:
    user = player("alice", tokens=1, points=1000)
    victim, attacker = player("bob", points=1000), player("carol", tokens=1)
    loss = execute_heist(attacker_id=user.pk, victim_id=victim.pk)
    gain = execute_heist(attacker_id=attacker.pk, victim_id=user.pk)
    assert loss.status == gain.status == "SUCCESS"

    delete(client, user, action)

    assert LogEntry.objects.get(action_flag=DELETION).object_id == str(user.pk)
    assert not Heist.objects.exists()
    assert [(kept.heist_id, kept.points) for kept in tokens_of(victim).deleted_losses] == [(loss.pk, 50)]
    assert (tokens_of(attacker).total_spent, tokens_of(attacker).spent_on_deleted) == (1, 1)
    assert set(AttemptLog.objects.values_list("heist_id", flat=True)) == {loss.pk, gain.pk}
    left: Any = HeistNotification.objects.values_list("user", "heist").distinct().order_by("user")
    assert list(left) == [(victim.pk, None), (attacker.pk, None)]
    call_command("audit_heists")


def test_an_account_that_the_host_keeps_keeps_its_heists(
    client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = player("alice", tokens=1)
    execute_heist(attacker_id=user.pk, victim_id=user.pk)
    monkeypatch.setattr(type(user), "delete", lambda self: None)

    delete(client, user, False)

    assert Heist.objects.filter(attacker=user).exists()


def test_a_receiver_of_the_host_gets_each_row(client: Client, boss: Any) -> None:
    user, seen = player("alice", tokens=1), []
    heist = execute_heist(attacker_id=user.pk, victim_id=user.pk)

    def receive(instance: Heist, **kwargs: Any) -> None:
        seen.append(instance.pk)

    pre_delete.connect(receive, sender=Heist)
    try:
        delete(client, user, False)
    finally:
        pre_delete.disconnect(receive, sender=Heist)

    assert seen == [heist.pk]


def test_the_models_of_other_apps_still_need_their_delete_permission(client: Client) -> None:
    clerk, user = player("clerk", is_staff=True), player("alice", tokens=1)
    deleting = Permission.objects.filter(codename__startswith="delete_")
    clerk.user_permissions.set(deleting.exclude(codename="delete_playerprofile"))
    client.force_login(clerk)
    address = reverse("admin:auth_user_delete", args=[user.pk])

    assert client.get(address).context["perms_lacking"] == {PlayerProfile._meta.verbose_name}
    assert client.post(address, {"post": "yes"}).status_code == 403


def test_a_row_that_forbids_the_deletion_is_named(client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    user = player("alice", points=10)
    monkeypatch.setattr(PointEvent._meta.get_field("user").remote_field, "on_delete", models.PROTECT)
    address = reverse("admin:auth_user_delete", args=[user.pk])

    assert len(client.get(address).context["protected"]) == 1
    client.post(address, {"post": "yes"})

    assert type(user).objects.filter(pk=user.pk).exists()


def test_names_are_escaped(client: Client, boss: Any) -> None:
    user = player("<i>alice</i>")

    page = client.get(reverse("admin:auth_user_delete", args=[user.pk])).content.decode()

    assert "&lt;i&gt;alice" in page and "<i>alice" not in page


def test_where_another_app_refers_to_the_rows_each_is_listed(
    client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = player("alice")
    many_rows(user, 2)
    monkeypatch.setattr(cascade, "others_refer_to_rows", lambda: True)

    page = client.get(reverse("admin:auth_user_delete", args=[user.pk])).content.decode()

    for heist in Heist.objects.all():
        assert f'href="{reverse("admin:heists_heist_change", args=[heist.pk])}"' in page


def test_models_that_a_site_does_not_show_are_counted_and_need_no_permission() -> None:
    user, request = player("alice", tokens=1), RequestFactory().get("/")
    request.user = player("clerk", is_staff=True)

    found = cascade.deleted_objects([user], request, AdminSite())

    assert found is not None
    to_delete, counts, perms_needed, protected = found
    assert to_delete[0] == "User: alice" and "Token grants: 1" in to_delete
    assert (counts["users"], counts["token grants"], perms_needed, protected) == (1, 1, set(), [])


def test_each_of_several_users_is_counted(boss: Any) -> None:
    users, request = [player(tokens=1), player(tokens=1)], RequestFactory().get("/")
    request.user = boss

    found = cascade.deleted_objects(users, request, AdminSite())

    assert found is not None and (found[1]["users"], found[1]["token grants"]) == (2, 2)
