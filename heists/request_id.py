"""The id of the request at hand, so that a log line can be found from an answer and the other way round.

A host puts `heists.request_id.RequestIdMiddleware` first in MIDDLEWARE, and `heists.request_id.RequestIdFilter` on its
log handler where every line should carry the id. Without them, heists' own lines say "-".
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "X-Request-ID"
# What a client or proxy may name its request; anything else, a line break say, never reaches a log.
ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{8,64}")
NONE = "-"

_current: ContextVar[str] = ContextVar("heists_request_id", default=NONE)


def current() -> str:
    """Return the id of the request at hand; "-" outside of any."""
    return _current.get()


class RequestIdMiddleware:
    """Gives each request an id, its client's own where that is acceptable, and tells it in the answer."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._acall(request)
        token = _current.set(id_for(request))
        try:
            response = self.get_response(request)
            assert isinstance(response, HttpResponseBase)  # noqa: S101 - for the type checker
            response[HEADER] = current()
            return response
        finally:
            _current.reset(token)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        token = _current.set(id_for(request))
        try:
            response = self.get_response(request)
            assert not isinstance(response, HttpResponseBase)  # noqa: S101 - for the type checker
            answer = await response
            answer[HEADER] = current()
            return answer
        finally:
            _current.reset(token)


class RequestIdFilter(logging.Filter):
    """Adds `request_id` to every record that passes."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = getattr(record, "request_id", None) or current()
        return True


def id_for(request: HttpRequest) -> str:
    """Return the id the request came with, where it is acceptable, or a new one."""
    given = request.headers.get(HEADER, "")
    return given if ACCEPTABLE.fullmatch(given) else uuid.uuid4().hex
