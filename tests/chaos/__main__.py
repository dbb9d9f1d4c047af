"""Rob through the production server while everything around it is killed: `python -m tests.chaos --seconds 60`.

Eight clients rob with idempotency keys and retry until they have an answer, as a good client does. Meanwhile gunicorn's
workers get SIGKILL, database backends are terminated, PostgreSQL is restarted without a shutdown, and answers are cut
off in the middle. In the end the audit must find nothing, and every client's last answer must agree with the database.

The database is a server of its own that waits for its disk, as in production. Everything listens on loopback alone.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile

from tests.embedded import postgres
from tests.servers import SITE, free_port

from .world import GAME


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill everything while players rob each other, then do the data.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="the tally as JSON")
    options = parser.parse_args()
    with postgres(durable=True) as url, tempfile.TemporaryDirectory(prefix="heists-chaos-") as folder:
        port = free_port()
        os.environ |= GAME | {
            "DATABASE_URL": url,
            "VAR_DIR": folder,
            "ENV_FILE": os.devnull,
            "SECRET_KEY": secrets.token_hex(32),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        import django

        django.setup()
        from django.core.management import call_command

        from .run import run

        call_command("migrate", verbosity=0)
        with open(os.path.join(folder, "server.log"), "w") as log:
            server = subprocess.Popen(SITE, stdout=log, stderr=log)
            try:
                tally = run(url, port, server, clients=options.clients, seconds=options.seconds)
            finally:
                server.terminate()
                server.wait(60)
        if tally["differences"] or tally["disagreements"]:
            with open(log.name) as lines:
                sys.stderr.write(lines.read()[-20_000:])
    print(json.dumps(tally) if options.json else sentence(tally))
    return 1 if tally["differences"] or tally["disagreements"] or not tally["outcomes"] else 0


def sentence(tally: dict[str, object]) -> str:
    return (
        "{seconds} s, {clients} clients: {attempts} attempts, {outcomes} outcomes, {rejections} rejections, "
        "{retries} requests repeated, {cut} answers cut off. Killed: {workers} workers, {backends} backends, "
        "{restarts} times the database. Differences: {differences}. Answers that disagree: {disagreements}."
    ).format(**tally)


if __name__ == "__main__":
    sys.exit(main())
