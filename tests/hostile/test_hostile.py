"""Hostile requests are rejected with a problem, change nothing, and reveal nothing of other players."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.apps import apps
from django.contrib import admin
from django.core import mail
from django.test import Client
from django.urls import reverse
from knox.models import get_token_model

from config.wsgi import application
from heists.choices import GrantReason
from heists.models import Heist, HeistNotification, HeistToken
from heists.services import deliver_due_emails, execute_heist, grant_tokens
from tests.factories import player, points_of, tokens_of

from .inputs import TABLE, Hostile, names

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene(settings: Any) -> SimpleNamespace:
    """Mallory, who is signed in and has tokens; Bob, who has points; a heist of Alice on Carol."""
    settings.HEISTS = settings.HEISTS | {"RATE_LIMIT_PER_MINUTE": 10_000, "READ_RATE_LIMIT_PER_MINUTE": 10_000}
    mallory, bob = player("mallory", points=30, tokens=3), player("bob", points=1000)
    alice, carol = player("alice", tokens=1), player("carol", points=1000)
    heist = execute_heist(attacker_id=alice.pk, victim_id=carol.pk)
    notification = HeistNotification.objects.filter(heist=heist, user=carol).get()
    secret = get_token_model().objects.create(user=mallory)[1]
    return SimpleNamespace(mallory=mallory, bob=bob, carol=carol, heist=heist, notification=notification, secret=secret)


def send(scene: SimpleNamespace, hostile: Hostile) -> Any:
    client = Client(raise_request_exception=False)
    headers = ({"Authorization": f"Token {scene.secret}"} if hostile.signed_in else {}) | hostile.headers
    path = hostile.path.replace("{other_heist}", str(scene.heist.pk)).replace(
        "{other_notification}", str(scene.notification.pk)
    )
    body = hostile.body.replace(b"{victim}", str(scene.bob.pk).encode())
    return client.generic(hostile.method, path, body, content_type=hostile.content_type, headers=headers)


@pytest.mark.parametrize("hostile", TABLE, ids=names(TABLE))
def test_the_request_is_rejected_and_changes_nothing(hostile: Hostile, scene: SimpleNamespace) -> None:
    before = Heist.objects.count()

    answer = send(scene, hostile)

    assert answer.status_code in hostile.answers, (answer.status_code, answer.content[:500])
    if answer.status_code >= 400 and hostile.method != "BREW":
        assert answer["Content-Type"].startswith("application/problem+json"), answer.content[:200]
        assert answer.json()["code"]
    assert b"Traceback" not in answer.content and b"SELECT" not in answer.content
    assert Heist.objects.count() == before
    assert (points_of(scene.bob), points_of(scene.mallory), tokens_of(scene.mallory).balance) == (1000, 30, 3)
    assert HeistNotification.objects.get(pk=scene.notification.pk).read is False


def test_a_content_type_of_10_000_characters_is_a_problem() -> None:
    """Django 6 raises before its first middleware, so the request goes to the WSGI application directly."""
    kind = "application/" + "x" * 10_000
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/api/heists/", "HTTP_HOST": "localhost", "CONTENT_TYPE": kind}
    setup_testing_defaults(environ)
    started: list[Any] = []

    body = b"".join(application(environ, lambda *line: started.append(line)))

    ((status, headers),) = started
    assert status.split()[0] in ("400", "401", "415")
    assert dict(headers)["Content-Type"] == "application/problem+json"
    assert json.loads(body)["code"]


def test_the_table_has_over_200_distinct_rows() -> None:
    assert len(TABLE) > 200
    assert len(set(names(TABLE))) == len(TABLE)


def test_unknown_fields_of_a_body_are_ignored(scene: SimpleNamespace) -> None:
    forged = {
        "victim": scene.bob.pk,
        "attacker": scene.carol.pk,
        "points_stolen": 9999,
        "status": "SUCCESS",
        "ip_address": "6.6.6.6",
        "rules": 999,
        "created_at": "2001-01-01T00:00:00Z",
    }
    headers = {"Authorization": f"Token {scene.secret}", "X-Forwarded-For": "6.6.6.6, 7.7.7.7", "X-Real-IP": "6.6.6.6"}

    answer = Client().post("/api/heists/", forged, content_type="application/json", headers=headers)

    assert answer.status_code in (201, 400)
    for heist in Heist.objects.exclude(pk=scene.heist.pk):
        assert (heist.attacker_id, heist.points_stolen, heist.ip_address) == (scene.mallory.pk, 50, "127.0.0.1")
        assert heist.created_at.year > 2001


def near(pk: int) -> list[int]:
    """The foreign key itself, the keys beside it, and two that no row has."""
    return [pk - 1, pk, pk + 1, pk + 1_000_000, 2**31 - 1]


def test_foreign_and_missing_ids_have_equal_answers(scene: SimpleNamespace) -> None:
    client, headers = Client(), {"Authorization": f"Token {scene.secret}"}

    heists = [client.get(f"/api/heists/{pk}/", headers=headers) for pk in near(scene.heist.pk)]
    notifications = [
        client.post(f"/api/heists/notifications/{pk}/read/", headers=headers)
        for pk in near(scene.notification.pk)
        if not HeistNotification.objects.filter(pk=pk, user=scene.mallory).exists()
    ]

    assert {answer.status_code for answer in heists + notifications} == {404}
    # Equal answers, so that they do not reveal which ids exist.
    assert len({answer.content for answer in heists}) == len({answer.content for answer in notifications}) == 1


def test_a_staff_session_without_csrf_token_changes_nothing(scene: SimpleNamespace) -> None:
    staff = player("staff", points=10, tokens=1, is_staff=True, is_superuser=True)
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)

    api = client.post("/api/heists/", {"victim": scene.bob.pk}, content_type="application/json")
    pages = [
        client.post(f"/admin/heists/{name}/", {"action": "delete_selected", "_selected_action": "1"})
        for name in ("heist", "heisttoken")
    ]

    assert [answer.status_code for answer in (api, *pages)] == [403, 403, 403]
    assert tokens_of(staff).balance == 1 and points_of(scene.bob) == 1000


HOSTILE_NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; DROP TABLE heists_heist; --",
    "{{ 7|add:7 }}{% debug %}",
    "%(victim_name)s %s %d %",
    "=HYPERLINK(1)",
    "Bcc: everybody",
    "\u202eevil\u200b",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_is_escaped_in_the_admin_and_in_emails(name: str, scene: SimpleNamespace) -> None:
    attacker = player(name, tokens=1, points=100, email="attacker@example.com")
    victim = player(name + "2", points=1000, email="victim@example.com")
    grant_tokens(player=victim, amount=1, reason=GrantReason.STAFF, source=name, note=name)
    execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)
    staff = player("staff", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(staff)

    deliver_due_emails()

    assert len(mail.outbox) >= 2
    for email in mail.outbox:
        assert "\n" not in email.subject
        assert email.recipients()[0] in ("attacker@example.com", "victim@example.com")
        for html, kind in getattr(email, "alternatives", []):
            assert kind == "text/html" and "<script>" not in html and "<img src=x" not in html
    for model in apps.get_app_config("heists").get_models():
        if not admin.site.is_registered(model):
            continue
        page = reverse(f"admin:heists_{model._meta.model_name}_changelist")
        for found in (
            client.get(page),
            *(client.get(f"{page}{row.pk}/change/") for row in model._default_manager.all()[:3]),
        ):
            assert found.status_code in (200, 302)
            assert b"<script>alert(1)" not in found.content and b"<img src=x" not in found.content
            assert b"14{" not in found.content
    assert HeistToken.objects.exists()


@pytest.mark.parametrize("name", ["a\r\nBcc: all@example.com", "a\nb", "nul\x00"])
def test_a_name_with_line_breaks_can_not_sign_up(name: str) -> None:
    answer = Client(raise_request_exception=False).post(
        "/api/signup/", {"username": name, "password": "correct horse battery"}, content_type="application/json"
    )

    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/", "/admin/login/", "/api/heists/", "/api/docs/", "/api/schema/"])
def test_every_answer_has_the_security_headers(path: str) -> None:
    answer = Client().get(path)

    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    # Swagger UI opens windows, and shows no private data.
    assert answer["Cross-Origin-Opener-Policy"] == ("unsafe-none" if path == "/api/docs/" else "same-origin")
