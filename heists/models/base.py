"""Rows that are only ever added, and the lengths that several models share."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext

IDEMPOTENCY_KEY_MAX_LENGTH = 255


def player_name(row: models.Model, field: str) -> str:
    """Return the name of a row's player for `__str__`; the primary key where the player is not loaded.

    Takes no statement: a page or a log line may have thousands of rows.
    """
    if field in row._state.fields_cache:
        return str(getattr(row, field))
    return gettext("player %(id)s") % {"id": getattr(row, f"{field}_id")}


class AppendOnlyError(TypeError):
    """Raised on an attempt to change or delete an append-only row through the ORM."""


class AppendOnlyQuerySet(models.QuerySet[Any]):
    """A queryset without update and delete. The cascade from a deleted player does not use it."""

    def update(self, **kwargs: Any) -> int:
        raise AppendOnlyError(f"{self.model.__name__} rows are append-only.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError(f"{self.model.__name__} rows are append-only.")


class AppendOnlyModel(models.Model):
    """A row that the ORM does not edit; a database trigger rejects a plain SQL UPDATE."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError(f"{type(self).__name__} rows are append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError(f"{type(self).__name__} rows are append-only.")
