"""Wake-ups out of a real relay, the words of notifications, and what the maker of the app learns and may set."""

import json
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rcseal import (
    InvalidArgumentError,
    PushKind,
    PushProvider,
    RcsealClient,
    all_words,
    process_push_in_extension,
    words,
    words_for_message,
    words_languages,
)
from world import TestVault, eventually, in_a_world, in_a_world_with, knowing, received, refused

_FOLDER = tempfile.TemporaryDirectory(prefix="rcseal-py-spool-")
SPOOL = Path(_FOLDER.name)


async def woken(world):
    """Somebody for whom a message waits, with the payload that tells so."""
    ada, bob = await world.person("Ada"), await world.person("Bob")
    await bob.client.register_push_token(PushProvider.FCM, b"a token of the provider's", "org.example")
    contact = await ada.client.add_contact(await bob.client.invitation(), "Bob")
    for old in SPOOL.glob("*.json"):
        old.unlink()
    to_bob = await ada.client.conversation(contact.id)
    await to_bob.send_text("the secret is 12345")
    await ada.client.sync_once()

    async def spooled():
        return next((file.read_text() for file in SPOOL.glob("*.json")), None)

    wake_up = await eventually(spooled)
    assert "12345" not in wake_up
    return ada, bob, payload_in(json.loads(wake_up))


def payload_in(wake_up):
    """The field of that name, wherever the spool keeps it."""
    if isinstance(wake_up, dict):
        if isinstance(wake_up.get("payload"), str):
            return wake_up["payload"]
        wake_up = list(wake_up.values())
    if isinstance(wake_up, list):
        return next(filter(None, map(payload_in, wake_up)), None)
    return None


def shown(outcome):
    assert outcome.is_complete
    (notification,) = outcome.notifications
    assert (notification.kind, notification.count) == (PushKind.MESSAGE, 1)
    for language in words_languages():
        entry = words(notification.words_key, language)
        assert not entry.placeholders
        assert "12345" not in f"{entry.title} {entry.body} {entry.accessibility}"


@in_a_world_with("--wake-ups", str(SPOOL))
async def test_a_wake_up_brings_what_waits_and_says_nothing_of_it(world):
    ada, bob, payload = await woken(world)
    shown(await bob.client.process_push(payload, 20_000))
    await received(await knowing(bob.client, ada.client), "the secret is 12345")
    await bob.client.unregister_push_token()


@in_a_world_with("--wake-ups", str(SPOOL))
async def test_a_wake_up_is_dealt_with_in_a_process_beside_the_app(world):
    ada, bob, payload = await woken(world)
    await bob.client.close()
    shown(await process_push_in_extension(bob.config, bob.vault, payload, 20_000))
    again = await world.opened_again(bob)
    await received(await knowing(again, ada.client), "the secret is 12345")


@in_a_world
async def test_a_payload_that_is_no_wake_up_is_an_error_of_push(world):
    bob = await world.person("Bob")
    for payload in ("", "{}", "hello"):
        assert (await refused(bob.client.process_push(payload, 1_000))).kind == "push"
    assert (await refused(bob.client.register_push_token(PushProvider.FCM, b"", "org.example"))).kind == "push"


def test_every_state_of_the_catalogue_has_words_in_every_language():
    keys = [[entry.key for entry in all_words(language)] for language in words_languages()]
    assert keys[0] and all(keys[0] == other for other in keys)
    with pytest.raises(InvalidArgumentError) as caught:
        words("no.such.key", "en")
    assert caught.value.code == "words.unknown_key"
    assert words(keys[0][0], "en") == words(keys[0][0], "xx")


def test_the_code_of_an_error_leads_to_its_words():
    found = [words(code, "de").key for code in ("backup_wrong_secret", "store.damaged", "vault.not_found", "link_expired")]
    assert found == ["backup.wrong_passphrase", "store.damaged", "vault.invalidated", "link.start_over"]
    with pytest.raises(InvalidArgumentError) as caught:
        words("argument_malformed", "en")
    assert caught.value.code == "words.unknown_key"


@in_a_world
async def test_every_message_has_words_for_how_far_it_has_come(world):
    _, _, to_bob, _ = await world.acquainted()
    (message,) = await to_bob.messages(1)
    for language in words_languages():
        assert words_for_message(message, language).title


@in_a_world
async def test_nothing_is_counted_or_set_from_afar_unless_the_app_says_so(world):
    client = (await world.person("Ada")).client
    assert await client.telemetry_report() is None
    assert not (await refused(client.apply_remote_config(b"no document"))).retryable


@in_a_world
async def test_counts_and_what_is_set_from_afar_are_there_where_the_app_says_so(world):
    key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    config = world.config("counted", telemetry=True, remote_config_key=key)
    async with await RcsealClient.open(config, TestVault()) as client:
        assert isinstance(json.loads(await client.telemetry_report()), dict)
        standing = await client.remote_config()
        assert (standing.counter, standing.values, standing.is_canary) == (0, [], False)
        assert not (await refused(client.apply_remote_config(b"no document"))).retryable
