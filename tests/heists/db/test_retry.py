"""Real deadlocks, serialization failures, lost connections and an exhausted pool, each at a chosen moment."""

from __future__ import annotations

import contextlib
import datetime as dt
import select
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.postgresql.psycopg_any import IsolationLevel, is_psycopg3
from django.test import Client
from django.utils import timezone
from knox.models import get_token_model

from gamification.models import PlayerProfile
from heists import conf
from heists.choices import GrantReason, HeistStatus
from heists.db import retry
from heists.db.atomic import durable_atomic
from heists.db.retry import retry_transient
from heists.errors import Busy, OutcomeUnknown
from heists.models import Heist, OutboxEmail, RuleSet, TokenGrant
from heists.services import deliver_due_emails, execute_heist, grant_tokens, prune
from tests.concurrency import TIMEOUT_SECONDS, CallThread
from tests.factories import player, points_of, rewrite, tokens_of
from tests.heists.services.lost_answers import fail_write
from tests.races.staging import ConcurrentCall, concurrent_at, connection_parameters, terminate

pytestmark = [pytest.mark.postgresql, pytest.mark.usefixtures("transactional_db")]


@pytest.fixture(autouse=True)
def reconnect() -> Iterator[None]:
    """Close the connection after the test, so that the next one opens its own."""
    yield
    connection.close()


def locked(user: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL deadlock_timeout = '10ms'")
    PlayerProfile.objects.select_for_update().get(user=user)


def my_backend() -> int:
    connection.ensure_connection()
    backend: int = connection.connection.info.backend_pid
    return backend


def test_a_deadlock_is_retried() -> None:
    alice, bob = player(), player()
    tries: list[str] = []

    @retry_transient
    def call(first: Any, second: Any, meet: Callable[[], Any]) -> None:
        tries.append(threading.current_thread().name)
        with durable_atomic("default", repeatable=True):
            locked(first)
            meet()
            locked(second)

    concurrent = ConcurrentCall(lambda: call(bob, alice, lambda: None))

    def meet() -> None:
        if concurrent.ident is None:
            concurrent.start()
            concurrent.settle()

    call(alice, bob, meet)
    concurrent.finish()

    assert concurrent.error is None
    assert len(tries) == 3


def test_a_serialization_failure_at_commit_is_retried() -> None:
    connection.close()
    options = connection.settings_dict.setdefault("OPTIONS", {})
    options["isolation_level"] = IsolationLevel.SERIALIZABLE
    tries: list[int] = []
    errors: list[Any] = []

    def write_skew(source: str, meet: Callable[[], Any]) -> None:
        with durable_atomic("default", repeatable=True):
            seen = TokenGrant.objects.count()
            TokenGrant.objects.create(player_id=alice.pk, amount=seen + 1, reason="STAFF", source=source)
            meet()

    @retry_transient
    def call() -> None:
        tries.append(1)
        try:
            write_skew("mine", meet)
        except OperationalError as error:
            errors.append(error)
            raise

    try:
        alice = player()
        concurrent = ConcurrentCall(lambda: write_skew("theirs", lambda: None))

        def meet() -> None:
            if concurrent.ident is None:
                concurrent.start()
                concurrent.finish()

        call()
    finally:
        del options["isolation_level"]
        connection.close()

    assert concurrent.error is None
    assert [retry.sqlstate(error) for error in errors] == [retry.SERIALIZATION_FAILURE]
    assert dict(TokenGrant.objects.values_list("source", "amount")) == {"theirs": 1, "mine": 2}


def test_old_rows_are_pruned_also_after_a_serialization_failure() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")
    rewrite(heist, created_at=timezone.now() - dt.timedelta(days=1))

    with fail_write():
        assert prune(address=dt.timedelta(hours=1)).addresses == 1

    assert Heist.objects.get().ip_address is None


@pytest.mark.parametrize("number", [1, 3], ids=["while it is leased", "while it is marked"])
def test_an_email_is_sent_once_also_after_a_serialization_failure(number: int) -> None:
    grant_tokens(player=player(email="alice@example.org"), amount=1, reason=GrantReason.STAFF, source="one")

    with fail_write(number):
        tally = deliver_due_emails()

    assert (tally.sent, len(mail.outbox), OutboxEmail.objects.get().state) == (1, 1, "SENT")


def test_a_call_that_fails_each_time_raises_busy() -> None:
    tries: list[int] = []

    @retry_transient
    def call() -> None:
        tries.append(1)
        with durable_atomic("default", repeatable=True), connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$")

    with pytest.raises(Busy):
        call()

    assert len(tries) == retry.MAX_ATTEMPTS


def test_a_broken_constraint_is_retried_a_few_times_only() -> None:
    tries: list[int] = []

    @retry_transient
    def call() -> None:
        tries.append(1)
        with durable_atomic("default", repeatable=True):
            TokenGrant.objects.create(player_id=987654321, amount=1, reason="STAFF", source="nobody")

    with pytest.raises(IntegrityError):
        call()

    assert len(tries) == retry.MAX_ATTEMPTS_OTHER


@pytest.mark.parametrize("key", [None, "key"])
@pytest.mark.parametrize(
    "point", ["before the first look", "after the first look", "after the lock", "after the points moved"]
)
def test_a_backend_killed_during_the_call_is_retried(point: str, key: str | None) -> None:
    alice, bob = player(tokens=2), player(points=1000)
    backend = my_backend()

    with concurrent_at(point, lambda: terminate(backend)):
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key=key)

    assert heist.status == HeistStatus.SUCCESS
    assert (points_of(bob), tokens_of(alice).balance, Heist.objects.count()) == (950, 1, 1)
    assert my_backend() != backend


