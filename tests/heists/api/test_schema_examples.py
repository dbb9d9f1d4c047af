"""Every example of the OpenAPI schema is a real answer: the requests are sent, in a small fixed world.

`make docs` runs this with UPDATE_DOCS=1, which writes the answers of today to heists/api/examples.json and
gamification/api/examples.json.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import OperationalError
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from gamification import services as host_services
from gamification.api import schema as host_schema
from gamification.economy import GamificationEconomy
from heists import errors
from heists.api import schema
from heists.choices import FailureCode
from heists.models import Truce
from heists.rules import MAX_POINTS
from tests.factories import PASSWORD, player
from tests.heists.api.answers import URL

BEGINNING = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
# Random in each run: the file keeps its own.
RANDOM = ("token", "referral_code")
UNAVAILABLE = OperationalError("gone")
UNAVAILABLE.__cause__ = psycopg.OperationalError("gone")
# Depends on the rows before it.
HEIST_ID = 4711


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: BEGINNING)
    # The clock of the throttle: 43 seconds are left of its minute.
    monkeypatch.setattr("heists.api.throttling.time", SimpleNamespace(time=lambda: BEGINNING.timestamp() + 17))


def compare(module: Any, kind: str, found: dict[str, Any]) -> None:
    """Assert that these answers are the examples of the module; with UPDATE_DOCS, make them its examples."""
    if os.environ.get("UPDATE_DOCS"):
        recorded = json.loads(module.EXAMPLES_FILE.read_text(encoding="utf-8"))
        recorded[kind] = dict(sorted(found.items()))
        module.EXAMPLES_FILE.write_text(json.dumps(recorded, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    else:
        assert found == module.EXAMPLES[kind], "the schema shows other answers than the site gives: run `make docs`."


def documented() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the operation's id, the status and the value of each example of the schema."""
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                for content in response.get("content", {}).values():
                    for example in content.get("examples", {}).values():
                        yield operation["operationId"], status, example["value"]


@pytest.mark.django_db(transaction=True, reset_sequences=True)
def test_every_success_of_the_schema_is_a_real_answer(signed_in: Any) -> None:
    anna, ben = player("anna", points=500, tokens=1), player("ben", points=1000)
    as_anna, as_ben, as_dora = signed_in(anna), signed_in(ben), signed_in(player("dora", coins=80))
    nobody = APIClient()
    requests: dict[str, Callable[[], Any]] = {
        "heists_me": lambda: as_anna.get(f"{URL}me/"),
        "heists_targets_list": lambda: as_anna.get(f"{URL}targets/?search=ben"),
        "heists_targets_retrieve": lambda: as_anna.get(f"{URL}targets/{ben.pk}/"),
        "heists_create": lambda: as_anna.post(URL, {"victim": ben.pk}),
        "heists_list": lambda: as_anna.get(URL),
        "heists_retrieve": lambda: as_anna.get(f"{URL}1/"),
        "heists_stats": lambda: as_anna.get(f"{URL}stats/"),
        "heists_token": lambda: as_anna.get(f"{URL}token/"),
        "heists_leaderboard": lambda: as_anna.get(f"{URL}leaderboard/"),
        "heists_notifications_list": lambda: as_ben.get(f"{URL}notifications/"),
        "heists_notifications_read": lambda: as_ben.post(
            f"{URL}notifications/{as_ben.get(f'{URL}notifications/').json()['results'][0]['id']}/read/"
        ),
        "heists_notifications_read_all": lambda: as_anna.post(f"{URL}notifications/read-all/"),
        "heists_preferences": lambda: as_ben.get(f"{URL}preferences/"),
        "heists_preferences_change": lambda: as_ben.patch(f"{URL}preferences/", {"HEIST_VICTIM": False}),
        "heists_shields_buy": lambda: as_dora.post(f"{URL}shields/"),
        "heists_shields_list": lambda: as_dora.get(f"{URL}shields/"),
        "heists_truce_wish": lambda: as_ben.put(f"{URL}truce/", {"wanted": True}),
        "heists_truce": lambda: as_ben.get(f"{URL}truce/"),
        "leaderboard": lambda: as_anna.get("/api/leaderboard/?page_size=2"),
        "signup": lambda: nobody.post("/api/signup/", host_schema.REQUESTS["signup"]),
        "login": lambda: nobody.post("/api/auth/login/", host_schema.REQUESTS["login"]),
    }
    found = {}
    for operation, send in requests.items():
        response = send()
        assert response.status_code < 300, (operation, response.content)
        found[operation] = body = response.json()
        for name in RANDOM:
            if isinstance(body.get(name), str):
                body[name] = host_schema.EXAMPLES["answers"].get(operation, body)[name]

    # These answer without a body.
    token = nobody.post("/api/auth/login/", host_schema.REQUESTS["login"]).json()["token"]
    nobody.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    assert nobody.post("/api/auth/password/", host_schema.REQUESTS["change_password"]).status_code == 204
    account = host_schema.REQUESTS["login"] | {"password": host_schema.REQUESTS["change_password"]["new_password"]}
    nobody.credentials()
    token = nobody.post("/api/auth/login/", account).json()["token"]
    nobody.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    assert nobody.post("/api/auth/logout/").status_code == 204

    for module in (schema, host_schema):
        is_host = module is host_schema
        compare(module, "answers", {k: v for k, v in found.items() if k.startswith("heists_") != is_host})


