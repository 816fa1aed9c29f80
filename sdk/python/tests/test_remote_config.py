"""What the maker of an app may set from afar: documents are signed here as `docs/protocol/push.md` says, with keys drawn for each test."""

import json
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rcseal import Platform
from world import facts, in_a_world, refused

VERSION = b"\x01"


def document(key, counter, values, valid_s=3600):
    now = int(time.time() * 1000)
    signed = {"counter": counter, "issued_at_ms": now, "expires_at_ms": now + valid_s * 1000, "values": values}
    text = json.dumps(signed).encode()
    return VERSION + key.sign(b"rcseal/remote-config/v1" + VERSION + text) + text


async def opened(world, key):
    """A client of an app that was built with this key, or with none."""
    raw = key and key.public_key().public_bytes_raw()
    person = await world.opened("remote" if key else "unasked", remote_config_key=raw)
    return person, person.client


def refusal(code):
    return ["invalid_argument", code, False]


@in_a_world
async def test_a_signed_document_counts_over_a_restart_too_and_an_older_one_never_again(world):
    key = Ed25519PrivateKey.generate()
    person, client = await opened(world, key)
    taken = await client.apply_remote_config(document(key, 2, {"canary_percent": 100, "rekey_seconds_max": 1, "later": 5}))
    assert (taken.counter, taken.is_expired, taken.is_canary, taken.unknown) == (2, False, True, ["later"])
    values = {value.key: (value.value, value.is_clamped) for value in taken.values}
    assert values == {"canary_percent": (100, False), "rekey_seconds_max": (600, True)}
    older = document(key, 1, {})
    assert facts(await refused(client.apply_remote_config(older))) == refusal("remote_config_rollback")
    await client.close()
    again = await world.opened_again(person)
    assert await again.remote_config() == taken
    assert facts(await refused(again.apply_remote_config(older))) == refusal("remote_config_rollback")
    assert (await again.apply_remote_config(document(key, 3, {}))).counter == 3


@in_a_world
async def test_a_document_of_another_key_a_changed_a_late_or_an_unasked_one_is_refused(world):
    key = Ed25519PrivateKey.generate()
    _, client = await opened(world, key)
    changed = document(key, 1, {"no_sms": 0}).replace(b'"no_sms": 0', b'"no_sms": 1')
    for code, no_document in (
        ("remote_config_signature", document(Ed25519PrivateKey.generate(), 1, {})),
        ("remote_config_signature", changed),
        ("remote_config_expired", document(key, 1, {}, valid_s=-1)),
        ("remote_config_malformed", VERSION),
    ):
        assert facts(await refused(client.apply_remote_config(no_document))) == refusal(code)
    assert (await client.remote_config()).counter == 0
    _, without = await opened(world, None)
    assert facts(await refused(without.apply_remote_config(document(key, 1, {})))) == refusal("remote_config_off")


@in_a_world
async def test_what_is_switched_off_is_refused_until_a_newer_document_allows_it_again(world):
    key = Ed25519PrivateKey.generate()
    _, client = await opened(world, key)
    await client.apply_remote_config(document(key, 1, {"no_linking": 1}))
    off = await refused(client.link_start(world.origin, Platform.SERVER))
    assert off.code == "remote_config_switched_off"
    await client.apply_remote_config(document(key, 2, {}))
    assert (await client.link_start(world.origin, Platform.SERVER)).text
