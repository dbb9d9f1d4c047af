"""One world, measured from its seeding to its bytes; started by `benchmarks.__main__` in an environment of its own."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import django
from django.core.checks.urls import check_url_config


def main(heists: int, rounds: int, calls: int, requests: int, output: str) -> None:
    django.setup()
    # Loads the site as a server does, in the server's order.
    check_url_config(None)
    # One line for each heist would be measured too; the production server is measured with its own.
    logging.disable(logging.WARNING)
    from . import database, report, service, web, world

    url = os.environ["DATABASE_URL"]
    figures = {"seeding": world.build(heists)}
    report.say(f"{heists} heists seeded in {figures['seeding']['seconds']} s")
    database.forget_index_usage()
    storage = database.storage()
    figures["service"] = service.measure(url, rounds=rounds, calls=calls)
    report.say("services measured")
    if requests:
        figures["web"] = web.measure(url, requests=requests)
        report.say("HTTP measured")
    figures["database"] = database.look() | storage
    report.write(figures, Path(output))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]), sys.argv[5])
