"""Everything that changes points, coins and accounts (spec section 2).

Each public deed is one durable transaction; locks are taken on profiles, in the order of their users' keys.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.contrib.auth import get_user_model, password_validation
from django.contrib.auth.backends import AllowAllUsersModelBackend
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.exceptions import ValidationError
from django.db import IntegrityError, router, transaction
from django.http import HttpRequest
from django.utils import timezone
from knox.models import get_token_model

import heists.conf
from heists.choices import GrantReason
from heists.prepared import Given, Prepared
from heists.services import add_tokens

from .errors import (
    BalanceTooLarge,
    InactiveAccount,
    InsufficientCoins,
    InsufficientPoints,
    InvalidCredentials,
    UnknownEventType,
    UnknownReferralCode,
    UsernameTaken,
)
from .models import (
    MAX_BALANCE,
    REFERRAL_ALPHABET,
    REFERRAL_CODE_LENGTH,
    CoinEntry,
    CoinReason,
    PlayerProfile,
    PointEvent,
    PointEventTypeMaster,
    new_referral_code,
)

# Two equal codes are one chance in 2**60; a few attempts are plenty.
CODE_ATTEMPTS = 5


def lock_profiles(*user_ids: Any) -> None:
    """Lock these users' profiles until the transaction ends, in the order of the users' keys.

    The caller holds the transaction. Profiles that are missing are created; without such, this is one statement.
    """
    lock = _lock(len(user_ids), router.db_for_write(PlayerProfile))
    for _attempt in range(CODE_ATTEMPTS):
        missing = set(user_ids).difference(lock.ask({"users": user_ids}))
        if not missing:
            return
        # Another transaction may create the same one; an equal referral code passes by too, and is tried again.
        PlayerProfile.objects.bulk_create(
            [PlayerProfile(user_id=user_id, referral_code=new_referral_code()) for user_id in sorted(missing)],
            ignore_conflicts=True,
        )
    raise RuntimeError(f"No profile could be made for the users {sorted(missing)}.")


@lru_cache(maxsize=16)
def _lock(count: int, using: str) -> Prepared:
    """Return the query that locks the profiles of so many users, and tells whose there are."""
    users: Any = Given("users", PlayerProfile._meta.get_field("user"), length=count)
    rows = PlayerProfile.objects.using(using).select_for_update().filter(user_id__in=users).order_by("user_id")
    return Prepared(rows.values_list("user_id", flat=True))


def award_points(*, player: Any, type_name: str, points: int, reference: str = "") -> PointEvent:
    """Move a player's points, both all-time and monthly, with the event that says why.

    Raises UnknownEventType, InsufficientPoints where a negative award takes more than is there, BalanceTooLarge.
    """
    with transaction.atomic(durable=True):
        if not PointEventTypeMaster.objects.filter(name=type_name, active=True).exists():
            raise UnknownEventType(type=type_name)
        lock_profiles(player.pk)
        return _add_points(player.pk, type_name, points, reference)


def award_coins(*, player: Any, amount: int, reason: CoinReason = CoinReason.AWARD, reference: str = "") -> CoinEntry:
    """Move a player's coins with the ledger line that says why. Raises InsufficientCoins, BalanceTooLarge."""
    with transaction.atomic(durable=True):
        lock_profiles(player.pk)
        return add_coins(player.pk, amount, reason, reference)


def sign_up(*, username: str, password: str, email: str = "", referral_code: str | None = None) -> Any:
    """Open an account, reward whoever referred it, and return the user.

    1. Check the name and the password, and hash it: that is slow, so no lock is held yet.
    2. Lock the referrer's profile. Two players who use one code at once are served one after the other.
    3. Create the user; the unique username decides between two equal requests.
    4. Create the profile, with the points the SIGNUP type is worth.
    5. Give the referrer the points of REFERRAL_BONUS and the heist tokens of this referral.

    Step 2 to 5 are one transaction. An inactive referrer is recorded as such and gets nothing; an inactive event type
    gives no points. Raises UnknownReferralCode, UsernameTaken, and Django's ValidationError for the fields.
    """
    model = get_user_model()
    user = model(username=model.normalize_username(username), email=model.objects.normalize_email(email))
    _validate_account(user, password)
    user.set_password(password)
    code = _read_code(referral_code)

    for _attempt in range(CODE_ATTEMPTS):
        user.pk = None
        user._state.adding = True
        try:
            with transaction.atomic(durable=True):
                _open_account(user, code)
            return user
        except IntegrityError as exc:
            if model.objects.filter(username=user.username).exists():
                raise UsernameTaken from exc
            collision = exc
    raise collision


