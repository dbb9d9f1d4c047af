"""Sign up, sign in, sign out, and change the password. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import logout
from django.core.exceptions import ValidationError
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import exceptions, permissions, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error
from rest_framework.views import APIView

from .. import errors, services
from .schema import answer
from .serializers import LoginSerializer, PasswordSerializer, ProblemSerializer, SignupSerializer
from .throttling import LoginThrottle, SignupThrottle

BUSY = {503: "The server is busy, or the database is not available."}
# Errors of the services that are not a 409.
STATUSES = {
    errors.UnknownReferralCode: status.HTTP_400_BAD_REQUEST,
    errors.InactiveAccount: status.HTTP_403_FORBIDDEN,
}


def _problems(described: dict[int, str]) -> dict[Any, OpenApiResponse]:
    return {
        (code, "application/problem+json"): OpenApiResponse(ProblemSerializer, description)
        for code, description in described.items()
    }


class AccountView(APIView):
    """Answers errors of the services with their code, and invalid values by field."""

    def handle_exception(self, exc: Exception) -> Response:
        match exc:
            case ValidationError():
                exc = exceptions.ValidationError(as_serializer_error(exc))
            case errors.InvalidCredentials():
                exc = exceptions.AuthenticationFailed(str(exc), exc.code)
            case errors.GamificationError():
                error = exceptions.APIException(str(exc), exc.code)
                error.status_code = STATUSES.get(type(exc), status.HTTP_409_CONFLICT)
                exc = error
        return super().handle_exception(exc)


class PublicView(AccountView):
    """A view that needs no account."""

    # No authentication: a client that sends an expired token must be able to get a new one.
    authentication_classes = ()
    permission_classes = (permissions.AllowAny,)

    def get_authenticate_header(self, request: Request) -> str:
        return "Token"


class SignupView(PublicView):
    throttle_classes = (SignupThrottle,)

    @extend_schema(
        operation_id="signup",
        summary="Sign up",
        description="Open an account. With another player's referral code, that player earns a heist token.",
        tags=["account"],
        auth=[],
        request=SignupSerializer,
        examples=answer("signup"),
        responses={201: SignupSerializer}
        | _problems(
            {
                400: "A field is missing or malformed, the password is weak, or the referral code does not exist.",
                409: "The username is taken.",
                413: "The body is too long.",
                415: "The body is not JSON.",
                429: "Too many requests.",
            }
            | BUSY
        ),
    )
    def post(self, request: Request) -> Response:
        """Open an account."""
        form = SignupSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        user = services.sign_up(**form.validated_data)
        account = {
            "id": user.pk,
            "username": user.get_username(),
            "referral_code": user.player_profile.referral_code,
        }
        return Response(SignupSerializer(account).data, status=status.HTTP_201_CREATED)


class LoginView(PublicView):
    throttle_classes = (LoginThrottle,)

    @extend_schema(
        operation_id="login",
        summary="Sign in",
        description="Get a token, to be sent as `Authorization: Token …`.",
        tags=["account"],
        auth=[],
        request=LoginSerializer,
        examples=answer("login"),
        responses={200: LoginSerializer}
        | _problems(
            {
                400: "A field is missing or malformed.",
                401: "No account has this username and password.",
                403: "The account is not active.",
                413: "The body is too long.",
                415: "The body is not JSON.",
                429: "Too many requests.",
            }
            | BUSY
        ),
    )
    def post(self, request: Request) -> Response:
        """Get a token."""
        form = LoginSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        return Response({"token": services.sign_in(**form.validated_data)})


class LogoutView(APIView):
    @extend_schema(
        operation_id="logout",
        summary="Sign out",
        description="End the token of this request, or the session.",
        tags=["account"],
        request=None,
        responses={204: None} | _problems({401: "Not signed in."} | BUSY),
    )
    def post(self, request: Request) -> Response:
        """End the token of this request, or the session."""
        if request.auth is None:
            logout(request._request)
        else:
            services.sign_out(user=request.user, token=request.auth)
        return Response(status=status.HTTP_204_NO_CONTENT)


class PasswordView(AccountView):
    throttle_classes = (LoginThrottle,)

    @extend_schema(
        operation_id="change_password",
        summary="Change my password",
        description="It ends all tokens of the account: sign in again with the new password.",
        tags=["account"],
        request=PasswordSerializer,
        responses={204: None}
        | _problems(
            {
                400: "A field is missing or malformed, or the new password is weak.",
                401: "Not signed in, or the current password is wrong.",
                429: "Too many requests.",
            }
            | BUSY
        ),
    )
    def post(self, request: Request) -> Response:
        """Change my password."""
        form = PasswordSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        services.change_password(user=request.user, **form.validated_data)
        return Response(status=status.HTTP_204_NO_CONTENT)
