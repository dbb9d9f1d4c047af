"""What all views share: who may play, row ids in paths, idempotency keys."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DataError, IntegrityError
from django.db.models import Manager
from rest_framework.authentication import SessionAuthentication
from rest_framework.test import APIClient

from heists.api import notifications
from heists.models import Heist, HeistNotification, Shield
from tests.factories import player
from tests.heists.api.answers import URL, problem

pytestmark = pytest.mark.django_db
READ_ALL = f"{URL}notifications/read-all/"
LAST_ID = 2**63 - 1


class NoReplica:
    """A router whose replica does not answer: what reads from it fails."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "no such database"


class HidesEverybody(Manager[Any]):
    """A host's default manager may leave out some users."""

    def get_queryset(self) -> Any:
        return super().get_queryset().none()


def stateless(pk: Any, **claims: Any) -> APIClient:
    client = APIClient()
    client.force_authenticate(SimpleNamespace(pk=pk, is_authenticated=True, **claims))  # type: ignore[arg-type]
    return client


def test_an_outdated_claim_is_compared_with_the_written_database(settings: Any) -> None:
    me, gone = player(tokens=1), player(is_active=False)
    settings.DATABASE_ROUTERS = [NoReplica()]

    assert stateless(str(me.pk), is_active=False).post(READ_ALL).json() == {"marked": 1, "unread_count": 0}
    problem(stateless(str(gone.pk), is_active=False).post(READ_ALL), 403, "inactive_account")


def test_an_account_is_found_that_the_default_manager_hides(monkeypatch: pytest.MonkeyPatch) -> None:
    me = player(tokens=1)
    hides = HidesEverybody()
    hides.model = get_user_model()
    monkeypatch.setattr(get_user_model()._meta, "default_manager", hides)
    assert not get_user_model()._default_manager.exists()

    assert stateless(me.pk, is_active=False).post(READ_ALL).status_code == 200


@pytest.mark.parametrize(("exists", "status", "code"), [(True, 409, "conflict"), (False, 401, "authentication_failed")])
def test_a_missing_row_is_a_401_where_the_account_is_gone(
    monkeypatch: pytest.MonkeyPatch, exists: bool, status: int, code: str
) -> None:
    me = player()
    client = stateless(me.pk)

    def violate(**kwargs: Any) -> None:
        raise IntegrityError("a foreign key")

    monkeypatch.setattr(notifications, "mark_all_read", violate)
    if not exists:
        me.delete()

    problem(client.post(READ_ALL), status, code)


@pytest.mark.parametrize("error", [ValueError("NUL"), DataError("NUL"), UnicodeEncodeError("utf-8", "x", 0, 1, "no")])
def test_credentials_that_nobody_can_read_are_a_401(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(self: Any, request: Any) -> None:
        raise error

    monkeypatch.setattr(SessionAuthentication, "authenticate", fail)

    with caplog.at_level(logging.WARNING, "heists"):
        answer = APIClient().get(URL)

    problem(answer, 401, "authentication_failed")
    assert answer["WWW-Authenticate"]
    assert [record.message for record in caplog.records if record.name == "heists"] == [
        f"unreadable credentials: {error}"
    ]


def test_a_defect_of_the_authentication_is_not_taken_for_wrong_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SessionAuthentication, "authenticate", lambda self, request: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        APIClient().get(URL)


@pytest.mark.parametrize("pk", [2**31, LAST_ID])
def test_a_path_takes_every_id_that_a_row_can_have(signed_in: Any, pk: int) -> None:
    me = player()
    HeistNotification.objects.create(pk=pk, user=me, type="TOKEN_EARNED", message="A message.")

    assert signed_in(me).post(f"{URL}notifications/{pk}/read/").json()["id"] == pk


@pytest.mark.parametrize("key", [" ", "~", "a b", '"quoted"', "x" * 255])
def test_a_key_has_1_to_255_printable_ascii_characters(signed_in: Any, key: str) -> None:
    client, victim = signed_in(player(tokens=1, coins=50)), player(points=1000)
    headers = {"idempotency-key": key}

    assert client.post(URL, {"victim": victim.pk}, headers=headers).status_code == 201
    assert client.post(f"{URL}shields/", headers=headers).status_code == 201
    assert (Heist.objects.get().idempotency_key, Shield.objects.get().idempotency_key) == (key, key)


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "a\tb", "\x7f", "a\n"])
def test_a_malformed_key_buys_nothing(signed_in: Any, key: str) -> None:
    client = signed_in(player(coins=50))

    problem(client.post(f"{URL}shields/", headers={"idempotency-key": key}), 400, "invalid_idempotency_key")
    assert not Shield.objects.exists()
