"""JSON bodies as hostile clients write them: each ends in a 4xx, none in a 500 (spec section 6)."""

import json
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.utils import json as strict_json


class StrictJSONParser(JSONParser):
    """Parse JSON as RFC 8259 has it: UTF-8, whatever charset the client names, and no NaN.

    DRF's own takes any codec of Python's from the Content-Type, so that `charset=zlib` ends in a 500, and answers a
    hundred thousand nested brackets with a RecursionError.
    """

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Return what the body says, or refuse it."""
        try:
            return json.loads(stream.read().decode(), parse_constant=strict_json.strict_constant)
        except (ValueError, RecursionError) as exc:
            raise ParseError("The body is not JSON in UTF-8.") from exc
