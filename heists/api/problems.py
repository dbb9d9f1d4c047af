"""Errors as RFC 9457 problem details. See docs/specification.md, "HTTP API".

The views of heists use `from_exception`, whatever the host's `EXCEPTION_HANDLER` is. A host may set `EXCEPTION_HANDLER`
to `heists.api.problems.handler`, so that its own views answer in the same format.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from .. import errors
from ..choices import FailureCode
from ..db.retry import close_if_unusable, is_temporary
from ..messages import failure_message
from ..models import Heist
from ..rules import points_needed
from .fields import utc_isoformat
from .parsers import PayloadTooLarge

logger = logging.getLogger("heists")

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:heists:problems:"
# `Retry-After` of errors that pass soon.
RETRY_AFTER_SECONDS = 1

# The HTTP status of a service's error; a class that is not listed has that of its nearest base class.
STATUSES: dict[type[errors.HeistError], int] = {
    errors.HeistError: 400,
    errors.FeatureDisabled: 503,
    errors.UnknownPlayer: 400,
    errors.InactiveAccount: 403,
    errors.IdempotencyKeyReused: 422,
    errors.InvalidGrant: 400,
    errors.NoCoins: 409,
    errors.InsufficientCoins: 409,
    errors.ShieldAlreadyLive: 409,
    errors.TruceDisabled: 409,
    errors.Busy: 503,
}
# The title of each HTTP status. Not `HTTPStatus.phrase`: it is English, and differs between versions of Python.
TITLES = {
    400: gettext_noop("Bad Request"),
    401: gettext_noop("Unauthorized"),
    403: gettext_noop("Forbidden"),
    404: gettext_noop("Not Found"),
    405: gettext_noop("Method Not Allowed"),
    406: gettext_noop("Not Acceptable"),
    409: gettext_noop("Conflict"),
    411: gettext_noop("Length Required"),
    413: gettext_noop("Content Too Large"),
    415: gettext_noop("Unsupported Media Type"),
    422: gettext_noop("Unprocessable Content"),
    429: gettext_noop("Too Many Requests"),
    500: gettext_noop("Internal Server Error"),
    503: gettext_noop("Service Unavailable"),
}
# The code of a violated constraint; others are `conflict`.
CONSTRAINT_CODES = {
    "heists_shield_one_live": errors.ShieldAlreadyLive.code,
    "heists_heist_idempotency_key": errors.IdempotencyKeyReused.code,
    "heists_shield_idempotency_key": errors.IdempotencyKeyReused.code,
}
# The `field` of an error about the whole body, whatever the host's NON_FIELD_ERRORS_KEY is.
NON_FIELD_ERRORS = "non_field_errors"
DATABASE_UNAVAILABLE = "database_unavailable"


class Problem(Response):
    """A problem in the format that the client accepts. JSON has the media type `application/problem+json`."""

    @property
    def rendered_content(self) -> Any:
        if getattr(self.accepted_renderer, "format", None) == "json":
            self.content_type = MEDIA_TYPE
        return super().rendered_content


class InvalidIdempotencyKey(exceptions.APIException):
    """The `Idempotency-Key` header is empty, too long, or not printable ASCII."""

    status_code = HTTPStatus.BAD_REQUEST
    default_detail = gettext_lazy("An idempotency key has 1 to 255 printable ASCII characters.")
    default_code = "invalid_idempotency_key"


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    title: str | None = None,
    headers: dict[str, str] | None = None,
    **members: Any,
) -> Problem:
    """Return a problem response. See `problem_body` for the arguments."""
    return Problem(problem_body(status, code, detail, title=title, **members), status=status, headers=headers)


def problem_body(status: int, code: str, detail: str, *, title: str | None = None, **members: Any) -> dict[str, Any]:
    """Return the JSON object of a problem. `members` are further members; those that are None are left out."""
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        # A host's own exception may have another status.
        "title": title or (_(TITLES[status]) if status in TITLES else HTTPStatus(status).phrase),
        "status": int(status),
        "detail": _encodable(detail),
        "code": code,
    }
    for name, value in members.items():
        if value is not None:
            # A rule may return a time in the site's time zone.
            body[name] = utc_isoformat(value) if isinstance(value, dt.datetime) else value
    return body


def rejection(heist: Heist) -> Problem:
    """Return the 409 of a rejected attempt, from its row alone, so that a replay is answered alike."""
    code = FailureCode(str(heist.failure_code))
    numbers: dict[str, int | None] = {}
    if code == FailureCode.INSUFFICIENT_TOKENS:
        numbers = {"required": heist.rule_set.token_cost, "available": heist.attacker_tokens}
    elif code == FailureCode.INSUFFICIENT_POINTS:
        numbers = {"required": points_needed(heist.rule_set.rules), "available": heist.victim_points_before}
    return problem(
        HTTPStatus.CONFLICT,
        code.value,
        failure_message(code, heist.retry_at),
        title=str(code.label),
        headers=retry_after(heist.retry_at),
        heist=heist.pk,
        heist_status=str(heist.status),
        retry_at=heist.retry_at,
        **numbers,
    )


def retry_after(retry_at: dt.datetime | None) -> dict[str, str]:
    """Return the `Retry-After` header, in whole seconds; no header where the time is None or past."""
    if retry_at is None or (seconds := (retry_at - timezone.now()).total_seconds()) <= 0:
        return {}
    return {"Retry-After": str(math.ceil(seconds))}


def handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Return the problem for an exception, and roll back the transaction of ATOMIC_REQUESTS.

    A DRF exception handler, for `REST_FRAMEWORK["EXCEPTION_HANDLER"]`. Returns None like `from_exception`.
    """
    response = from_exception(exc, context)
    if response is not None:
        set_rollback()
    return response


