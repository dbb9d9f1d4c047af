"""Reading a request's body."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from django.http import UnreadablePostError
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from .problems import PayloadTooLarge

# Bytes; the longest honest request is a few hundred.
MAX_BODY = 64 * 1024


class StrictJSONParser(JSONParser):
    """JSON in UTF-8 with nothing to guess: no NaN, no key twice, no endless nesting, no endless body."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            body = stream.read(MAX_BODY + 1)
        except UnreadablePostError as error:
            raise ParseError(_("The request body ended too early.")) from error
        if len(body) > MAX_BODY:
            raise PayloadTooLarge
        try:
            return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unambiguous)
        except (ValueError, RecursionError) as error:
            raise ParseError(_("The request body is not valid JSON.")) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return found
