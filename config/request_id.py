"""The id of each request: in every log line of the site, and in the answer's `X-Request-ID`."""

import re

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from log_request_id import middleware

# A client or proxy may name its request; any other text, such as one with a line break, could forge a log line.
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestIDMiddleware(middleware.RequestIDMiddleware):  # type: ignore[misc]
    """Give each request an id: the client's own if it is acceptable, else a new one."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not ACCEPTED.fullmatch(request.META.get(settings.LOG_REQUEST_ID_HEADER, "")):
            request.META.pop(settings.LOG_REQUEST_ID_HEADER, None)
        response: HttpResponseBase = super().__call__(request)
        return response
