"""What an app is told: in an `async for`, or by a function. An event is forgotten only after the listener's turn with it is over.

A listener that ends is always cancelled first and let go afterwards: the other way round the library would go on to the next event, be
refused, and count that one as told.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeVar

from . import _ffi, _native
from .errors import ClosedError, _asking

T = TypeVar("T")
_log = logging.getLogger("rcseal")
_Told = tuple[T, "concurrent.futures.Future[None]"]


class Subscription:
    """A listener that was subscribed."""

    def __init__(self, subscribe: Callable[[Callable[..., None]], _ffi.Subscription], listener: Callable[..., object]) -> None:
        """Made by `RcsealClient.observe_messages` and its siblings."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._pending: concurrent.futures.Future[object] | None = None
        self._is_over = False
        self._inner = _asking(lambda: subscribe(self._tell))

    def cancel(self) -> None:
        """Ends it: nothing more is told, and what was not told is kept. The call under way has had its turn. Twice is no error."""
        self._inner.cancel()
        self._is_over = True
        if self._pending is not None:
            self._pending.cancel()

    def _tell(self, *what: object) -> None:
        if self._is_over:
            raise _native.ListenerError.Failed("the subscription is over")
        try:
            answer = self._listener(*what)
            if inspect.isawaitable(answer):
                self._pending = asyncio.run_coroutine_threadsafe(_awaited(answer), self._loop)
                self._pending.result()
        except BaseException as failure:
            # What an app's exception says may be content: its class has to do.
            _log.warning("a listener raised %s", type(failure).__name__)
            raise _native.ListenerError.Failed("the listener raised") from None


async def _awaited(answer: Awaitable[object]) -> object:
    return await answer


class Stream(Generic[T]):
    """What a client tells, for one `async for`. The next one is asked for when the loop has dealt with the one before.

    The subscription begins when this is made. It ends when the loop is left, when the client is closed, and with `aclose` or the end of an
    `async with`. The one that the loop was left at has had its turn; those after it are kept and told to the next
    subscriber, to whom some before it may be told again.
    """

    def __init__(self, subscribe: Callable[[Callable[[T], None]], _ffi.Subscription], over: Callable[[Stream[T]], None]) -> None:
        """Made by `RcsealClient.messages` and its siblings."""
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[_Told[T] | None] = asyncio.Queue()
        self._current: concurrent.futures.Future[None] | None = None
        self._is_over = False
        self._over = over
        self._inner = _asking(lambda: subscribe(self._tell))

    def _tell(self, what: T) -> None:
        if self._is_over:
            raise _native.ListenerError.Failed("nobody listens any more")
        done: concurrent.futures.Future[None] = concurrent.futures.Future()
        try:
            self._loop.call_soon_threadsafe(self._put, what, done)
            done.result()
        except (concurrent.futures.CancelledError, RuntimeError):
            raise _native.ListenerError.Failed("the loop ended") from None

    def _put(self, what: T, done: concurrent.futures.Future[None]) -> None:
        if self._is_over:
            done.cancel()
        else:
            self._queue.put_nowait((what, done))

    def __aiter__(self) -> AsyncGenerator[T, None]:
        """The loop's iterator. When the loop drops it, the subscription ends."""
        return self._told()

    async def _told(self) -> AsyncGenerator[T, None]:
        try:
            while not self._is_over and (told := await self._queue.get()) is not None:
                what, self._current = told
                yield what
                if self._current is not None:
                    self._current.set_result(None)
                    self._current = None
        finally:
            self._end()

    async def __aenter__(self) -> Stream[T]:
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends it."""
        self._end()

    async def aclose(self) -> None:
        """Ends it. Twice is no error."""
        self._end()

    def _end(self) -> None:
        if self._is_over:
            return
        self._inner.cancel()
        self._is_over = True
        if self._current is not None:
            self._current.cancel()
            self._current = None
        while not self._queue.empty():
            told = self._queue.get_nowait()
            if told is not None:
                told[1].cancel()
        self._queue.put_nowait(None)
        self._over(self)


class _MessageListener(_ffi.MessageListener):
    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell

    def on_message(self, change: _ffi.MessageChange, message: _ffi.Message) -> None:
        self._tell(change, message)


class _EventListener(_ffi.EventListener):
    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell

    def on_event(self, event: _ffi.ClientEvent) -> None:
        self._tell(event)


class _ConnectionListener(_ffi.ConnectionListener):
    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell

    def on_connection(self, state: _ffi.ConnectionState) -> None:
        self._tell(state)


class _Progress(_ffi.ProgressListener):
    def __init__(self, tell: Callable[[int, int], object]) -> None:
        self._tell = tell

    def on_progress(self, done: int, total: int) -> None:
        try:
            self._tell(done, total)
        except Exception:
            raise _native.ListenerError.Failed("the listener raised") from None


def _closed() -> ClosedError:
    return ClosedError("closed", False, "the client was closed")