def rejected(code: FailureCode, settings: Any, signed_in: Any) -> Any:
    """Return the answer to an attempt that fails for this reason."""
    me, victim = player(tokens=3, points=100), player(points=1000)
    changed: dict[str, Any] = {}
    before: list[Any] = []
    match code:
        case FailureCode.SELF_TARGET:
            victim = me
        case FailureCode.INACTIVE_TARGET:
            victim = player(points=1000, is_active=False)
        case FailureCode.OWN_TRUCE | FailureCode.TRUCE:
            Truce.objects.create(
                player=me if code == FailureCode.OWN_TRUCE else victim, starts_at=BEGINNING - dt.timedelta(hours=36)
            )
        case FailureCode.INSUFFICIENT_TOKENS:
            me = player()
        case FailureCode.COOLDOWN:
            before = [me]
        case FailureCode.DAILY_LIMIT:
            before, changed = [me], {"COOLDOWN_HOURS": 0, "MAX_HEISTS_PER_DAY": 1}
        case FailureCode.NEWCOMER:
            victim, changed = player(points=1000, date_joined=BEGINNING), {"NEWCOMER_DAYS": 3}
        case FailureCode.PAIR_COOLDOWN:
            before, changed = [me], {"COOLDOWN_HOURS": 0, "PAIR_COOLDOWN_HOURS": 48}
        case FailureCode.PROTECTED:
            before = [player(tokens=1)]
        case FailureCode.INSUFFICIENT_POINTS:
            victim = player(points=15)
        case FailureCode.LOSS_LIMIT:
            before, changed = [player(tokens=1)], {"TARGET_COOLDOWN_HOURS": 0, "MONTHLY_LOSS_PERCENT": 5}
        case FailureCode.BALANCE_FULL:
            me = player(tokens=1, points=MAX_POINTS)
    settings.HEISTS = {**settings.HEISTS, **changed}
    for robber in before:
        assert signed_in(robber).post(URL, {"victim": victim.pk}).status_code == 201
    return signed_in(me).post(URL, {"victim": victim.pk})