def sign_in(request: HttpRequest, *, username: str, password: str) -> str:
    """Return a new token for the account with this name and password.

    Raises InvalidCredentials, and InactiveAccount only to somebody who knows the password.
    """
    user = AllowAllUsersModelBackend().authenticate(request, username=username, password=password)
    if user is None:
        user_login_failed.send(sender=__name__, credentials={"username": username}, request=request)
        raise InvalidCredentials
    if not user.is_active:
        raise InactiveAccount
    # Swept here, so that authenticating a request is one statement and never a write.
    tokens = get_token_model().objects
    tokens.filter(user=user, expiry__lte=timezone.now()).delete()
    _token, secret = tokens.create(user=user)
    user_logged_in.send(sender=user.__class__, request=request, user=user)
    return str(secret)


def add_coins(user_id: Any, amount: int, reason: CoinReason, reference: str) -> CoinEntry:
    """Move coins and write the ledger line. The caller holds the transaction and the lock on the profile."""
    profile = PlayerProfile.objects.only("coins").get(user_id=user_id)
    if profile.coins + amount < 0:
        raise InsufficientCoins(required=-amount, available=profile.coins)
    if profile.coins + amount > MAX_BALANCE:
        raise BalanceTooLarge(maximum=MAX_BALANCE)
    profile.coins += amount
    profile.save(update_fields=["coins"])
    return CoinEntry.objects.create(user_id=user_id, amount=amount, reason=reason, reference=reference)


def _add_points(user_id: Any, type_name: str, points: int, reference: str) -> PointEvent:
    """Move points and write the event. The caller holds the transaction and the lock on the profile."""
    profile = PlayerProfile.objects.only("points", "monthly_points").get(user_id=user_id)
    balances = (profile.points, profile.monthly_points)
    if min(balances) + points < 0:
        raise InsufficientPoints(required=-points, available=min(balances))
    if max(balances) + points > MAX_BALANCE:
        raise BalanceTooLarge(maximum=MAX_BALANCE)
    profile.points += points
    profile.monthly_points += points
    profile.save(update_fields=["points", "monthly_points"])
    return PointEvent.objects.create(user_id=user_id, type_id=type_name, points=points, reference=reference)


def _validate_account(user: Any, password: str) -> None:
    problems = {}
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as exc:
        problems.update(exc.error_dict)
    try:
        password_validation.validate_password(password, user)
    except ValidationError as exc:
        problems["password"] = exc.error_list
    if problems:
        raise ValidationError(problems)


def _read_code(text: str | None) -> str | None:
    """Return a code as it is stored, however it was typed; None for none. Raises UnknownReferralCode for no code."""
    if text is None:
        return None
    code = text.strip().upper()
    if len(code) != REFERRAL_CODE_LENGTH or not set(code) <= set(REFERRAL_ALPHABET):
        raise UnknownReferralCode
    return code


def _open_account(user: Any, code: str | None) -> None:
    """Steps 2 to 5 of `sign_up`. The caller holds the transaction."""
    referrer = _lock_referrer(code)
    user.save(force_insert=True)
    profile = PlayerProfile(user=user, referred_by=referrer)
    worth = dict(
        PointEventTypeMaster.objects.filter(name__in=["SIGNUP", "REFERRAL_BONUS"], active=True).values_list(
            "name", "points"
        )
    )
    profile.points = profile.monthly_points = worth.get("SIGNUP", 0)
    profile.save(force_insert=True)
    if "SIGNUP" in worth:
        PointEvent.objects.create(user=user, type_id="SIGNUP", points=worth["SIGNUP"])
    if referrer is None or not referrer.is_active:
        return
    reference = f"referral:{user.pk}"
    if "REFERRAL_BONUS" in worth:
        _add_points(referrer.pk, "REFERRAL_BONUS", worth["REFERRAL_BONUS"], reference)
    add_tokens(
        player=referrer,
        amount=heists.conf.tokens_per_referral(),
        reason=GrantReason.REFERRAL,
        source=reference,
        referred=user,
    )


def _lock_referrer(code: str | None) -> Any:
    if code is None:
        return None
    profile = (
        PlayerProfile.objects.select_for_update(of=("self",)).select_related("user").filter(referral_code=code).first()
    )
    if profile is None:
        raise UnknownReferralCode
    return profile.user
