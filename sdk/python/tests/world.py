"""What the tests share: a real relay as a child process, and people with a client each."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rcseal import ClientConfig, KeyProtection, NewAccount, Platform, RcsealClient, RcsealError, VaultError, VaultFailure

#: How long a test waits for what has to happen: many times what it takes on a busy machine.
PATIENCE = 30.0


class TestVault:
    """A vault in memory, which can be told to misbehave."""

    __test__ = False

    def __init__(self) -> None:
        self.fault: Callable[[str], None] = lambda method: None
        self.calls: list[str] = []
        self._generations: dict[str, int] = {}

    def _asked(self, method: str) -> None:
        self.calls.append(method)
        self.fault(method)

    def create_wrapping_key(self, alias: str) -> None:
        self._asked("create_wrapping_key")
        self._generations[alias] = 0

    def has_wrapping_key(self, alias: str) -> bool:
        self._asked("has_wrapping_key")
        return alias in self._generations

    def wrap(self, alias: str, data_key: bytes) -> bytes:
        self._asked("wrap")
        return bytes(byte ^ 0x5A for byte in data_key)

    def unwrap(self, alias: str, wrapped: bytes) -> bytes:
        self._asked("unwrap")
        return bytes(byte ^ 0x5A for byte in wrapped)

    def delete(self, alias: str) -> None:
        self._asked("delete")
        self._generations.pop(alias, None)

    def protection(self) -> KeyProtection:
        self._asked("protection")
        return KeyProtection.SOFTWARE

    def generation(self, alias: str) -> int:
        self._asked("generation")
        if alias not in self._generations:
            raise VaultError(VaultFailure.NOT_FOUND)
        return self._generations[alias]

    def bump_generation(self, alias: str) -> int:
        self._generations[alias] = self.generation(alias) + 1
        return self._generations[alias]


class Person:
    """A client, its vault, and what it was opened with."""

    def __init__(self, client: RcsealClient, vault: TestVault, config: ClientConfig) -> None:
        self.client, self.vault, self.config = client, vault, config


class World:
    """A relay and the people at it: `async with World() as world`."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self.folder = Path(tempfile.mkdtemp(prefix="rcseal-py-"))
        self._people: list[Person] = []

    async def __aenter__(self) -> World:
        command = [os.environ["RCSEAL_PROGRAM"], "--json", "serve", "--listen", "127.0.0.1:0", "--dir", str(self.folder / "relay"), *self._options]
        self._relay = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._relay.stdout is not None
        for line in self._relay.stdout:
            said = json.loads(line)
            if said["event"] == "serving":
                self.origin = said["server"]
                return self
        raise AssertionError("the relay did not start")

    async def __aexit__(self, *_: object) -> None:
        for person in self._people:
            await person.client.close()
        self._relay.kill()
        self._relay.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def config(self, name: str, **more: object) -> ClientConfig:
        authority = (self.folder / "relay" / "authority.pem").read_text()
        return ClientConfig(folder=str(self.folder / name), authorities_pem=authority, **more)

    def new_account(self, name: str, origin: str | None = None) -> NewAccount:
        return NewAccount(origin=origin or self.origin, platform=Platform.SERVER, display_name=name, invite=None)

    async def opened(self, name: str, **more: object) -> Person:
        vault, config = TestVault(), self.config(name, **more)
        person = Person(await RcsealClient.open(config, vault), vault, config)
        self._people.append(person)
        return person

    async def opened_again(self, person: Person) -> RcsealClient:
        """The client of somebody whose client was closed."""
        person.client = await RcsealClient.open(person.config, person.vault)
        return person.client

    async def person(self, name: str) -> Person:
        person = await self.opened(name)
        created = await person.client.create_account(self.new_account(name))
        assert created.is_registered, created.failure_code
        return person

    async def acquainted(self):
        """Two people who know each other and are connected, and the conversation from each side."""
        ada, bob = await self.person("Ada"), await self.person("Bob")
        contact = await ada.client.add_contact(await bob.client.invitation(), "Bob")
        to_bob = await ada.client.conversation(contact.id)
        await to_bob.send_text("hello")
        await ada.client.connect()
        await bob.client.connect()

        async def known():
            contacts = await bob.client.contacts()
            return contacts[0] if contacts else None

        to_ada = await bob.client.conversation((await eventually(known)).id)
        await eventually(lambda: to_ada.messages(10))
        return ada, bob, to_bob, to_ada


async def eventually(ask: Callable[[], Awaitable[object]]):
    """Asks until there is an answer, for a limited time."""
    latest = time.monotonic() + PATIENCE
    while True:
        answer = await ask()
        if answer:
            return answer
        assert time.monotonic() < latest, "it did not happen in time"
        await asyncio.sleep(0.02)


async def refused(call: Awaitable[object]) -> RcsealError:
    """The error of a call that has to fail."""
    try:
        await call
    except RcsealError as error:
        return error
    raise AssertionError("the call should have failed")


def facts(error: RcsealError) -> list[object]:
    """What every error says of itself."""
    return [error.kind, error.code, error.retryable]


def in_a_world(test):
    """Runs a test in a world of its own."""
    return in_a_world_with()(test)


def in_a_world_with(*options: str):
    """The same, with a relay that is started with options of its own."""

    def decorated(test):
        @functools.wraps(test)
        def run(**arguments):
            async def whole():
                async with World(*options) as world:
                    await asyncio.wait_for(test(world, **arguments), 120)

            asyncio.run(whole())

        # What pytest reads the arguments from: without the world.
        parameters = list(inspect.signature(test).parameters.values())[1:]
        run.__signature__ = inspect.Signature(parameters)
        del run.__wrapped__
        return run

    return decorated


async def knowing(client: RcsealClient, other: RcsealClient):
    """The conversation with somebody, as soon as the client knows them."""
    account = (await other.account()).account_id

    async def known():
        return any(contact.id == account for contact in await client.contacts())

    await eventually(known)
    return await client.conversation(account)


async def received(conversation, text: str):
    """A message with these words, as soon as it has come."""

    async def come():
        return next((message for message in await conversation.messages(50) if not message.is_outgoing and message.text == text), None)

    return await eventually(come)
