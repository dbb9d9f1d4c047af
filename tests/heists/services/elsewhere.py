"""What shows which statements and transactions of a service are not on the service's database."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models, transaction


class Elsewhere:
    """Names the database of one model, and one that does not exist for all other questions about heists and users."""

    def __init__(self, home: type[models.Model]) -> None:
        self.home = home

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        return "nowhere" if model._meta.app_label in ("heists", "auth") else None

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        if model._meta.app_label != "heists":
            return None
        return "default" if model is self.home and not hints else "nowhere"

    def allow_relation(self, *args: Any, **hints: Any) -> bool:
        return True


def only(home: type[models.Model], settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a statement is not sent to the database of this model, or a transaction does not name its own."""
    settings.DATABASE_ROUTERS = [Elsewhere(home)]
    require_named_transactions(monkeypatch)


def require_named_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a transaction, or a hook after its commit, is on the default database because none is named."""
    atomic, on_commit = transaction.atomic, transaction.on_commit

    def named_atomic(using: Any = None, *args: Any, **options: Any) -> Any:
        assert using is not None, "atomic() names no database"
        return atomic(using, *args, **options)

    def named_on_commit(call: Any, using: str | None = None, robust: bool = False) -> None:
        assert using is not None, "on_commit() names no database"
        on_commit(call, using=using, robust=robust)

    monkeypatch.setattr(transaction, "atomic", named_atomic)
    monkeypatch.setattr(transaction, "on_commit", named_on_commit)
