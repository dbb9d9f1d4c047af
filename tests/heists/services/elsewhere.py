"""A router that shows which statements of a service are not sent to the service's database."""

from __future__ import annotations

from typing import Any

from django.db import models


class Elsewhere:
    """Names the database of one model, and one that does not exist for all other questions about tables of heists."""

    def __init__(self, home: type[models.Model]) -> None:
        self.home = home

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        return "nowhere" if model._meta.app_label == "heists" else None

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        if model._meta.app_label != "heists":
            return None
        return "default" if model is self.home and not hints else "nowhere"

    def allow_relation(self, *args: Any, **hints: Any) -> bool:
        return True
