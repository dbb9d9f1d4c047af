"""The buffering proxy of `config/nginx.conf` in front of gunicorn: requests that are sent in part hold no thread."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests import ROOT

START_SECONDS = 60
THREADS = 2
# More than gunicorn has threads.
HALF_SENT = 6 * THREADS
HALVES = {
    "headers": b"GET /api/heists/token/ HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "body": b"POST /api/auth/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Content-Length: 1000\r\n\r\n{"username": ',
}
CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def serving(port: int, *command: str, **environ: str) -> Iterator[None]:
    """Run a server until the block ends; the block begins when the server accepts connections."""
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environ, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < until, process.communicate(timeout=5)
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=START_SECONDS)


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    """Return the port of gunicorn, with few threads."""
    port = free_port()
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.conf.py", "config.wsgi"]
    with serving(port, *gunicorn, PORT=str(port), WEB_CONCURRENCY="1", WEB_THREADS=str(THREADS)):
        yield port


@pytest.fixture(scope="module")
def proxy(site: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Return the port of nginx before it; skip where nginx is not installed."""
    # Debian keeps servers off a user's PATH.
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if nginx is None:
        pytest.skip("the test of the buffering proxy needs nginx")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    text = (ROOT / "config" / "nginx.conf").read_text()
    for part, replacement in (("listen 80;", f"listen 127.0.0.1:{port};"), ("127.0.0.1:8000", f"127.0.0.1:{site}")):
        assert text.count(part) == 1
        text = text.replace(part, replacement)
    (folder / "site.conf").write_text(text)
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder))
    with serving(port, nginx, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"), "-p", str(folder)):
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
