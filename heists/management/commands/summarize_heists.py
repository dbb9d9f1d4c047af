from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from heists.queries import dashboard


class Command(BaseCommand):
    help = "Caches the sums of closed days, so that the dashboard of a large site opens fast. Changes no row."

    def handle(self, *args: Any, **options: Any) -> None:
        dashboard.summarize(timezone.now())
        periods = ", ".join(map(str, dashboard.PERIODS_DAYS))
        self.stdout.write(f"Cached the sums for the dashboard's periods (days): {periods}.")
