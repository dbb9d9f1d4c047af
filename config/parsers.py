"""JSON bodies as hostile clients write them: each ends in a 4xx, none in a 500 (spec section 6)."""

import json
from typing import Any

from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser
from rest_framework.utils import json as strict_json


class BodyTooLarge(APIException):
    """The body is longer than `DATA_UPLOAD_MAX_MEMORY_SIZE`."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The request body is too large."
    default_code = "body_too_large"


class StrictJSONParser(JSONParser):
    """Parse JSON as RFC 8259 has it: UTF-8, whatever charset the client names, no NaN, bounded in size and depth.

    DRF's own takes any codec of Python's from the Content-Type (`charset=zlib` ends in a 500), reads a body of any
    length, and answers a thousand nested brackets with a RecursionError.
    """

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return what the body says, or refuse it."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge
        try:
            return json.loads(body.decode(), parse_constant=strict_json.strict_constant)
        except (ValueError, RecursionError) as exc:
            raise ParseError("The body is not JSON in UTF-8.") from exc
