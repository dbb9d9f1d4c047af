"""Points, coins and accounts: every change of them (docs/specification.md, "The two apps").

Each public function is one durable transaction, which is repeated after a deadlock or serialization failure. It raises
Busy where the database is not available, and OutcomeUnknown (a Busy) where the connection is lost during COMMIT and a
second call would have a second effect.

Locks are on profiles, in the order of their users' primary keys. A lock begins the month of its profiles, if they are
of an earlier one (see `months`).

Everything is read from the database that is written (`written_to`): a replica may lag behind the locks.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.auth import get_user_model, password_validation
from django.contrib.auth.hashers import check_password
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.exceptions import ValidationError
from django.db import connections, router
from django.db.models import Q
from django.db.transaction import TransactionManagementError
from django.utils import timezone
from django.utils.translation import gettext as _
from knox.models import get_token_model

import heists.in_force
from heists.choices import GrantReason
from heists.db.atomic import durable_atomic
from heists.db.retry import retry_transient
from heists.economy import current_month
from heists.services import add_tokens

from . import conf
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
    ReferralReward,
    new_referral_code,
)
from .months import LockedProfile, begin_month
from .names import look_alikes, mixes_alphabets

# Two equal codes are one chance in 2**60.
CODE_ATTEMPTS = 5

# As a queryset, this lock costs 0.2 ms more processor time a heist.
LOCK = """
    SELECT user_id, month, monthly_points FROM gamification_playerprofile
     WHERE user_id IN ({placeholders}) ORDER BY user_id
"""


def written_to() -> str:
    """Return the alias of the database that holds the balances, and is written."""
    return router.db_for_write(PlayerProfile)


def lock_profiles(*user_ids: Any) -> None:
    """Lock these users' profiles until the transaction ends, in the order of the users' primary keys.

    Missing profiles are created. The caller holds the transaction; raises TransactionManagementError without one.
    """
    using = written_to()
    connection = connections[using]
    if connection.get_autocommit():
        raise TransactionManagementError("lock_profiles() needs a transaction.")
    lock = LOCK.format(placeholders=", ".join(["%s"] * len(user_ids)))
    if connection.features.has_select_for_update:
        lock += " FOR UPDATE"
    for _attempt in range(CODE_ATTEMPTS):
        with connection.cursor() as cursor:
            cursor.execute(lock, user_ids)
            locked = [LockedProfile(*row) for row in cursor.fetchall()]
        missing = set(user_ids) - {profile.user_id for profile in locked}
        if not missing:
            begin_month(locked, using)
            return
        # Another transaction may create the same profile, or an equal referral code: both are ignored and tried again.
        PlayerProfile.objects.using(using).bulk_create(
            [PlayerProfile(user_id=user_id, referral_code=new_referral_code()) for user_id in sorted(missing)],
            ignore_conflicts=True,
        )
    raise RuntimeError(f"No profile could be created for the users {sorted(missing)}.")


@retry_transient
def award_points(*, player: Any, type_name: str, points: int, reference: str = "") -> PointEvent:
    """Change a player's points, all-time and of the month that has begun, and return the point event.

    Raises UnknownEventType, InsufficientPoints where a negative award exceeds the balance, BalanceTooLarge.
    """
    using = written_to()
    with durable_atomic(using, repeatable=False):
        if not PointEventTypeMaster.objects.using(using).filter(name=type_name, active=True).exists():
            raise UnknownEventType(type=type_name)
        lock_profiles(player.pk)
        return _add_points(player.pk, type_name, points, reference)


@retry_transient
def award_coins(*, player: Any, amount: int, reason: CoinReason = CoinReason.AWARD, reference: str = "") -> CoinEntry:
    """Change a player's coins and return the ledger entry. Raises InsufficientCoins, BalanceTooLarge."""
    with durable_atomic(written_to(), repeatable=False):
        lock_profiles(player.pk)
        return add_coins(player.pk, amount, reason, reference)


