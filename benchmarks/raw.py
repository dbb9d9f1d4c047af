"""An execution and the reads in hand-written SQL, on one psycopg connection, without Django.

The execution reads and writes all that the service does: both balances locked in order; tokens, shield and history read
after the lock; the heist, the token, both balances, two point events and two notifications written.
"""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

LOCK = """
    SELECT user_id, monthly_points FROM gamification_playerprofile WHERE user_id IN (%s, %s) ORDER BY user_id FOR UPDATE
"""
PLAYERS = """
    SELECT u.id, u.username, u.is_active, u.email, t.balance, t.total_spent, t.last_spent_at, s.id
    FROM auth_user u LEFT JOIN heists_heisttoken t ON t.user_id = u.id
    LEFT JOIN heists_shield s ON s.player_id = u.id AND s.used_at IS NULL AND s.expired_at IS NULL AND s.expires_at > %s
    WHERE u.id IN (%s, %s)
"""
HISTORY = """
    SELECT 'outcome', created_at, 0 FROM heists_heist WHERE attacker_id = %s AND token_spent AND created_at >= %s
    UNION ALL
    SELECT 'loss', created_at, points_stolen FROM heists_heist
    WHERE victim_id = %s AND token_spent AND status = 'SUCCESS' AND created_at >= %s
"""
HEIST = """
    INSERT INTO heists_heist (attacker_id, victim_id, points_stolen, victim_points_before, victim_points_after,
        attacker_points_before, attacker_points_after, token_spent, status, ip_address, idempotency_key, rule_set_id,
        created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, true, 'SUCCESS', %s, %s, %s, %s) RETURNING id
"""
SPEND = """
    UPDATE heists_heisttoken SET balance = balance - 1, total_spent = total_spent + 1, last_spent_at = %s,
        updated_at = %s WHERE user_id = %s
"""
POINTS = "UPDATE gamification_playerprofile SET monthly_points = %s WHERE user_id = %s"
EVENTS = """
    INSERT INTO gamification_pointevent (user_id, type, points, reference, created_at, month)
    VALUES (%s, 'HEIST_GAIN', %s, %s, %s, (SELECT month FROM gamification_playerprofile WHERE user_id = %s)),
           (%s, 'HEIST_LOSS', %s, %s, %s, (SELECT month FROM gamification_playerprofile WHERE user_id = %s))
"""
NOTIFICATIONS = """
    INSERT INTO heists_heistnotification (user_id, heist_id, type, message, metadata, read, email_sent, created_at)
    VALUES (%s, %s, 'HEIST_SUCCESS', %s, %s, false, false, %s), (%s, %s, 'HEIST_VICTIM', %s, %s, false, false, %s)
"""

BALANCE = (
    "SELECT balance, total_earned, total_spent, last_earned_at, last_spent_at FROM heists_heisttoken WHERE user_id = %s"
)
FEED = "SELECT * FROM heists_heistnotification WHERE user_id = %s ORDER BY created_at DESC, id DESC LIMIT 20"
HISTORY_PAGE = """
    SELECT h.*, a.username, v.username FROM (
        (SELECT * FROM heists_heist WHERE attacker_id = %(me)s ORDER BY created_at DESC, id DESC LIMIT 20)
        UNION ALL
        (SELECT * FROM heists_heist WHERE victim_id = %(me)s AND token_spent
         ORDER BY created_at DESC, id DESC LIMIT 20)
    ) h JOIN auth_user a ON a.id = h.attacker_id JOIN auth_user v ON v.id = h.victim_id
    ORDER BY h.created_at DESC, h.id DESC LIMIT 20
"""
PREVIEW = """
    SELECT u.id, u.username, u.is_active, p.monthly_points, t.balance, t.last_spent_at,
        (SELECT array_agg(r.created_at) FROM heists_heist r
         WHERE r.attacker_id = u.id AND r.attacker_id = %(me)s AND r.token_spent AND r.created_at >= %(day)s),
        (SELECT array_agg(l.points_stolen) FROM heists_heist l
         WHERE l.victim_id = u.id AND u.id <> %(me)s AND l.token_spent AND l.status = 'SUCCESS'
         AND l.created_at >= %(month)s)
    FROM auth_user u LEFT JOIN gamification_playerprofile p ON p.user_id = u.id
    LEFT JOIN heists_heisttoken t ON t.user_id = u.id WHERE u.id = ANY(%(all)s)
"""
ME = """
    SELECT u.id, u.username, u.is_active, p.monthly_points, p.coins, t.balance, t.total_earned, t.total_spent,
        t.last_earned_at, t.last_spent_at, s.expires_at, r.starts_at, r.ends_at,
        (SELECT array_agg(o.created_at) FROM heists_heist o
         WHERE o.attacker_id = u.id AND o.token_spent AND o.created_at >= %(day)s),
        (SELECT sum(l.points_stolen) FROM heists_heist l
         WHERE l.victim_id = u.id AND l.token_spent AND l.status = 'SUCCESS' AND l.created_at >= %(month)s),
        (SELECT max(l.created_at) FROM heists_heist l
         WHERE l.victim_id = u.id AND l.token_spent AND l.status = 'SUCCESS' AND l.created_at >= %(month)s),
        (SELECT count(*) FROM heists_heistnotification n WHERE n.user_id = u.id AND NOT n.read)
    FROM auth_user u LEFT JOIN gamification_playerprofile p ON p.user_id = u.id
    LEFT JOIN heists_heisttoken t ON t.user_id = u.id
    LEFT JOIN heists_shield s ON s.player_id = u.id AND s.used_at IS NULL AND s.expired_at IS NULL
    LEFT JOIN heists_truce r ON r.player_id = u.id AND r.ends_at IS NULL WHERE u.id = %(me)s
"""
BOARD = "SELECT user_id FROM gamification_playerprofile ORDER BY monthly_points DESC, user_id LIMIT 20"


