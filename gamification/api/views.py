"""Sign up, sign in, sign out, and change the password. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

from django.contrib.auth import logout
from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, permissions, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error
from rest_framework.views import APIView

from .. import errors, services
from .schema import examples, problems
from .serializers import LoginSerializer, PasswordSerializer, SignupSerializer
from .throttling import LoginThrottle, SignupThrottle

# Errors of the services that are not a 409.
STATUSES = {
    errors.UnknownReferralCode: status.HTTP_400_BAD_REQUEST,
    errors.InactiveAccount: status.HTTP_403_FORBIDDEN,
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
        examples=examples("signup"),
        responses={201: SignupSerializer} | problems("signup"),
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
        examples=examples("login"),
        responses={200: LoginSerializer} | problems("login"),
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
        responses={204: None} | problems("logout"),
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
        examples=examples("change_password"),
        responses={204: None} | problems("change_password"),
    )
    def post(self, request: Request) -> Response:
        """Change my password."""
        form = PasswordSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        services.change_password(user=request.user, **form.validated_data)
        return Response(status=status.HTTP_204_NO_CONTENT)
