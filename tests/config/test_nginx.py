"""The buffering proxy of `config/nginx.conf` in front of gunicorn: requests that are sent in part hold no thread."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.servers import SITE, find, free_port, nginx, serving

THREADS = 2
# More than gunicorn has threads.
HALF_SENT = 6 * THREADS
HALVES = {
    "headers": b"GET /api/heists/token/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "body": b"POST /api/auth/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Content-Length: 1000\r\n\r\n{"username": ',
}


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    """Return the port of gunicorn, with few threads."""
    port = free_port()
    with serving(port, *SITE, PORT=str(port), WEB_CONCURRENCY="1", WEB_THREADS=str(THREADS)):
        yield port


@pytest.fixture(scope="module")
def proxy(site: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Return the port of nginx before it; skip where nginx is not installed."""
    if find("nginx") is None:
        pytest.skip("the test of the buffering proxy needs nginx")
    port = free_port()
    with nginx(tmp_path_factory.mktemp("nginx"), port, [site]):
        yield port


@contextmanager
def half_sent(port: int, half: bytes) -> Iterator[None]:
    with ExitStack() as sockets:
        for _ in range(HALF_SENT):
            sockets.enter_context(socket.create_connection(("127.0.0.1", port))).sendall(half)
        time.sleep(0.5)
        yield


def get(port: int, timeout: float, **headers: str) -> int:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        client.request("GET", "/api/heists/token/", headers={"Host": "localhost"} | headers)
        return client.getresponse().status
    finally:
        client.close()


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_requests_sent_in_part_hold_no_thread_behind_nginx(proxy: int, half: bytes) -> None:
    with half_sent(proxy, half):
        assert [get(proxy, timeout=20) for _ in range(5)] == [401] * 5


def test_without_the_proxy_they_hold_every_thread(site: int, proxy: int) -> None:
    with half_sent(site, HALVES["body"]), pytest.raises(TimeoutError):
        get(site, timeout=2)
    assert get(site, timeout=20) == 401


def test_a_chunked_body_has_a_length_behind_nginx(proxy: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", proxy, timeout=20)
    headers = {"Host": "localhost", "Content-Type": "application/json"}
    client.request("POST", "/api/auth/login/", iter([b'{"username": ', b'"nobody"}']), headers, encode_chunked=True)
    answer = client.getresponse()

    # The password is missing: the body was read.
    assert (answer.status, b"password" in answer.read()) == (400, True)
    client.close()
