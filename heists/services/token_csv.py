"""Read grants from a CSV file (docs/specification.md, "Commands")."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from django.contrib.auth import get_user_model
from django.db import DataError, router
from django.utils.translation import gettext as _

from .. import user_model
from ..choices import GrantReason
from ..economy import get_economy
from ..errors import InvalidGrant, UnknownPlayer
from ..models import TokenGrant
from .tokens import validate_grant

REQUIRED, OPTIONAL = ("player", "amount"), ("reason", "source", "note")
# Whether a text is a player's name (the user name, or the name that players see) or primary key.
BY_NAME, BY_KEY = "name", "key"


class AmbiguousPlayer(Exception):
    """The text names more than one player; `keys` are their primary keys."""

    def __init__(self, keys: list[Any]) -> None:
        super().__init__(keys)
        self.keys = keys

    def message(self, text: str) -> str:
        """Return a sentence that says what to write instead."""
        return _("%(player)r names more than one player (keys %(keys)s). Use --by key, or --by name.") % {
            "player": text,
            "keys": ", ".join(str(key) for key in self.keys),
        }


class InvalidFile(Exception):
    """The file can't be read as grants; the message says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One valid line."""

    number: int
    player: Any
    amount: int
    reason: GrantReason
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class InvalidLine:
    """One invalid line, and why."""

    number: int
    problem: str


def find_player(text: str, *, by: str | None = None) -> Any:
    """Return the user with this name or with this primary key; `by` ("name" or "key") allows only one of them.

    A name is found however its accents are typed. Raises UnknownPlayer, and AmbiguousPlayer where the text is the name
    of one player and the key of another, or the name of several.
    """
    found: dict[Any, Any] = {}
    if by != BY_KEY:
        found |= {player.pk: player for player in _players_named(text)}
    if by != BY_NAME and (key := user_model.key_from_text(text)) is not None:
        # A number may be out of the column's range.
        with suppress(DataError, OverflowError):
            found |= {player.pk: player for player in _users().filter(pk=key)}
    if not found:
        raise UnknownPlayer
    if len(found) > 1:
        raise AmbiguousPlayer(sorted(found))
    return found.popitem()[1]


def _players_named(text: str) -> Iterator[Any]:
    spellings = user_model.spellings(text)
    if (field := user_model.username_field()) and spellings:
        yield from _users().filter(**{f"{field.name}__in": spellings})
    if spellings and (shown := get_economy().search_players(text, exact=True)) is not None:
        yield from shown.using(router.db_for_write(TokenGrant))[:2]


def _users() -> Any:
    return get_user_model()._default_manager.using(router.db_for_write(TokenGrant))


def read_lines(
    text: Iterable[str], *, file_name: str, reason: GrantReason, by: str | None = None
) -> Iterator[Line | InvalidLine]:
    """Yield each line of a CSV file whose header names player and amount, and optionally reason, source and note.

    A line without a source gets one made of the file's name and the line's text, so that the same file again grants
    nothing. Equal lines of one file are different grants. `by` is as in `find_player`. Raises InvalidFile where the
    header or the text is invalid.
    """
    rows = csv.reader(text)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        _check_header(header)
        seen: dict[str, int] = {}
        for cells in rows:
            if any(cell.strip() for cell in cells):
                yield _read(rows.line_num, header, cells, file_name, reason, seen, by)
    except csv.Error as error:
        raise InvalidFile(_("Line %(number)s: %(error)s.") % {"number": rows.line_num, "error": error}) from error
    except UnicodeDecodeError as error:
        raise InvalidFile(_("The file is not UTF-8 text.")) from error


def _check_header(header: list[str]) -> None:
    wanted = ", ".join((*REQUIRED, *OPTIONAL))
    if missing := [name for name in REQUIRED if name not in header]:
        raise InvalidFile(
            _("The first line has to name the columns. Missing: %(missing)s. Known: %(wanted)s.")
            % {"missing": ", ".join(missing), "wanted": wanted}
        )
    unknown = [name for name in header if name not in (*REQUIRED, *OPTIONAL)]
    if unknown or len(set(header)) < len(header):
        raise InvalidFile(
            _("Unknown or repeated columns: %(columns)s. Known: %(wanted)s.")
            % {"columns": ", ".join(unknown or header), "wanted": wanted}
        )


def _read(
    number: int,
    header: list[str],
    cells: list[str],
    file_name: str,
    reason: GrantReason,
    seen: dict[str, int],
    by: str | None,
) -> Line | InvalidLine:
    if len(cells) != len(header):
        return InvalidLine(
            number, _("%(found)s columns instead of %(wanted)s.") % {"found": len(cells), "wanted": len(header)}
        )
    values = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    given = values.get("reason", "").upper() or reason.value
    if given not in GrantReason.of_callers():
        return InvalidLine(
            number,
            _("%(reason)r is not a reason. Reasons: %(known)s.")
            % {"reason": given, "known": ", ".join(GrantReason.of_callers())},
        )
    try:
        # int() accepts "1_000" too.
        amount = int(values["amount"].replace("_", "?"))
    except ValueError:
        return InvalidLine(number, _("%(amount)r is not a whole number.") % {"amount": values["amount"]})
    source, note = values.get("source", "") or _source(file_name, cells, seen), values.get("note", "")
    try:
        validate_grant(amount, source, note)
    except InvalidGrant as error:
        return InvalidLine(number, _("The %(name)s is out of range.") % {"name": error.details["code_detail"]})
    try:
        player = find_player(values["player"], by=by)
    except AmbiguousPlayer as error:
        return InvalidLine(number, error.message(values["player"]))
    except UnknownPlayer:
        return InvalidLine(number, _("There is no player %(player)r.") % {"player": values["player"]})
    return Line(number, player, amount, GrantReason(given), source, note)


def _source(file_name: str, cells: list[str], seen: dict[str, int]) -> str:
    text = "\x1f".join(cell.strip() for cell in cells)
    seen[text] = seen.get(text, 0) + 1
    digest = hashlib.sha256(f"{text}\x1f{seen[text]}".encode()).hexdigest()[:32]
    return f"file:{PurePath(file_name).name[:200]}:{digest}"
