"""A request body without Content-Length is a 411: Django and DRF would treat it as empty, and nothing would change."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.db import connection
from knox.models import get_token_model

from heists.models import EmailPreference, Heist
from tests import ROOT
from tests.factories import player
from tests.heists.api.answers import URL, problem

START_SECONDS = 30


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path"), [("PATCH", "preferences/"), ("PUT", "truce/"), ("POST", "")])
def test_a_chunked_body_is_a_411(signed_in: Any, method: str, path: str) -> None:
    response = signed_in(player(tokens=1)).generic(
        method, URL + path, b"", content_type="application/json", headers={"transfer-encoding": "chunked"}
    )

    problem(response, 411, "length_required")


@pytest.mark.django_db
def test_a_request_that_needs_no_body_may_be_chunked(signed_in: Any) -> None:
    client, chunked = signed_in(player(coins=50)), {"transfer-encoding": "chunked"}

    assert client.post(f"{URL}shields/", headers=chunked).status_code == 201
    assert client.post(f"{URL}notifications/read-all/", headers=chunked).status_code == 200
    assert client.get(URL, headers=chunked).status_code == 200


@pytest.fixture
def gunicorn(transactional_db: None) -> Iterator[int]:
    """Return the port of the site under gunicorn, on the test database."""
    name = str(connection.settings_dict["NAME"])
    url = f"sqlite:///{name}"
    if connection.vendor == "postgresql":
        url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1", "config.wsgi"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"DATABASE_URL": url}, stderr=subprocess.PIPE)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=START_SECONDS)


def _wait_for(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < until, "gunicorn does not start"
            time.sleep(0.1)


@pytest.mark.parametrize("chunked", [True, False])
def test_gunicorn_takes_a_body_with_a_length_and_no_other(gunicorn: int, chunked: bool) -> None:
    me, victim = player(tokens=1), player(points=1000)
    headers = {"Authorization": f"Token {get_token_model().objects.create(user=me)[1]}", "Host": "localhost"}
    headers["Content-Type"] = "application/json"

    def send(method: str, path: str, value: Any) -> int:
        body = json.dumps(value).encode()
        client = http.client.HTTPConnection("127.0.0.1", gunicorn, timeout=START_SECONDS)
        # An iterable body without a length is sent in chunks.
        client.request(method, path, BytesIO(body) if chunked else body, headers, encode_chunked=chunked)
        status = client.getresponse().status
        client.close()
        return status

    statuses = send("PATCH", f"{URL}preferences/", {"email": False}), send("POST", URL, {"victim": victim.pk})

    assert statuses == ((411, 411) if chunked else (200, 201))
    assert EmailPreference.objects.for_player(me.pk).muted is not chunked
    assert Heist.objects.exists() is not chunked


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("length", [True, False])
def test_a_body_of_http_2_needs_a_length_too(length: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP/2 has no Transfer-Encoding, so an ASGI server may pass neither header."""
    # The view runs in a thread of its own, whose connection would stay open.
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    token = get_token_model().objects.create(user=player())[1]
    body = b'{"email": false}'
    headers = {"host": "localhost", "content-type": "application/json", "authorization": f"Token {token}"}
    if length:
        headers["content-length"] = str(len(body))
    scope: dict[str, Any] = {"type": "http", "http_version": "2", "method": "PATCH", "path": f"{URL}preferences/"}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def send() -> int:
        server = ApplicationCommunicator(get_asgi_application(), scope)
        await server.send_input({"type": "http.request", "body": body, "more_body": False})
        start: dict[str, Any] = await server.receive_output(timeout=START_SECONDS)
        await server.receive_output(timeout=START_SECONDS)
        await server.wait(timeout=START_SECONDS)
        return int(start["status"])

    assert async_to_sync(send)() == (200 if length else 411)
