"""Measure one world, from its seeding to its bytes. `benchmarks.__main__` starts it in a process of its own."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import django
from django.core.checks.urls import check_url_config


def main(heists: int, rounds: int, calls: int, requests: int, output: Path) -> None:
    django.setup()
    # Imports the views, as a server does when it starts.
    check_url_config(None)
    # The services are measured without log lines; the production server with them.
    logging.disable(logging.WARNING)
    from . import database, pages, report, service, web, world

    url = os.environ["DATABASE_URL"]
    figures = {"seeding": world.build(heists)}
    report.say(f"{heists} heists seeded in {figures['seeding']['seconds']} s")
    database.reset_index_usage()
    storage = database.storage()
    figures["service"] = service.measure(url, rounds=rounds, calls=calls)
    figures["pages"] = pages.measure(rounds=rounds, calls=calls)
    report.say("services and pages measured")
    if requests:
        figures["web"] = web.measure(url, requests=requests)
        report.say("HTTP measured")
    figures["database"] = database.look() | storage
    report.write(figures, output)


if __name__ == "__main__":
    heists, rounds, calls, requests = map(int, sys.argv[1:5])
    main(heists, rounds, calls, requests, Path(sys.argv[5]))
