"""`seed_heists`: adds the two point event types (docs/specification.md, "Commands")."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from heists.services.after_migrate import seed_event_types


class Command(BaseCommand):
    help = "Adds heists' two point event types."

    def handle(self, *args: Any, **options: Any) -> None:
        added = seed_event_types()
        if added is None:
            self.stdout.write("HEISTS['POINT_EVENT_TYPE_MODEL'] is not set: there is no table to add event types to.")
            return
        for name, is_new in added.items():
            self.stdout.write(f"{name}: {'added' if is_new else 'already there'}")
