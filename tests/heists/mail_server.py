"""A real mail server on the loopback interface that accepts, rejects, hangs or drops, as a test says."""

from __future__ import annotations

import asyncio
import email
import email.policy
import threading
from collections.abc import Callable
from typing import Any

from aiosmtpd.smtp import SMTP

OK = "250 OK"
BUSY = "451 Busy, try again"
DROP = "drop"
HANG = "hang"

# Returns the answer to a delivery, by its number (from 1) and its recipient.
Answer = Callable[[int, str], str]


class MailServer:
    """What arrived is in `arrived`, a message for each delivery that was accepted."""

    def __init__(self) -> None:
        self.answer: Answer = lambda number, recipient: OK
        self.deliveries = 0
        self.connections = 0
        self.arrived: list[Any] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> MailServer:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(lambda: SMTP(self, loop=self._loop, hostname="mail"), "127.0.0.1", 0)

    async def _close(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, responses: Any) -> Any:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.deliveries += 1
        answer = self.answer(self.deliveries, envelope.rcpt_tos[0])
        if answer == HANG:
            await asyncio.Event().wait()
        if answer == DROP:
            server.transport.abort()
        if answer == OK:
            self.arrived.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return answer
