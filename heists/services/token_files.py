"""Files of grants: who gets how many tokens, one a line (spec section 8)."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DataError
from django.utils.translation import gettext as _

from ..choices import GrantReason
from ..errors import InvalidGrant, UnknownPlayer
from .tokens import validate_grant

REQUIRED, OPTIONAL = ("player", "amount"), ("reason", "source", "note")


class BadFile(Exception):
    """The file as a whole can't be read as grants; the message says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line that can be granted."""

    number: int
    player: Any
    amount: int
    reason: GrantReason
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class BadLine:
    """One line that can't, and why."""

    number: int
    problem: str


def find_player(text: str) -> Any:
    """Return the user of this name (`USERNAME_FIELD`) or else primary key. Raises UnknownPlayer."""
    manager = get_user_model()._default_manager
    for lookup in (get_user_model().USERNAME_FIELD, "pk"):
        try:
            return manager.get(**{lookup: text})
        except (ObjectDoesNotExist, ValueError, TypeError, OverflowError, ValidationError, DataError):
            continue
    raise UnknownPlayer


def read_lines(text: Iterable[str], *, file_name: str, reason: GrantReason) -> Iterator[Line | BadLine]:
    """Yield every line of a CSV file with a header: player, amount, and where wanted reason, source and note.

    A line without a source gets one from the file's name and what the line says, so that the same file again grants
    nothing; equal lines of one file count as different grants. Raises BadFile for a header that is no such header.
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
        raise BadFile(_("Line %(number)s: %(error)s.") % {"number": rows.line_num, "error": error}) from error
    except UnicodeDecodeError as error:
        raise BadFile(_("The file is not UTF-8 text.")) from error


def _check_header(header: list[str]) -> None:
    wanted = ", ".join((*REQUIRED, *OPTIONAL))
    if missing := [name for name in REQUIRED if name not in header]:
        raise BadFile(
            _("The first line has to name the columns; missing: %(missing)s. Known: %(wanted)s.")
            % {"missing": ", ".join(missing), "wanted": wanted}
        )
    unknown = [name for name in header if name not in (*REQUIRED, *OPTIONAL)]
    if unknown or len(set(header)) < len(header):
        raise BadFile(
            _("Unknown or doubled columns: %(columns)s. Known: %(wanted)s.")
            % {"columns": ", ".join(unknown or header), "wanted": wanted}
        )


def _read(
    number: int, header: list[str], cells: list[str], file_name: str, reason: GrantReason, seen: dict[str, int]
) -> Line | BadLine:
    if len(cells) != len(header):
        return BadLine(
            number, _("%(found)s columns instead of %(wanted)s.") % {"found": len(cells), "wanted": len(header)}
        )
    values = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    said = values.get("reason", "").upper() or reason.value
    if said not in GrantReason.values:
        return BadLine(
            number,
            _("%(reason)r is no reason; there are %(known)s.")
            % {"reason": said, "known": ", ".join(GrantReason.values)},
        )
    try:
        # int() alone would read "1_000" too.
        amount = int(values["amount"].replace("_", "?"))
    except ValueError:
        return BadLine(number, _("%(amount)r is no whole number.") % {"amount": values["amount"]})
    source, note = values.get("source", "") or _source(file_name, cells, seen), values.get("note", "")
    try:
        validate_grant(amount, source, note)
    except InvalidGrant as error:
        return BadLine(number, _("The %(name)s is out of range.") % {"name": error.details["code_detail"]})
    try:
        player = find_player(values["player"])
    except UnknownPlayer:
        return BadLine(number, _("There is no player %(player)r.") % {"player": values["player"]})
    return Line(number, player, amount, GrantReason(said), source, note)


def _source(file_name: str, cells: list[str], seen: dict[str, int]) -> str:
    said = "\x1f".join(cell.strip() for cell in cells)
    seen[said] = seen.get(said, 0) + 1
    digest = hashlib.sha256(f"{said}\x1f{seen[said]}".encode()).hexdigest()[:32]
    return f"file:{PurePath(file_name).name[:200]}:{digest}"
