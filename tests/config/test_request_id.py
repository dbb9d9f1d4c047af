"""Every log line of a request carries its id, and so does the answer."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from log_request_id.filters import RequestIDFilter
from rest_framework.test import APIClient

from tests.factories import player

logger = logging.getLogger("gamification.test")


@pytest.fixture(autouse=True)
def filtered(caplog: pytest.LogCaptureFixture) -> None:
    """See the records as the site's console handler sees them."""
    caplog.handler.addFilter(RequestIDFilter())
    caplog.set_level(logging.INFO, "heists")


def rob(api: APIClient, **headers: str) -> Any:
    api.force_authenticate(player(tokens=1))
    return api.post("/api/heists/", {"victim": player(points=1000).pk}, headers=headers)


def ids(caplog: pytest.LogCaptureFixture, name: str = "heists") -> list[str]:
    return [record.request_id for record in caplog.records if record.name == name]  # type: ignore[attr-defined]


@pytest.mark.django_db(transaction=True)
def test_the_log_line_of_a_heist_and_the_answer_carry_the_clients_id(api: APIClient, caplog: Any) -> None:
    response = rob(api, **{"X-Request-ID": "load-balancer.42"})
    logger.warning("after the request")

    assert response["X-Request-ID"] == "load-balancer.42"
    assert ids(caplog) == ["load-balancer.42"]
    assert ids(caplog, "gamification.test") == ["-"]


FORGED = [
    "",
    "short",
    "a" * 65,
    "two words here",
    "line\nbreak-forged",
    "\xfcnicode-here",
    "%0d%0aheist=1",
    "12345678\n",
]


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.django_db(transaction=True)
def test_an_id_that_could_forge_a_line_is_replaced(forged: str, api: APIClient, caplog: Any) -> None:
    response = rob(api, **{"X-Request-ID": forged})

    assert response["X-Request-ID"] != forged
    assert len(response["X-Request-ID"]) == 32
    assert ids(caplog) == [response["X-Request-ID"]]


def test_an_error_outside_of_any_view_carries_the_id(api: APIClient, caplog: Any) -> None:
    response = api.get("/api/nowhere/", headers={"X-Request-ID": "client-0001"})

    assert response["X-Request-ID"] == "client-0001"
    assert ids(caplog, "django.request") == ["client-0001"]


def test_the_console_prints_the_id() -> None:
    logging_settings: Any = settings.LOGGING
    handler = logging_settings["handlers"]["console"]
    loggers = [logging_settings["root"], *logging_settings["loggers"].values()]

    assert handler["filters"] == ["request_id"]
    assert "[{request_id}]" in logging_settings["formatters"][handler["formatter"]]["format"]
    assert all(logger.get("handlers", ["console"]) == ["console"] for logger in loggers)


async def slow(request: HttpRequest, name: str) -> HttpResponse:
    for _ in range(3):
        await asyncio.sleep(0.02)
        logger.warning(request.path)
    return HttpResponse()


urlpatterns = [path("slow/<str:name>/", slow)]


@override_settings(ROOT_URLCONF=__name__)
def test_requests_at_once_keep_their_ids_under_asgi(caplog: Any) -> None:
    async def get(name: str) -> dict[bytes, bytes]:
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/slow/{name}/",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"x-request-id", name.encode())],
        }
        communicator = ApplicationCommunicator(application, scope)
        await communicator.send_input({"type": "http.request"})
        start = await communicator.receive_output(10)
        await communicator.receive_output(10)
        await communicator.wait(10)
        return {key.lower(): value for key, value in start["headers"]}

    async def get_all() -> list[dict[bytes, bytes]]:
        return await asyncio.gather(*map(get, names))

    application = ASGIHandler()
    names = [f"request-{number}" for number in range(8)]

    # In a thread of its own: browser tests leave an event loop running in this one.
    with ThreadPoolExecutor(1) as threads:
        answers = threads.submit(asyncio.run, get_all()).result()

    records = [record for record in caplog.records if record.name == logger.name]
    assert [answer[b"x-request-id"].decode() for answer in answers] == names
    assert len(records) == 24
    # The requests really ran at once: the first one was not over before the last one began.
    assert len({record.getMessage() for record in records[:8]}) > 1
    assert all(record.getMessage() == f"/slow/{record.request_id}/" for record in records)