def sign_up(*, username: str, password: str, email: str = "", referral_code: str | None = None) -> Any:
    """Create an account, reward its referrer, and return the user.

    1. Validate the name and the password, and hash it. A name that looks like an existing one is taken. Hashing is
       slow, so no lock is held yet.
    2. Lock the referrer's profile: two sign-ups with one code at once run one after the other.
    3. Create the user; the unique username decides between two equal requests.
    4. Create the profile, with the points of the SIGNUP type.
    5. Grant the referrer the points of REFERRAL_BONUS and the heist tokens of this referral. Where the referral has to
       be earned, only note that it waits for `referrals.reward_referrals`.

    Steps 2 to 5 are one transaction. An inactive referrer is recorded and gets nothing; an inactive event type gives no
    points. Raises UnknownReferralCode, UsernameTaken, and Django's ValidationError for the fields.
    """
    model = get_user_model()
    user = model(username=model.normalize_username(username), email=model.objects.normalize_email(email))
    _validate_account(user, password)
    user.set_password(password)
    _open_account(user, _read_code(referral_code))
    return user


@retry_transient
def _open_account(user: Any, code: str | None) -> None:
    """Carry out steps 2 to 5 of `sign_up`: once more also where another account took the name or code meanwhile."""
    if _is_taken(user.username):
        raise UsernameTaken
    user.pk = None
    with durable_atomic(written_to(), repeatable=False):
        _create_account(user, code)


def _is_taken(username: str) -> bool:
    """Return whether an account has this name, in any case, or one that looks the same."""
    alike = Q()
    for name in look_alikes(username):
        alike |= Q(username__iexact=name)
    return get_user_model().objects.using(written_to()).filter(alike).exists()


@retry_transient
def sign_out(*, user: Any, token: Any = None) -> None:
    """End one token of the user's; without one, all."""
    tokens = get_token_model().objects.filter(user=user)
    (tokens.filter(pk=token.pk) if token is not None else tokens).delete()


@retry_transient
def change_password(*, user: Any, password: str, new_password: str) -> None:
    """Change the password of an account and end its tokens (see `end_tokens`).

    Raises InvalidCredentials where `password` is not the current one, and Django's ValidationError for the new one.
    """
    with durable_atomic(written_to(), repeatable=False):
        account = get_user_model().objects.using(written_to()).select_for_update().get(pk=user.pk)
        if not account.check_password(password):
            raise InvalidCredentials
        try:
            password_validation.validate_password(new_password, account)
        except ValidationError as exc:
            raise ValidationError({"new_password": exc.error_list}) from exc
        account.set_password(new_password)
        account.save(update_fields=["password"])


def end_tokens(*, instance: Any, created: bool, **kwargs: Any) -> None:
    """End all tokens of an account whose password was changed, here or in the admin; a receiver of post_save."""
    # Set by `set_password`, and not where Django only hashes the same password in a better way.
    if not created and instance._password is not None:
        sign_out(user=instance)


def sign_in(*, username: str, password: str) -> str:
    """Return a new token for the account with this name and password.

    Raises InvalidCredentials, and InactiveAccount only where the password is right. Django's sign-in signals are sent
    with `request=None`: a service knows no request.
    """
    model = get_user_model()
    user = model.objects.using(written_to()).filter(username=model.normalize_username(username)).first()
    if user is None:
        # Takes as long as a wrong password, so that the time does not reveal which names exist.
        model().set_password(password)
    if user is None or not user.check_password(password):
        user_login_failed.send(sender=__name__, credentials={"username": username}, request=None)
        raise InvalidCredentials
    if not user.is_active:
        raise InactiveAccount
    secret = _insert_token(user, password)
    user_logged_in.send(sender=user.__class__, request=None, user=user)
    return secret


@retry_transient
def _insert_token(user: Any, password: str) -> str:
    """Insert a token for this account, delete its expired ones, and return the new one's secret.

    Raises InvalidCredentials where the account has another password by now.
    """
    # A second token, which nobody knows, does no harm.
    with durable_atomic(written_to(), repeatable=True):
        # A password changed meanwhile has ended the account's tokens, and with them this sign-in.
        current = get_user_model().objects.using(written_to()).select_for_update().filter(pk=user.pk)
        stored = current.values_list("password", flat=True).first() or ""
        # Another sign-in may have stored a better hash of the same password.
        if stored != user.password and not check_password(password, stored):
            raise InvalidCredentials
        # Expired tokens are deleted here, so that authenticating a request is one statement and never writes.
        tokens = get_token_model().objects
        tokens.filter(user=user, expiry__lte=timezone.now()).delete()
        _token, secret = tokens.create(user=user)
    return str(secret)