class Rejected(Exception):
    """A rule fails."""


def rob(
    connection: psycopg.Connection[Any], attacker: int, victim: int, rule_set_id: int, key: str | None = None
) -> int:
    """Execute a heist in one transaction and return its id. The connection is in autocommit."""
    now = dt.datetime.now(dt.UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    day, protection = now - dt.timedelta(days=1), now - dt.timedelta(hours=48)
    with connection.transaction(), connection.cursor() as cursor:
        points = dict(cursor.execute(LOCK, (attacker, victim)).fetchall())
        players = {row[0]: row for row in cursor.execute(PLAYERS, (now, attacker, victim))}
        losses, outcomes = [], 0
        for kind, at, lost in cursor.execute(HISTORY, (attacker, day, victim, min(month, protection))):
            if kind == "outcome":
                outcomes += 1
            else:
                losses.append((at, lost))
        _id, robber, _active, _mail, balance, _spent, last_spent, _shield = players[attacker]
        _id, robbed, active, _mail, _balance, _spent, _last, shield = players[victim]
        before_victim, before_attacker = points[victim], points[attacker]
        lost = sum(lost for at, lost in losses if at >= month)
        left = (before_victim + lost) * 10 // 100 - lost
        amount = min(before_victim * 5 // 100, 100, left)
        if (
            attacker == victim
            or not active
            or balance < 1
            or (last_spent and now < last_spent + dt.timedelta(hours=24))
            or outcomes >= 10
            or any(at > protection for at, _lost in losses)
            or before_victim < 20
            or amount < 1
            or shield
        ):
            raise Rejected
        after_victim, after_attacker = before_victim - amount, before_attacker + amount
        heist = cursor.execute(
            HEIST,
            (
                attacker,
                victim,
                amount,
                before_victim,
                after_victim,
                before_attacker,
                after_attacker,
                "203.0.113.9",
                key,
                rule_set_id,
                now,
            ),
        ).fetchone()
        assert heist
        cursor.execute(SPEND, (now, now, attacker))
        cursor.execute(POINTS, (after_victim, victim))
        cursor.execute(POINTS, (after_attacker, attacker))
        reference = f"heist:{heist[0]}"
        gain, loss = (attacker, amount, reference, now, attacker), (victim, -amount, reference, now, victim)
        cursor.execute(EVENTS, (*gain, *loss))
        metadata = {
            "attacker_id": attacker,
            "attacker_name": robber,
            "victim_id": victim,
            "victim_name": robbed,
            "points": amount,
        }
        until = {"protection_until": (now + dt.timedelta(hours=48)).isoformat()}
        gained = f"Success! You pulled a heist on {robbed} and stole {amount} points!"
        lost_ = f"Oh no! {robber} just pulled a heist on you and stole {amount} of your monthly points!"
        cursor.execute(
            NOTIFICATIONS,
            (attacker, heist[0], gained, Jsonb(metadata), now, victim, heist[0], lost_, Jsonb(metadata | until), now),
        )
    return int(heist[0])


def window(me: int, others: list[int]) -> dict[str, Any]:
    """Return the parameters of `PREVIEW`."""
    now = dt.datetime.now(dt.UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return {"me": me, "day": now - dt.timedelta(days=1), "month": month, "all": [me, *others]}


def work(url: str, pairs: list[tuple[int, int]], rule_set_id: int, ready: Any, done: Any) -> None:
    """Execute a heist for each pair, over four connections, between two barriers. Runs in a process of its own."""
    queue, lock = iter(pairs), threading.Lock()
    connections = [psycopg.connect(url, autocommit=True) for _ in range(4)]

    def drain(connection: psycopg.Connection[Any]) -> None:
        while True:
            with lock:
                pair = next(queue, None)
            if pair is None:
                return
            rob(connection, *pair, rule_set_id, str(uuid.uuid4()))

    threads = [threading.Thread(target=drain, args=(connection,)) for connection in connections]
    ready.wait()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.wait()
    for connection in connections:
        connection.close()
