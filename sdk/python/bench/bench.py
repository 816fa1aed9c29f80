"""What the Python face costs over the Rust call, for messages of 1 KiB.

`cargo xtask bench sdk` starts it with the address of a relay and the file of its authority; it prints one JSON object with its rows.

Measured is the border by itself: a call that carries the same 1 KiB and is refused at once behind it, because the client is closed, and the
translation of a message of 1 KiB out of the library's memory. The whole calls are rows beside them, without a goal.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from rcseal import ClientConfig, ClosedError, Message, NewAccount, Platform, RcsealClient, SoftwareKeyVault, _ffi

_WARM_UP = 500
_ROUNDS = 5_000
_WHOLE_ROUNDS = 200
_GOAL = 60.0
_TEXT = "x" * 1024


async def _median(warm_up: int, rounds: int, call: Callable[[], Awaitable[object]]) -> float:
    """The median time of a call, in microseconds."""
    for _ in range(warm_up):
        await call()
    times = []
    for _ in range(rounds):
        since = time.perf_counter_ns()
        await call()
        times.append(time.perf_counter_ns() - since)
    return statistics.median(times) / 1000


async def _refused(call: Awaitable[object]) -> None:
    try:
        await call
    except ClosedError:
        return
    raise AssertionError("the client is closed, and the call was not refused")


def _translation(message: Message) -> float:
    """The median time in which a message is taken out of the library's memory, in microseconds."""
    # The converter of one record type, which the package keeps to itself and no type checker knows.
    converter: Any = vars(_ffi)["_UniffiFfiConverterTypeMessage"]
    times = []
    for _ in range(_WARM_UP + _ROUNDS):
        buffer = converter.lower(message)
        since = time.perf_counter_ns()
        converter.lift(buffer)
        times.append(time.perf_counter_ns() - since)
    return statistics.median(times[_WARM_UP:]) / 1000


async def measure(server: str, authority: str, folder: Path) -> list[dict[str, Any]]:
    """Measures beside a relay."""
    clients = []
    for name in ("ada", "bob"):
        config = ClientConfig(folder=str(folder / name), authorities_pem=Path(authority).read_text())
        client = await RcsealClient.open(config, SoftwareKeyVault(folder / f"{name}.keys", "for a measurement"))
        await client.create_account(NewAccount(origin=server, platform=Platform.SERVER, display_name=name, invite=None))
        clients.append(client)
    ada, bob = clients
    conversation = await ada.conversation((await ada.add_contact(await bob.invitation(), "bob")).id)
    whole = await _median(_WHOLE_ROUNDS // 4, _WHOLE_ROUNDS, lambda: conversation.send_text(_TEXT))
    message = (await conversation.messages(1))[0]
    read = await _median(_WHOLE_ROUNDS, _WHOLE_ROUNDS, lambda: conversation.message(message.sender_id, message.id))
    for client in clients:
        await client.close()

    send = await _median(_WARM_UP, _ROUNDS, lambda: _refused(conversation.send_text(_TEXT)))
    answered = await _median(_WARM_UP, _ROUNDS, lambda: _refused(conversation.message(message.sender_id, message.id)))
    lift = _translation(message)
    return [
        {"id": "python_send_1kib_border", "value": send, "unit": "µs", "goal": _GOAL},
        {"id": "python_receive_1kib_border", "value": answered + lift, "unit": "µs", "goal": _GOAL},
        {"id": "python_send_1kib_whole", "value": whole, "unit": "µs"},
        {"id": "python_read_1kib_whole", "value": read, "unit": "µs"},
    ]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("a relay's address and the file of its authority are needed")
    with tempfile.TemporaryDirectory(prefix="rcseal-bench-") as place:
        print(json.dumps({"rows": asyncio.run(measure(sys.argv[1], sys.argv[2], Path(place)))}))