def test_a_backend_killed_before_the_commit_is_retried_with_a_key() -> None:
    alice, bob = player(tokens=2), player(points=1000)
    backend = my_backend()

    with concurrent_at("before the commit", lambda: terminate(backend)):
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="key")

    assert heist.status == HeistStatus.SUCCESS
    assert (points_of(bob), tokens_of(alice).balance, Heist.objects.count()) == (950, 1, 1)


def relay(client: socket.socket, target: dict[str, Any], lost: threading.Event) -> None:
    """Copy bytes between Django and the server; the first COMMIT is carried out, and its answer is never delivered."""
    host, port = target.get("host", "127.0.0.1"), target.get("port", "5432")
    local = host.startswith("/")
    upstream = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
    # Either side may close first.
    with contextlib.suppress(OSError), client, upstream as server:
        server.connect(f"{host}/.s.PGSQL.{port}" if local else (host, int(port)))
        while True:
            for source in select.select([client, server], [], [])[0]:
                data = source.recv(65536)
                (server if source is client else client).sendall(data)
                if not data:
                    return
                if source is client and b"COMMIT" in data and not lost.is_set():
                    lost.set()
                    server.recv(65536)
                    return


@pytest.fixture
def lost_after_commit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The next COMMIT is carried out, but its answer never arrives."""
    RuleSet.objects.in_force(conf.rules())
    connection.close()
    lost = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, monkeypatch.context() as patch:
        port = str(listener.getsockname()[1])
        target = connection_parameters()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=relay, args=[listener.accept()[0], target, lost], daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        # Unencrypted, so that the relay can read what passes.
        plain = {"sslmode": "disable", "gssencmode": "disable"}
        options = connection.settings_dict.get("OPTIONS", {}) | plain
        for name, value in (("HOST", "127.0.0.1"), ("PORT", port), ("OPTIONS", options)):
            patch.setitem(connection.settings_dict, name, value)
        yield
        connection.close()
        listener.shutdown(socket.SHUT_RDWR)
    assert lost.is_set()


def test_a_commit_whose_answer_is_lost_is_found_by_the_key(request: pytest.FixtureRequest) -> None:
    alice, bob = player(tokens=2), player(points=1000)
    request.getfixturevalue("lost_after_commit")

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="key")

    assert heist.status == HeistStatus.SUCCESS
    assert (points_of(bob), tokens_of(alice).balance, Heist.objects.count()) == (950, 1, 1)


def test_a_commit_whose_answer_is_lost_without_a_key_is_an_unknown_outcome(request: pytest.FixtureRequest) -> None:
    alice, bob = player(tokens=2), player(points=1000)
    request.getfixturevalue("lost_after_commit")

    with pytest.raises(OutcomeUnknown):
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert (points_of(bob), tokens_of(alice).balance, Heist.objects.count()) == (950, 1, 1)


def test_a_grant_whose_answer_is_lost_is_granted_once(request: pytest.FixtureRequest) -> None:
    alice = player()
    request.getfixturevalue("lost_after_commit")

    grant_tokens(player=alice, amount=3, reason=GrantReason.STAFF, source="s")

    assert tokens_of(alice).balance == 3


def test_an_unreachable_database_raises_busy_and_the_next_call_works(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "PORT", "1")
        with pytest.raises(Busy):
            execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert heist.status == HeistStatus.SUCCESS
    assert Heist.objects.count() == 1


@pytest.mark.skipif(not is_psycopg3, reason="Django's pool needs psycopg 3")
def test_an_exhausted_pool_raises_busy_and_the_next_call_works(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    connection.close()
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            held.set()
            assert free.wait(TIMEOUT_SECONDS)

    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
        pool = {"min_size": 1, "max_size": 1, "timeout": 0.2}
        patch.setitem(connection.settings_dict, "OPTIONS", connection.settings_dict["OPTIONS"] | {"pool": pool})
        holder = CallThread(hold)
        try:
            holder.start()
            assert held.wait(TIMEOUT_SECONDS)
            with pytest.raises(Busy):
                execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
            free.set()
            holder.finish()
            heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
        finally:
            free.set()
            connection.close()
            getattr(connection, "close_pool")()  # noqa: B009

    assert heist.status == HeistStatus.SUCCESS
    assert Heist.objects.count() == 1


def test_tokens_added_in_a_hosts_transaction_are_rolled_back_with_it() -> None:
    from heists.services import add_tokens

    alice = player()

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        add_tokens(player=alice, amount=1, reason=GrantReason.PROMOTION, source="s")
        raise ZeroDivisionError

    assert not TokenGrant.objects.exists()


def test_a_commit_hook_of_the_host_that_raises_undoes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from gamification.economy import GamificationEconomy

    alice, bob = player(tokens=2), player(points=1000)
    transfer = GamificationEconomy.transfer

    def with_a_hook(self: Any, heist: Heist) -> None:
        transfer(self, heist)
        transaction.on_commit(lambda: 1 / 0)

    monkeypatch.setattr(GamificationEconomy, "transfer", with_a_hook)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert heist.status == HeistStatus.SUCCESS
    assert (points_of(bob), tokens_of(alice).balance, Heist.objects.count()) == (950, 1, 1)


def rob_by_http(attacker: Any, victim: Any) -> Any:
    client = Client(raise_request_exception=False)
    secret = get_token_model().objects.create(user=attacker)[1]

    def post() -> Any:
        body = {"victim": victim.pk}
        return client.post(
            "/api/heists/", body, content_type="application/json", headers={"Authorization": f"Token {secret}"}
        )

    return post


def test_an_unreachable_database_is_a_503_problem_and_the_next_request_works(monkeypatch: pytest.MonkeyPatch) -> None:
    post = rob_by_http(player(tokens=1), player(points=1000))
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "PORT", "1")
        unreachable = post()

    assert (unreachable.status_code, unreachable["Content-Type"]) == (503, "application/problem+json")
    assert unreachable["Retry-After"] == "1"
    assert post().status_code == 201
    assert Heist.objects.count() == 1


def test_an_unknown_outcome_has_no_retry_after(request: pytest.FixtureRequest) -> None:
    alice, bob = player(tokens=2), player(points=1000)
    post = rob_by_http(alice, bob)
    request.getfixturevalue("lost_after_commit")

    answer = post()

    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    assert not answer.has_header("Retry-After")
    assert Heist.objects.count() == 1
