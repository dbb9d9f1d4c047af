"""Classes that a host may name in REST_FRAMEWORK, each of which changes what its own views answer."""

from __future__ import annotations

from typing import Any

from rest_framework import exceptions
from rest_framework.filters import BaseFilterBackend
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle


class WrappingRenderer(JSONRenderer):
    """Wraps each answer, and hides errors behind a 200."""

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        if renderer_context:
            renderer_context["response"].status_code = 200
        return super().render({"ok": True, "data": data}, accepted_media_type, renderer_context)


class NoNegotiation(BaseContentNegotiation):
    def select_parser(self, request: Any, parsers: Any) -> Any:
        return None

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        raise exceptions.NotAcceptable


class NothingFound(BaseFilterBackend):
    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        return queryset.none()


class OnePerPage(LimitOffsetPagination):
    default_limit = 1


class NobodyMay(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return False


class AlwaysThrottled(BaseThrottle):
    def allow_request(self, request: Any, view: Any) -> bool:
        return False


def exception_handler(exc: Exception, context: Any) -> Response:
    return Response({"error": str(exc)}, status=200)
