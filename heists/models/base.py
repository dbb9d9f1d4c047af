"""What several models share: append-only rows, the name of a player in a row's text, the length of a key."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from django.db import models
from django.utils.translation import gettext

IDEMPOTENCY_KEY_MAX_LENGTH = 255


def player_name(row: models.Model, field: str) -> str:
    """Return the name of a row's player for `__str__`; the primary key where the player is not loaded.

    Takes no statement: a page or a log line may have thousands of rows.
    """
    if field in row._state.fields_cache:
        player = getattr(row, field)
        # `heists_name` is what the admin looked up for a whole page.
        return str(vars(player).get("heists_name") or player)
    return gettext("player %(id)s") % {"id": getattr(row, f"{field}_id")}


class AppendOnlyError(TypeError):
    """Raised on an attempt to change or delete an append-only row through the ORM."""


Row = TypeVar("Row", bound="AppendOnlyModel")


class AppendOnlyQuerySet(models.QuerySet[Row]):
    """A queryset that does not delete, and updates `editable_fields` only. Cascades from a player do not use it."""

    def update(self, **kwargs: Any) -> int:
        if not kwargs.keys() <= self.model.editable_fields:
            raise AppendOnlyError(f"{self.model.__name__} rows are append-only.")
        return super().update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError(f"{self.model.__name__} rows are append-only.")


class AppendOnlyModel(models.Model):
    """A row that the ORM neither edits nor deletes; a database trigger rejects a plain SQL UPDATE."""

    # Fields that may change after the insert.
    editable_fields: ClassVar[frozenset[str]] = frozenset()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        changes = kwargs.get("update_fields")
        if not self._state.adding and (changes is None or not set(changes) <= self.editable_fields):
            raise AppendOnlyError(f"{type(self).__name__} rows are append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError(f"{type(self).__name__} rows are append-only.")
