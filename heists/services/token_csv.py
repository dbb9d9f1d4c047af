"""Read grants from a CSV file (docs/specification.md, "Commands")."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DataError, router
from django.utils.translation import gettext as _

from ..choices import GrantReason
from ..errors import InvalidGrant, UnknownPlayer
from ..models import TokenGrant
from .tokens import validate_grant

REQUIRED, OPTIONAL = ("player", "amount"), ("reason", "source", "note")


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


def find_player(text: str) -> Any:
    """Return the user with this name (`USERNAME_FIELD`), or else with this primary key. Raises UnknownPlayer."""
    users = get_user_model()._default_manager.using(router.db_for_write(TokenGrant))
    for lookup in (get_user_model().USERNAME_FIELD, "pk"):
        try:
            return users.get(**{lookup: text})
        except (ObjectDoesNotExist, ValueError, TypeError, OverflowError, ValidationError, DataError):
            continue
    raise UnknownPlayer


def read_lines(text: Iterable[str], *, file_name: str, reason: GrantReason) -> Iterator[Line | InvalidLine]:
    """Yield each line of a CSV file whose header names player and amount, and optionally reason, source and note.

    A line without a source gets one made of the file's name and the line's text, so that the same file again grants
    nothing. Equal lines of one file are different grants. Raises InvalidFile where the header or the text is invalid.
    """
    rows = csv.reader(text)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        _check_header(header)
        seen: dict[str, int] = {}
        for cells in rows:
            if any(cell.strip() for cell in cells):
                yield _read(rows.line_num, header, cells, file_name, reason, seen)
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
    number: int, header: list[str], cells: list[str], file_name: str, reason: GrantReason, seen: dict[str, int]
) -> Line | InvalidLine:
    if len(cells) != len(header):
        return InvalidLine(
            number, _("%(found)s columns instead of %(wanted)s.") % {"found": len(cells), "wanted": len(header)}
        )
    values = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    given = values.get("reason", "").upper() or reason.value
    if given not in GrantReason.values:
        return InvalidLine(
            number,
            _("%(reason)r is not a reason. Reasons: %(known)s.")
            % {"reason": given, "known": ", ".join(GrantReason.values)},
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
        player = find_player(values["player"])
    except UnknownPlayer:
        return InvalidLine(number, _("There is no player %(player)r.") % {"player": values["player"]})
    return Line(number, player, amount, GrantReason(given), source, note)


def _source(file_name: str, cells: list[str], seen: dict[str, int]) -> str:
    text = "\x1f".join(cell.strip() for cell in cells)
    seen[text] = seen.get(text, 0) + 1
    digest = hashlib.sha256(f"{text}\x1f{seen[text]}".encode()).hexdigest()[:32]
    return f"file:{PurePath(file_name).name[:200]}:{digest}"