@pytest.mark.django_db
def test_every_error_of_the_schema_is_a_real_answer(
    signed_in: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HEISTS = original = {**settings.HEISTS, "RATE_LIMIT_PER_MINUTE": 1000}
    me, other = player(tokens=1), player(points=1000)
    client = signed_in(me)

    def with_settings(**changed: Any) -> None:
        settings.HEISTS = {**original, **changed}

    def session_without_token() -> Any:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(other)
        return browser.post(URL, {"victim": 1}, content_type="application/json")

    def twice(send: Callable[[int], Any]) -> Any:
        send(0)
        return send(1)

    def throttled() -> Any:
        with_settings(READ_RATE_LIMIT_PER_MINUTE=1)
        return twice(lambda number: client.get(f"{URL}token/"))

    def switched_off() -> Any:
        with_settings(ENABLED=False)
        return client.post(URL, {"victim": other.pk})

    def without_truces() -> Any:
        with_settings(TRUCE_ENABLED=False)
        return client.put(f"{URL}truce/", {"wanted": True})

    def failing_with(name: str, error: Exception, send: Callable[[], Any]) -> Any:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise error

        monkeypatch.setattr(name, fail)
        return send()

    def unsearchable() -> Any:
        monkeypatch.setattr(GamificationEconomy, "search_players", lambda *args, **options: None)
        return client.get(f"{URL}targets/?search=ben")

    rich = signed_in(player(coins=200))
    requests: dict[str, Callable[[], Any]] = {
        "validation_error": lambda: client.post(URL, {"victim": "Ben"}),
        "parse_error": lambda: client.generic("POST", URL, "{", content_type="application/json"),
        "unknown_player": lambda: client.post(URL, {"victim": 999_999}),
        "invalid_idempotency_key": lambda: client.post(URL, {"victim": 1}, headers={"idempotency-key": ""}),
        "search_unavailable": unsearchable,
        "not_authenticated": lambda: APIClient().get(URL),
        "authentication_failed": lambda: APIClient().get(URL, headers={"authorization": "Token wrong"}),
        "inactive_account": lambda: signed_in(player(is_active=False)).get(URL),
        "permission_denied": session_without_token,
        "not_found": lambda: client.get(f"{URL}999999/"),
        "invalid_cursor": lambda: client.get(f"{URL}?cursor=x"),
        "not_acceptable": lambda: client.get(URL, headers={"accept": "application/xml"}),
        "insufficient_coins": lambda: client.post(f"{URL}shields/"),
        "shield_already_live": lambda: twice(lambda number: rich.post(f"{URL}shields/")),
        "length_required": lambda: client.post(URL, headers={"transfer-encoding": "chunked"}),
        "payload_too_large": lambda: client.post(URL, {"victim": "x" * 70_000}),
        "unsupported_media_type": lambda: client.generic("POST", URL, "victim=1", content_type="text/plain"),
        "idempotency_key_reused": lambda: twice(
            lambda number: client.post(URL, {"victim": (me, other)[number].pk}, headers={"idempotency-key": "a"})
        ),
        "truce_disabled": without_truces,
        "feature_disabled": switched_off,
        "throttled": throttled,
        "no_coins": lambda: failing_with(
            "heists.api.shields.buy_shield", errors.NoCoins(), lambda: client.post(f"{URL}shields/")
        ),
        "busy": lambda: failing_with(
            "heists.api.heists.execute_heist", errors.Busy(), lambda: client.post(URL, {"victim": other.pk})
        ),
        "database_unavailable": lambda: failing_with(
            "heists.api.heists.leaderboard.totals", UNAVAILABLE, lambda: client.get(f"{URL}stats/")
        ),
    }
    found = {}
    for code in FailureCode.rejections():
        found[code.value] = rejected(code, settings, signed_in).json() | {"heist": HEIST_ID}
        settings.HEISTS = original
    for name, send in requests.items():
        response = send()
        settings.HEISTS = original
        found[name] = body = response.json()
        assert body["code"] == name, body
        assert (body["status"], body["code"]) == (response.status_code, name)

    compare(schema, "problems", found)
    assert found.keys() == {*schema.PROBLEMS, *FailureCode.rejections()}


@pytest.mark.django_db
def test_every_error_of_the_host_is_a_real_answer(
    signed_in: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SIGNUP_RATE_LIMIT_PER_MINUTE = settings.LOGIN_RATE_LIMIT_PER_MINUTE = 1000
    paths = {"signup": "/api/signup/", "login": "/api/auth/login/", "logout": "/api/auth/logout/"}
    paths["change_password"] = "/api/auth/password/"
    services = {"signup": "sign_up", "login": "sign_in", "logout": "sign_out", "change_password": "change_password"}
    account = host_schema.REQUESTS["login"]
    erin = player(account["username"])
    erin.set_password(account["password"])
    erin.save()
    player("frank", is_active=False)
    token = f"Token {host_services.sign_in(**account)}"

    def client(operation: str) -> APIClient:
        answering = APIClient()
        if operation not in ("signup", "login"):
            answering.credentials(HTTP_AUTHORIZATION=token)
        return answering

    def changed(operation: str, **values: str) -> dict[str, str]:
        return host_schema.REQUESTS.get(operation, {}) | values

    def in_a_session_without_token(path: str) -> Any:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(erin)
        return browser.post(path, content_type="application/json")

    def throttled(operation: str, path: str) -> Any:
        # More requests than one were counted before.
        settings.SIGNUP_RATE_LIMIT_PER_MINUTE = settings.LOGIN_RATE_LIMIT_PER_MINUTE = 1
        answered = client(operation).post(path, changed(operation))
        settings.SIGNUP_RATE_LIMIT_PER_MINUTE = settings.LOGIN_RATE_LIMIT_PER_MINUTE = 1000
        return answered

    def failing_with(error: Exception, operation: str, path: str) -> Any:
        def fail(**arguments: Any) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(f"gamification.services.{services[operation]}", fail)
            return client(operation).post(path, changed(operation))

    def ask(operation: str, path: str, code: str) -> Any:
        match code:
            case "validation_error":
                weak = {"login": {"username": ""}, "signup": {"password": "erin"}}
                return client(operation).post(path, changed(operation, **weak.get(operation, {"new_password": "erin"})))
            case "parse_error":
                return client(operation).generic("POST", path, "{", content_type="application/json")
            case "unknown_referral_code":
                return client(operation).post(path, changed(operation, username="gina", referral_code="NOBODYHASIT0"))
            case "not_authenticated":
                return APIClient().post(path, changed(operation))
            case "authentication_failed":
                return APIClient().post(path, changed(operation), headers={"authorization": "Token wrong"})
            case "invalid_credentials":
                return client(operation).post(path, changed(operation, password="not-the-password"))
            case "inactive_account":
                return client(operation).post(path, {"username": "frank", "password": PASSWORD})
            case "permission_denied":
                return in_a_session_without_token(path)
            case "not_acceptable":
                return client(operation).post(path, changed(operation), headers={"accept": "application/xml"})
            case "username_taken":
                return client(operation).post(path, changed(operation))
            case "payload_too_large":
                return client(operation).post(path, {"username": "x" * 70_000})
            case "unsupported_media_type":
                return client(operation).generic("POST", path, "username=erin", content_type="text/plain")
            case "throttled":
                return throttled(operation, path)
            case "busy":
                return failing_with(errors.Busy(), operation, path)
            case _:
                return failing_with(UNAVAILABLE, operation, path)

    found: dict[str, Any] = {}
    for operation, codes in host_schema.CODES.items():
        for code in codes:
            response = ask(operation, paths[operation], code)
            body = response.json()
            assert (body["status"], body["code"]) == (response.status_code, code), (operation, body)
            found.setdefault(operation, {})[code] = body

    compare(host_schema, "problems", found)


def test_the_schema_shows_every_example_where_it_belongs() -> None:
    successes = {}
    problems: dict[str, dict[str, Any]] = {}
    for operation, status, value in documented():
        if status < "300":
            successes[operation] = value
        else:
            problems.setdefault(operation, {})[value["code"]] = value

    assert successes == schema.EXAMPLES["answers"] | host_schema.EXAMPLES["answers"]
    of_host = {operation: problems.pop(operation) for operation in host_schema.CODES}
    assert of_host == host_schema.EXAMPLES["problems"]
    shown = [item for found in problems.values() for item in found.items()]
    assert all(value == schema.EXAMPLES["problems"][code] for code, value in shown)
    assert {code for code, _value in shown} == schema.EXAMPLES["problems"].keys()