def add_coins(user_id: Any, amount: int, reason: CoinReason, reference: str) -> CoinEntry:
    """Change coins and write the ledger entry. The caller holds the transaction and the lock on the profile."""
    profile = PlayerProfile.objects.using(written_to()).only("coins").get(user_id=user_id)
    if profile.coins + amount < 0:
        raise InsufficientCoins(required=-amount, available=profile.coins)
    if profile.coins + amount > MAX_BALANCE:
        raise BalanceTooLarge(maximum=MAX_BALANCE)
    profile.coins += amount
    profile.save(update_fields=["coins"])
    return CoinEntry.objects.create(user_id=user_id, amount=amount, reason=reason, reference=reference)


def _add_points(user_id: Any, type_name: str, points: int, reference: str) -> PointEvent:
    """Change points and write the event. The caller holds the transaction and the lock on the profile."""
    profile = PlayerProfile.objects.using(written_to()).only("points", "monthly_points", "month").get(user_id=user_id)
    balances = (profile.points, profile.monthly_points)
    if min(balances) + points < 0:
        raise InsufficientPoints(required=-points, available=min(balances))
    if max(balances) + points > MAX_BALANCE:
        raise BalanceTooLarge(maximum=MAX_BALANCE)
    profile.points += points
    profile.monthly_points += points
    profile.save(update_fields=["points", "monthly_points"])
    return PointEvent.objects.create(
        user_id=user_id, type_id=type_name, points=points, month=profile.month, reference=reference
    )


def _validate_account(user: Any, password: str) -> None:
    problems: dict[str, Any] = {}
    if mixes_alphabets(user.username):
        problems["username"] = [ValidationError(_("Use letters of one alphabet."), code="mixed_alphabets")]
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
    """Return a code as it is stored; None for none. Raises UnknownReferralCode where the text can't be a code."""
    if text is None:
        return None
    code = text.strip().upper()
    if len(code) != REFERRAL_CODE_LENGTH or not set(code) <= set(REFERRAL_ALPHABET):
        raise UnknownReferralCode
    return code


def _create_account(user: Any, code: str | None) -> None:
    """Carry out steps 2 to 5 of `sign_up`. The caller holds the transaction."""
    referrer = _lock_referrer(code)
    user.save(force_insert=True)
    now, conditions = timezone.now(), conf.referral_conditions()
    profile = PlayerProfile(user=user, referred_by=referrer, month=current_month(now))
    if referrer is not None and not conditions.pays_at_sign_up:
        profile.referral_waits_since = now
    worth = PointEventTypeMaster.objects.using(written_to()).filter(name="SIGNUP", active=True)
    points: int | None = worth.values_list("points", flat=True).first()
    profile.points = profile.monthly_points = points or 0
    profile.save(force_insert=True)
    if points is not None:
        PointEvent.objects.create(user=user, type_id="SIGNUP", points=points, month=profile.month)
    if referrer is not None and referrer.is_active and conditions.pays_at_sign_up:
        pay_referral(referrer.pk, user.pk, profile.month)


def referral_reference(referred_id: Any) -> str:
    """Return the reference of a referral in point events, grants and rewards: each has it once."""
    return f"referral:{referred_id}"


def pay_referral(referrer_id: Any, referred_id: Any, month: dt.date) -> None:
    """Give a referrer the points of REFERRAL_BONUS and the heist tokens of a referral that signed up in this month.

    The caller holds the transaction and the lock on the referrer's profile. Raises IntegrityError where it was paid.
    """
    using, reference = written_to(), referral_reference(referred_id)
    users = get_user_model().objects.using(using).in_bulk([referrer_id, referred_id])
    # First: its unique reference decides.
    ReferralReward.objects.using(using).create(referrer=users[referrer_id], month=month, reference=reference)
    types = PointEventTypeMaster.objects.using(using).filter(name="REFERRAL_BONUS", active=True)
    if (worth := types.values_list("points", flat=True).first()) is not None:
        _add_points(referrer_id, "REFERRAL_BONUS", worth, reference)
    add_tokens(
        player=users[referrer_id],
        amount=heists.in_force.tokens_per_referral(),
        reason=GrantReason.REFERRAL,
        source=reference,
        referred=users[referred_id],
    )


def _lock_referrer(code: str | None) -> Any:
    if code is None:
        return None
    profiles = PlayerProfile.objects.using(written_to()).select_for_update(of=("self",)).select_related("user")
    profile = profiles.filter(referral_code=code).first()
    if profile is None:
        raise UnknownReferralCode
    begin_month([LockedProfile(profile.user_id, profile.month, profile.monthly_points)], written_to())
    return profile.user
