"""Answers that clients poll: `ETag` and 304, whatever the client sends and the host's middleware does."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.test import APIClient

from heists.api.base import PlayerView
from heists.models import HeistNotification
from heists.services import execute_heist
from tests.factories import player
from tests.heists.api.answers import URL, problem

pytestmark = pytest.mark.django_db
POLLED = ["token/", "notifications/", "me/"]
OTHERS = ["", "stats/", "leaderboard/", "targets/", "shields/", "preferences/", "truce/"]
MIDDLEWARE = "django.middleware."


@pytest.fixture
def client(signed_in: Any) -> APIClient:
    me = player("me", points=1000, tokens=2)
    execute_heist(attacker_id=player("thief", tokens=1).pk, victim_id=me.pk)
    found: APIClient = signed_in(me)
    return found


def get(client: APIClient, path: str, **headers: str) -> Any:
    return client.get(URL + path, headers=headers)


@pytest.mark.parametrize("path", POLLED)
def test_an_answer_that_the_client_has_is_a_304(client: APIClient, path: str) -> None:
    first = get(client, path)

    again = get(client, path, if_none_match=first["ETag"])

    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert first["ETag"].startswith('"')
    for name in ("ETag", "Cache-Control", "Vary"):
        assert again[name] == first[name]
    assert first["Cache-Control"] == "private, no-cache"
    assert {"authorization", "cookie", "accept-language"} <= {name.strip().lower() for name in first["Vary"].split(",")}
    assert "Content-Type" not in again.headers


@pytest.mark.parametrize("path", POLLED)
@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("{etag}", 304),
        ("W/{etag}", 304),
        ('"other", {etag}', 304),
        ('W/"other",W/{etag}', 304),
        ("*", 304),
        ('"other"', 200),
        ('W/"other", "and another"', 200),
        ("{etag} without a comma", 200),
        ("", 200),
        ("no quotes", 200),
        ('"' * 9, 200),
        ("\u0080", 200),
        ('"x",' * 2000, 200),
    ],
)
def test_if_none_match_has_a_list_of_weak_or_strong_tags(
    client: APIClient, path: str, header: str, status: int
) -> None:
    etag = get(client, path)["ETag"]

    answer = get(client, path, if_none_match=header.replace("{etag}", etag))

    assert (answer.status_code, answer["ETag"]) == (status, etag)
    assert bool(answer.content) == (status == 200)


@pytest.mark.parametrize("path", POLLED)
@pytest.mark.parametrize(
    "headers",
    [
        {"if_match": '"other"'},
        {"if_match": "*"},
        {"if_unmodified_since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"if_modified_since": "Fri, 01 Jan 2100 00:00:00 GMT"},
        {"if_none_match": '"other"', "if_match": '"other"'},
        {"if_none_match": '"other"', "if_modified_since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    ],
    ids=str,
)
def test_other_conditions_are_ignored(client: APIClient, path: str, headers: dict[str, str]) -> None:
    answer = get(client, path, **headers)

    assert (answer.status_code, answer.json()) == (200, get(client, path).json())


@pytest.mark.parametrize("path", POLLED)
def test_head_has_the_etag_of_get(client: APIClient, path: str) -> None:
    etag = get(client, path)["ETag"]

    head = client.head(URL + path)
    again = client.head(URL + path, headers={"if-none-match": etag})

    assert (head.status_code, head["ETag"], head.content) == (200, etag, b"")
    assert (again.status_code, again["ETag"]) == (304, etag)


def test_the_etag_changes_with_the_answer(client: APIClient) -> None:
    first = {path: get(client, path)["ETag"] for path in POLLED}
    assert {path: get(client, path)["ETag"] for path in POLLED} == first

    HeistNotification.objects.filter(type="HEIST_VICTIM").update(read=True)
    assert get(client, "notifications/", if_none_match=first["notifications/"]).status_code == 200
    assert get(client, "token/", if_none_match=first["token/"]).status_code == 304

    me = HeistNotification.objects.get(type="HEIST_VICTIM").user_id
    execute_heist(attacker_id=me, victim_id=player(points=99).pk)
    assert get(client, "token/", if_none_match=first["token/"]).status_code == 200


def test_the_etag_is_that_of_this_page_and_language(client: APIClient) -> None:
    english = get(client, "notifications/")

    german = get(client, "notifications/", if_none_match=english["ETag"], accept_language="de")
    filtered = client.get(f"{URL}notifications/", {"read": "true"}, headers={"if-none-match": english["ETag"]})

    assert german.status_code == filtered.status_code == 200
    assert len({english["ETag"], german["ETag"], filtered["ETag"]}) == 3


def test_errors_have_no_etag_and_are_not_stored(client: APIClient, signed_in: Any, heist_settings: Any) -> None:
    headers = {"if-none-match": "*"}
    for answer, status, code in (
        (client.get(f"{URL}notifications/", {"read": "x"}, headers=headers), 400, "validation_error"),
        (APIClient().get(f"{URL}token/", headers=headers), 401, "not_authenticated"),
        (signed_in(player(is_active=False)).get(f"{URL}token/", headers=headers), 403, "inactive_account"),
        (client.get(f"{URL}notifications/", {"cursor": "x"}, headers=headers), 404, "invalid_cursor"),
        (client.get(f"{URL}token/", headers=headers | {"accept": "image/png"}), 406, "not_acceptable"),
        (client.delete(f"{URL}token/", headers=headers), 405, "method_not_allowed"),
    ):
        problem(answer, status, code)
        assert "ETag" not in answer.headers
        assert answer["Cache-Control"] == "private, no-store"
    heist_settings(READ_RATE_LIMIT_PER_MINUTE=1)
    # Two requests may be in two minutes.
    throttled = [get(client, "token/", if_none_match="*") for _ in range(4)][-1]
    problem(throttled, 429, "throttled")
    assert "ETag" not in throttled.headers


@pytest.mark.parametrize("path", OTHERS)
def test_other_answers_have_no_etag(client: APIClient, path: str) -> None:
    answer = get(client, path, if_none_match="*")

    assert (answer.status_code, answer["Cache-Control"]) == (200, "private, no-store")
    assert "ETag" not in answer.headers


def test_an_answer_to_options_is_not_stored(client: APIClient) -> None:
    answer = client.options(f"{URL}token/", headers={"if-none-match": "*"})

    assert (answer.status_code, answer["Cache-Control"]) == (200, "private, no-store")
    assert "ETag" not in answer.headers


@pytest.mark.parametrize(
    "middleware", ["gzip.GZipMiddleware", "http.ConditionalGetMiddleware", "cache.UpdateCacheMiddleware"]
)
def test_a_hosts_middleware_may_compress_and_compare_too(client: APIClient, settings: Any, middleware: str) -> None:
    settings.MIDDLEWARE = [MIDDLEWARE + middleware, *settings.MIDDLEWARE]
    first = get(client, "notifications/", accept_encoding="gzip")
    assert first["ETag"].startswith("W/") == (middleware == "gzip.GZipMiddleware")

    again = get(client, "notifications/", accept_encoding="gzip", if_none_match=first["ETag"])
    HeistNotification.objects.update(read=True)
    changed = get(client, "notifications/", accept_encoding="gzip", if_none_match=first["ETag"])

    assert (first.status_code, again.status_code, again.content, changed.status_code) == (200, 304, b"", 200)
    assert again["Cache-Control"] == "private, no-cache"


def test_each_media_type_has_its_own_etag(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlayerView, "renderer_classes", [JSONRenderer, BrowsableAPIRenderer])
    json = get(client, "token/")

    html = get(client, "token/", accept="text/html", if_none_match=json["ETag"])

    assert html.status_code == 200
    assert html["Content-Type"].startswith("text/html")
    assert html["ETag"] != json["ETag"]
    assert "Accept" in html["Vary"].split(", ")
    assert get(client, "token/", if_none_match=json["ETag"]).status_code == 304


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_server_answers_304() -> None:
    client = AsyncClient()
    client.force_login(player("me", tokens=1))

    async def poll() -> list[Any]:
        first = await client.get(f"{URL}token/")
        return [first, await client.get(f"{URL}token/", headers={"if-none-match": first["ETag"]})]

    assert [answer.status_code for answer in async_to_sync(poll)()] == [200, 304]
