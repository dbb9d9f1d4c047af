"""Reading a request's body.

A host may name the parser in `DEFAULT_PARSER_CLASSES`; DRF then imports this module before its own views.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, NoReturn

from django.http import UnreadablePostError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

# Bytes; the longest honest request is a few hundred.
MAX_BODY = 64 * 1024


class PayloadTooLarge(APIException):
    """The body is longer than any request of this API has reason to be."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = gettext_lazy("The request body is too long.")
    default_code = "payload_too_large"


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
