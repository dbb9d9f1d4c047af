"""Every error of the API as RFC 9457 problem details. See docs/specification.md, "HTTP API".

`handler` is a DRF exception handler. The views of heists name it themselves, so they answer alike on any host; one may
name it as its `EXCEPTION_HANDLER` too.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from .. import errors
from ..choices import FailureCode
from ..messages import failure_message
from ..models import Heist
from ..rules import points_needed
from .parsers import PayloadTooLarge

logger = logging.getLogger("heists")

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:heists:problems:"
# `Retry-After` where nothing else says when to try again.
RETRY_AFTER_SECONDS = 1

# What the services refuse with. A class that is missing here takes the row of its nearest base.
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
    errors.Busy: 503,
}
# What a constraint means to a client; a name that is missing here is a plain `conflict`.
CONSTRAINT_CODES = {
    "heists_shield_one_live": errors.ShieldAlreadyLive.code,
    "heists_heist_idempotency_key": errors.IdempotencyKeyReused.code,
    "heists_shield_idempotency_key": errors.IdempotencyKeyReused.code,
}
DATABASE_UNAVAILABLE = "database_unavailable"


class Problem(Response):
    """A problem, rendered as whatever the client accepts; where that is JSON, it says `application/problem+json`."""

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
    """Return a problem response; the arguments are those of `problem_body`."""
    return Problem(problem_body(status, code, detail, title=title, **members), status=status, headers=headers)


def problem_body(status: int, code: str, detail: str, *, title: str | None = None, **members: Any) -> dict[str, Any]:
    """Return the JSON object of a problem, for answers outside of DRF too.

    `members` are the values that belong to the problem; those that are None are left out.
    """
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": title or HTTPStatus(status).phrase,
        "status": int(status),
        "detail": _encodable(detail),
        "code": code,
    }
    for name, value in members.items():
        if value is not None:
            # In UTC, whatever zone a rule reckons in: the loss limit's next month begins in the site's.
            body[name] = value.astimezone(dt.UTC) if isinstance(value, dt.datetime) else value
    return body


def rejection(heist: Heist) -> Problem:
    """Return the 409 of an attempt that the rules refused, from its row alone, so that a replay says the same."""
    code = FailureCode(str(heist.failure_code))
    numbers: dict[str, int] = {}
    if code == FailureCode.INSUFFICIENT_TOKENS:
        numbers = {"required": heist.rule_set.token_cost, "available": heist.attacker_token.balance}
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


def retry_after(moment: dt.datetime | None) -> dict[str, str]:
    """Return the `Retry-After` header for a moment to come, in whole seconds; none where it is unknown or past."""
    if moment is None or (seconds := (moment - timezone.now()).total_seconds()) <= 0:
        return {}
    return {"Retry-After": str(math.ceil(seconds))}


def handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an exception of any view, and undo what its request did where the host has ATOMIC_REQUESTS on.

    For `REST_FRAMEWORK["EXCEPTION_HANDLER"]`, so that a host's own views speak like these.
    """
    found = answer(exc, context)
    if found is not None:
        set_rollback()
    return found


def answer(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Return the problem that an exception stands for; None where it is a defect, which Django reports as a 500."""
    found = _problem_of(exc, context)
    if found is not None:
        found.exception = True
    return found


def _problem_of(exc: Exception, context: dict[str, Any]) -> Problem | None:
    match exc:
        case errors.HeistError():
            return _refused(exc)
        case exceptions.ValidationError():
            return problem(
                HTTPStatus.BAD_REQUEST,
                "validation_error",
                _("The request is not valid."),
                errors=list(_flattened(exc.get_full_details())),
            )
        case exceptions.APIException():
            return _of_framework(exc, context)
        case Http404():
            return _of_framework(exceptions.NotFound(), context)
        case PermissionDenied():
            return _of_framework(exceptions.PermissionDenied(), context)
        case RequestDataTooBig():
            return _of_framework(PayloadTooLarge(), context)
        case SuspiciousOperation() | BadRequest() | MultiPartParserError():
            return _of_framework(exceptions.ParseError(), context)
        case IntegrityError():
            return problem(
                HTTPStatus.CONFLICT, CONSTRAINT_CODES.get(constraint_name(exc), "conflict"), _("This conflicts.")
            )
        case DataError():
            logger.warning("a value of the request did not fit the database: %s", exc)
            return problem(HTTPStatus.BAD_REQUEST, "invalid_value", _("A value is out of range."))
        case OperationalError() | InterfaceError():
            logger.error("the database is out of reach: %s", exc)
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                DATABASE_UNAVAILABLE,
                _("The database can't be reached at the moment. Please try again."),
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
    return None


def _refused(exc: errors.HeistError) -> Problem:
    status = next(STATUSES[kind] for kind in type(exc).__mro__ if kind in STATUSES)
    # Where the outcome is unknown, a client that repeats by itself might rob twice: it has to look first.
    soon = isinstance(exc, errors.Busy) and not isinstance(exc, errors.OutcomeUnknown)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if soon else None
    return problem(status, exc.code, str(exc), headers=headers, **exc.details)


def _of_framework(exc: exceptions.APIException, context: dict[str, Any]) -> Problem:
    headers: dict[str, str] = {}
    status = exc.status_code
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        # DRF makes it a 403 where the first authenticator has no challenge to offer; not signed in is always 401.
        status = HTTPStatus.UNAUTHORIZED
        headers["WWW-Authenticate"] = getattr(exc, "auth_header", None) or _challenge(context)
    if (wait := getattr(exc, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    detail, code = exc.detail, exc.default_code
    if isinstance(detail, exceptions.ErrorDetail):
        return problem(status, detail.code or code, str(detail), headers=headers)
    # An authenticator may raise a dictionary of its own.
    fields = list(_flattened(exc.get_full_details()))
    return problem(status, code, str(exc.default_detail), headers=headers, errors=fields)


def _challenge(context: dict[str, Any]) -> str:
    """What a 401 has to offer in `WWW-Authenticate`: the first challenge of the view's authenticators."""
    view, request = context.get("view"), context.get("request")
    for authenticator in view.get_authenticators() if view else ():
        if header := authenticator.authenticate_header(request):
            return str(header)
    return "Session"


def constraint_name(exc: IntegrityError) -> str:
    """Return the name of the constraint that was violated; empty where the database does not tell."""
    diagnosis = getattr(exc.__cause__, "diag", None)
    if diagnosis is not None:
        return diagnosis.constraint_name or ""
    # SQLite names it in its message.
    return next((name for name in CONSTRAINT_CODES if name in str(exc)), "")


def _flattened(details: Any, field: str = "") -> Iterator[dict[str, str]]:
    """Yield one entry for each invalid field; the field of a nested value is its dotted path."""
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        yield {"field": field, "code": str(details["code"]), "detail": _encodable(str(details["message"]))}
    elif isinstance(details, dict):
        for name, value in details.items():
            yield from _flattened(value, f"{field}.{name}" if field else _encodable(str(name)))
    elif isinstance(details, list):
        for value in details:
            yield from _flattened(value, field)


def _encodable(text: str) -> str:
    """Half a surrogate pair, echoed from a request, has no place in UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
