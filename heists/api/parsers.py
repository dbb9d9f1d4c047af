"""The parser of request bodies.

Apart from the views, because a host may name it in `DEFAULT_PARSER_CLASSES`, which DRF imports before its own views.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, NoReturn

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, UnreadablePostError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

# A valid request has a few hundred bytes.
MAX_BODY_BYTES = 64 * 1024


class PayloadTooLarge(APIException):
    """The body is longer than `MAX_BODY_BYTES`."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = gettext_lazy("The request body is too long.")
    default_code = "payload_too_large"


class LengthRequired(APIException):
    """The body has no `Content-Length`."""

    status_code = HTTPStatus.LENGTH_REQUIRED
    default_detail = gettext_lazy("The request needs a Content-Length header.")
    default_code = "length_required"


def require_length(request: HttpRequest) -> None:
    """Raise LengthRequired for a body without Content-Length, which Django and DRF treat as empty."""
    if request.META.get("CONTENT_LENGTH"):
        return
    # HTTP/2 under ASGI has neither header. ASGI bodies are read completely before the view; WSGI's would block.
    is_asgi = isinstance(request, ASGIRequest)
    if request.META.get("HTTP_TRANSFER_ENCODING") or (is_asgi and request.read(1)):
        raise LengthRequired


class StrictJSONParser(JSONParser):
    """Parses JSON in UTF-8. Rejects NaN and infinity, duplicate keys, deep nesting and long bodies."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            body = stream.read(MAX_BODY_BYTES + 1)
        except UnreadablePostError as error:
            raise ParseError(_("The request body ended too early.")) from error
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLarge
        try:
            return json.loads(body.decode("utf-8"), parse_constant=_reject_constant, object_pairs_hook=_unique_keys)
        except (ValueError, RecursionError) as error:
            raise ParseError(_("The request body is not valid JSON.")) from error


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key in an object")
    return found