def from_exception(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Return the problem for an exception; None for a defect, which Django logs and answers with a 500."""
    response = _problem_for(exc, context)
    if response is not None:
        response.exception = True
    return response


def _problem_for(exc: Exception, context: dict[str, Any]) -> Problem | None:
    match exc:
        case errors.HeistError():
            return _from_heist_error(exc)
        case exceptions.ValidationError():
            return problem(
                HTTPStatus.BAD_REQUEST,
                "validation_error",
                _("The request is not valid."),
                errors=list(_flattened(exc.get_full_details())),
            )
        case exceptions.APIException():
            return _from_api_exception(exc, context)
        case Http404():
            return _from_api_exception(exceptions.NotFound(), context)
        case PermissionDenied():
            return _from_api_exception(exceptions.PermissionDenied(), context)
        case RequestDataTooBig():
            return _from_api_exception(PayloadTooLarge(), context)
        case SuspiciousOperation() | BadRequest() | MultiPartParserError():
            return _from_api_exception(exceptions.ParseError(), context)
        case IntegrityError():
            return problem(
                HTTPStatus.CONFLICT,
                CONSTRAINT_CODES.get(constraint_name(exc), "conflict"),
                _("The request conflicts with existing data."),
            )
        case DataError():
            logger.warning("a value of the request did not fit the database: %s", exc)
            return problem(HTTPStatus.BAD_REQUEST, "invalid_value", _("A value is out of range."))
        case DatabaseError() | InterfaceError() if is_temporary(exc):
            close_if_unusable(exc)
            logger.error("the database is not available: %s", exc)
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                DATABASE_UNAVAILABLE,
                _("The database can't be reached at the moment. Please try again."),
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
    return None


def _from_heist_error(exc: errors.HeistError) -> Problem:
    status = next(STATUSES[kind] for kind in type(exc).__mro__ if kind in STATUSES)
    # Without Retry-After where the outcome is unknown: a client that repeats the request might rob twice.
    is_safe_to_repeat = isinstance(exc, errors.Busy) and not isinstance(exc, errors.OutcomeUnknown)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if is_safe_to_repeat else None
    return problem(status, exc.code, str(exc), headers=headers, **exc.details)


def _from_api_exception(exc: exceptions.APIException, context: dict[str, Any]) -> Problem:
    headers: dict[str, str] = {}
    status = exc.status_code
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        # DRF answers 403 where the first authenticator has no challenge, as SessionAuthentication has none.
        status = HTTPStatus.UNAUTHORIZED
        headers["WWW-Authenticate"] = getattr(exc, "auth_header", None) or _challenge(context)
    if (wait := getattr(exc, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    detail, code = exc.detail, exc.default_code
    if isinstance(detail, exceptions.ErrorDetail):
        return problem(status, detail.code or code, str(detail), headers=headers)
    # An authenticator may raise a dictionary as its detail.
    fields = list(_flattened(exc.get_full_details()))
    return problem(status, code, str(exc.default_detail), headers=headers, errors=fields)


def _challenge(context: dict[str, Any]) -> str:
    """Return the `WWW-Authenticate` header of a 401: the first challenge of the view's authenticators."""
    view, request = context.get("view"), context.get("request")
    for authenticator in view.get_authenticators() if view else ():
        if header := authenticator.authenticate_header(request):
            return str(header)
    return "Session"


def constraint_name(exc: IntegrityError) -> str:
    """Return the name of the violated constraint; empty where it is unknown."""
    diagnostic = getattr(exc.__cause__, "diag", None)
    if diagnostic is not None:
        return diagnostic.constraint_name or ""
    # SQLite's message contains the name.
    return next((name for name in CONSTRAINT_CODES if name in str(exc)), "")


def _flattened(details: Any, field: str = "") -> Iterator[dict[str, str]]:
    """Yield an entry for each invalid field, with the dotted path of a nested one."""
    # Fields may have these names too, but then their values are no text.
    if isinstance(details, dict) and set(details) == {"message", "code"} and isinstance(details["message"], str):
        detail = _encodable(str(details["message"]))
        yield {"field": _encodable(field), "code": str(details["code"]), "detail": detail}
    elif isinstance(details, dict):
        for name, value in details.items():
            if name == api_settings.NON_FIELD_ERRORS_KEY:
                name = NON_FIELD_ERRORS
            yield from _flattened(value, f"{field}.{name}" if field else str(name))
    elif isinstance(details, list):
        for value in details:
            yield from _flattened(value, field)


def _encodable(text: str) -> str:
    """Return text that UTF-8 can encode: an error may quote a lone surrogate from the request."""
    return text.encode("utf-8", "replace").decode("utf-8")
