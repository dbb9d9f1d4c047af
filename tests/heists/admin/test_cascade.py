"""Deleting users in the admin: heists' rows are counted, however many there are."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from heists.choices import HeistNotificationType
from heists.models import Heist, HeistNotification
from heists.services import execute_heist
from tests.factories import player

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
    delete = reverse("admin:auth_user_delete", args=[user.pk])

    assert "token grant" in client.get(delete).content.decode()
    assert client.post(delete, {"post": "yes"}).status_code == 403

    clerk.user_permissions.set(Permission.objects.filter(codename__startswith="delete_"))
    assert client.post(delete, {"post": "yes"}).status_code == 302
    assert not type(user).objects.filter(pk=user.pk).exists()
