"""Unusable connections, on a real PostgreSQL: each is closed and not used again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, ProgrammingError, connection
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from knox.models import get_token_model
from rest_framework.test import APIClient

from gamification.economy import GamificationEconomy
from heists.choices import HeistStatus
from heists.db import retry
from heists.emails.outbox import deliver_due_emails
from heists.errors import Busy
from heists.models import Heist
from heists.services import buy_shield, execute_heist, expire_shields, mark_all_read, set_email_preference
from tests.factories import player, points_of
from tests.races.staging import connection_parameters

pytestmark = pytest.mark.postgresql


@pytest.fixture(autouse=True)
def reconnect(transactional_db: None) -> Iterator[None]:
    yield
    connection.close()


def session(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def beside(*statements: str, **parameters: Any) -> None:
    """Run statements on a connection of another client."""
    parameters = parameters or connection_parameters()
    with psycopg.connect(**parameters, autocommit=True, options="-c default_transaction_read_only=off") as other:
        for statement in statements:
            other.execute(statement)


def backend() -> int:
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


def fail_over() -> None:
    """The kept connection leads to a server that is a standby now; new ones lead to the new primary."""
    session("SET default_transaction_read_only = on")


def be_shut_down() -> None:
    beside(f"SELECT pg_terminate_backend({backend()}, 5000)")


def be_idle_too_long() -> None:
    session("SET idle_session_timeout = '20ms'")
    time.sleep(0.2)


def widen_a_column() -> None:
    """Change a column that this connection has prepared statements for."""
    for _ in range(8):
        execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=5).pk)
        read_tokens(player(tokens=1))
    beside("ALTER TABLE heists_heisttoken ALTER COLUMN balance TYPE bigint")


USELESS: dict[str, tuple[Callable[[], None], str]] = {
    "a fail-over": (fail_over, "25006"),
    "a widened column": (widen_a_column, "0A000"),
    "a shutdown": (be_shut_down, "57P01"),
    "an idle session": (be_idle_too_long, "57P05"),
}
# psycopg 2 does not read the last words of a server that closes the connection.
UNHEARD_BY_PSYCOPG2 = ("57P01", "57P05", "25P03", "25P04")


def heard(code: str) -> list[str | None]:
    """Return the codes of the errors that Django's driver raises where the server sends this one."""
    if is_psycopg3:
        return [code]
    if code == "0A000":
        # psycopg 2 prepares no statements.
        return []
    return [None if code in UNHEARD_BY_PSYCOPG2 else code]


useless = pytest.mark.parametrize("happens", [happens for happens, _code in USELESS.values()], ids=USELESS)


@pytest.fixture
def narrow_again(transactional_db: None) -> Iterator[None]:
    yield
    connection.close()
    beside(
        "ALTER TABLE heists_heisttoken ALTER COLUMN balance TYPE integer",
        "ALTER DATABASE {} RESET ALL".format(connection.settings_dict["NAME"]),
    )


def read_tokens(user: Any) -> Any:
    api = APIClient(raise_request_exception=False)
    secret = get_token_model().objects.create(user=user)[1]
    return api.get("/api/heists/token/", headers={"Authorization": f"Token {secret}"})


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The SQLSTATE of each error that ended an attempt of a service."""
    codes: list[str | None] = []
    close = retry.close_if_unusable

    def note(error: BaseException, using: str | None = None) -> None:
        codes.append(retry.sqlstate(error))
        close(error, using)

    monkeypatch.setattr(retry, "close_if_unusable", note)
    return codes


@pytest.mark.usefixtures("narrow_again")
@pytest.mark.parametrize(("happens", "code"), USELESS.values(), ids=USELESS)
def test_a_heist_goes_on_on_a_new_connection(happens: Callable[[], None], code: str, met: list[str | None]) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    happens()
    before = connection.connection

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert met == heard(code)
    assert heist.status == HeistStatus.SUCCESS
    assert (points_of(bob), Heist.objects.filter(attacker=alice).count()) == (950, 1)
    if met:
        assert before.closed and connection.connection is not before


@pytest.mark.parametrize(
    ("setting", "code"), [("idle_in_transaction_session_timeout", "25P03"), ("transaction_timeout", "25P04")]
)
def test_a_transaction_that_takes_too_long_is_rolled_back_and_done_again(
    setting: str, code: str, met: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.ensure_connection()
    if setting == "transaction_timeout" and connection.connection.info.server_version < 170000:
        pytest.skip("transaction_timeout came with PostgreSQL 17")
    alice, bob = player(tokens=1), player(points=1000)
    transfer = GamificationEconomy.transfer

    def dawdle(self: Any, heist: Heist) -> None:
        if not met:
            session(f"SET LOCAL {setting} = '20ms'")
            time.sleep(0.2)
        transfer(self, heist)

    monkeypatch.setattr(GamificationEconomy, "transfer", dawdle)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert met == heard(code)
    assert (heist.status, points_of(bob), Heist.objects.count()) == (HeistStatus.SUCCESS, 950, 1)


@pytest.mark.usefixtures("narrow_again")
@useless
@pytest.mark.parametrize(
    "call",
    [
        lambda user: buy_shield(player_id=user.pk),
        lambda user: set_email_preference(player_id=user.pk, muted=True),
        lambda user: mark_all_read(player_id=user.pk),
        lambda user: expire_shields(),
    ],
    ids=["shield", "preference", "read", "expire"],
)
def test_every_other_service_goes_on_on_a_new_connection(
    happens: Callable[[], None], call: Callable[[Any], Any]
) -> None:
    user = player(coins=100, tokens=1)
    happens()

    call(user)


@pytest.mark.usefixtures("narrow_again")
@useless
def test_a_page_is_complete_or_a_503_with_retry_after(happens: Callable[[], None]) -> None:
    user = player(tokens=1)
    secret = get_token_model().objects.create(user=user)[1]
    api = APIClient(raise_request_exception=False)

    def get() -> Any:
        return api.get("/api/heists/token/", headers={"Authorization": f"Token {secret}"})

    for _ in range(8):
        get()
    happens()

    first, second = get(), get()

    assert first.status_code == 200 or (first.status_code, first["Retry-After"]) == (503, "1")
    assert (second.status_code, second.json()["balance"]) == (200, 1)


@pytest.mark.usefixtures("narrow_again")
def test_a_server_that_stays_read_only_is_busy_until_it_is_not() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    name = connection.settings_dict["NAME"]
    beside(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    connection.close()

    with pytest.raises(Busy):
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    with pytest.raises(Busy):
        deliver_due_emails()
    beside(f"ALTER DATABASE {name} RESET default_transaction_read_only")

    assert execute_heist(attacker_id=alice.pk, victim_id=bob.pk).status == HeistStatus.SUCCESS


LIMITED = "heists_limited"


@pytest.fixture(params=["role", "database"])
def too_many_connections(
    request: pytest.FixtureRequest, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """The server refuses every connection with 53300, too_many_connections, until the function is called."""
    settings, owner = connection.settings_dict, connection_parameters()
    connection.ensure_connection()
    database, role = settings["NAME"], f"{LIMITED}_{settings['NAME']}"
    limited = f"ROLE {role}" if request.param == "role" else f"DATABASE {database}"
    # A superuser is never refused, so the site connects as another role, which owns what the superuser does.
    beside(
        f"CREATE ROLE {role} LOGIN PASSWORD '{LIMITED}' IN ROLE {settings['USER'] or 'CURRENT_USER'}",
        f"ALTER {limited} CONNECTION LIMIT 0",
    )
    with monkeypatch.context() as patch:
        patch.setitem(settings, "USER", role)
        patch.setitem(settings, "PASSWORD", LIMITED)
        yield lambda: beside(f"ALTER {limited} CONNECTION LIMIT -1", **owner)
        connection.close()
    beside(f"ALTER DATABASE {database} CONNECTION LIMIT -1", f"DROP ROLE {role}")


def test_a_server_with_too_many_connections_is_busy_until_it_has_fewer(
    too_many_connections: Callable[[], None], met: list[str | None]
) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    secret = get_token_model().objects.create(user=alice)[1]
    api = APIClient(raise_request_exception=False)

    def get() -> Any:
        return api.get("/api/heists/token/", headers={"Authorization": f"Token {secret}"})

    connection.close()

    with pytest.raises(OperationalError, match="too many connections"):
        connection.ensure_connection()
    with pytest.raises(Busy):
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    # Drivers do not pass on the code of a server that refuses a connection.
    assert set(met) <= {None, "53300"} and len(met) == retry.MAX_ATTEMPTS_OTHER
    with pytest.raises(Busy):
        deliver_due_emails()
    answer = get()
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    too_many_connections()

    assert execute_heist(attacker_id=alice.pk, victim_id=bob.pk).status == HeistStatus.SUCCESS
    assert get().json()["balance"] == 0


@pytest.mark.parametrize("setting", ["statement_timeout", "lock_timeout"])
def test_a_statement_that_waits_too_long_is_busy_on_the_same_connection(setting: str) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    session(f"SET {setting} = '100ms'")
    before = backend()

    with psycopg.connect(**connection_parameters()) as other:
        other.execute("SELECT 1 FROM gamification_playerprofile WHERE user_id = %s FOR UPDATE", [bob.pk])
        with pytest.raises(Busy):
            execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert backend() == before
    assert execute_heist(attacker_id=alice.pk, victim_id=bob.pk).status == HeistStatus.SUCCESS


def test_a_missing_column_is_not_busy() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    beside("ALTER TABLE heists_heist RENAME COLUMN ip_address TO lost")
    try:
        with pytest.raises(ProgrammingError):
            execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    finally:
        beside("ALTER TABLE heists_heist RENAME COLUMN lost TO ip_address")
