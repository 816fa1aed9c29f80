"""What every face is tested for, here in Python."""

import asyncio
import logging
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest

from rcseal import (
    AccountStage,
    ConnectionStatus,
    DeliveryMode,
    MediaPart,
    MessageChange,
    MessageKind,
    MessageState,
    Padlock,
    RcsealClient,
    SoftwareKeyVault,
    VaultError,
    VaultFailure,
    Verification,
)
from world import TestVault, eventually, facts, in_a_world, refused


@in_a_world
async def test_a_client_opens_in_a_new_folder_and_closes_and_then_every_call_says_closed(world):
    client = (await world.opened("opens")).client
    assert await client.account() is None
    await client.close()
    await client.close()
    assert client.is_closed
    for call in (client.account(), client.contacts(), client.connect(), client.conversations(1)):
        assert facts(await refused(call)) == ["closed", "closed", False]
    with pytest.raises(Exception) as caught:
        client.messages()
    assert caught.value.kind == "closed"


@in_a_world
async def test_an_account_is_created_once_and_is_there_after_the_next_opening(world):
    person = await world.person("Again")
    account = await person.client.account()
    assert (account.stage, account.display_name) == (AccountStage.ACTIVE, "Again")
    assert await person.client.pending_recovery_code() is not None
    await person.client.confirm_recovery_code()
    assert await person.client.pending_recovery_code() is None
    await person.client.close()
    async with await RcsealClient.open(person.config, person.vault) as again:
        assert (await again.account()).account_id == account.account_id
        assert (await refused(again.create_account(world.new_account("Second")))).kind == "account"


@in_a_world
async def test_a_second_client_on_the_same_store_is_refused_for_as_long_as_the_first_is_open(world):
    person = await world.opened("twice")
    error = await refused(RcsealClient.open(person.config, person.vault))
    assert facts(error) == ["store", "store.in_use", True]
    await person.client.close()
    await (await RcsealClient.open(person.config, person.vault)).close()


@in_a_world
async def test_a_damaged_store_stays_as_it_is_until_it_is_set_aside(world):
    person = await world.person("Damaged")
    folder = Path(person.config.folder)
    error = await refused(RcsealClient.set_store_aside(str(folder), person.vault))
    assert facts(error) == ["store", "store.in_use", True]
    await person.client.close()
    damaged = bytearray((folder / "store.db").read_bytes())
    # A byte of the database's plain header, every one of which is fixed.
    damaged[20] ^= 1
    (folder / "store.db").write_bytes(damaged)
    for _ in range(2):
        assert facts(await refused(RcsealClient.open(person.config, person.vault))) == ["store", "store.damaged", False]
    aside = await RcsealClient.set_store_aside(str(folder), person.vault)
    assert not aside.is_key_discarded and not folder.exists()
    assert (Path(aside.folder) / "store.db").read_bytes() == damaged
    assert await (await world.opened_again(person)).account() is None


@in_a_world
async def test_a_store_whose_key_was_discarded_is_set_aside_with_what_is_left_of_the_key(world):
    person = await world.person("Discarded")
    await person.client.close()

    def failing_with(failure):
        def fault(method):
            if method == "unwrap":
                raise VaultError(failure)

        return fault

    person.vault.fault = failing_with(VaultFailure.USER_NOT_AUTHENTICATED)
    error = await refused(RcsealClient.set_store_aside(person.config.folder, person.vault))
    assert facts(error) == ["vault", "vault.user_not_authenticated", True]
    person.vault.fault = failing_with(VaultFailure.KEY_INVALIDATED)
    assert (await RcsealClient.set_store_aside(person.config.folder, person.vault)).is_key_discarded
    person.vault.fault = lambda method: None
    assert await (await world.opened_again(person)).account() is None


@in_a_world
async def test_arguments_that_cannot_be_read_are_named_by_a_stable_code(world):
    client = (await world.opened("arguments")).client
    for call in (client.contact("no id"), client.conversations(-1), client.contact(7), client.create_account(world.new_account("", "nowhere"))):
        assert facts(await refused(call)) == ["invalid_argument", "argument_malformed", False]


@in_a_world
async def test_a_server_that_is_away_is_an_error_of_the_network_and_the_account_is_kept(world):
    client = (await world.opened("away")).client
    created = await client.create_account(world.new_account("Away", "https://127.0.0.1:1"))
    assert (created.is_registered, created.is_retryable) == (False, True)
    assert (await client.account()).stage is AccountStage.REGISTERING
    error = await refused(client.register())
    assert (error.kind, error.retryable) == ("network", True)


@in_a_world
async def test_a_software_vault_shows_in_the_security_state(world):
    state = await (await world.opened("software")).client.security_state()
    assert state.is_software_vault and not state.is_registered


@in_a_world
async def test_a_call_that_is_cancelled_leaves_the_store_whole(world):
    ada, _, to_bob, to_ada = await world.acquainted()
    for number in range(10):
        task = asyncio.create_task(to_bob.send_text(f"cancelled {number}"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await to_bob.send_text("last")

    async def all_there():
        texts = [message.text for message in await to_ada.messages(50)]
        return texts if "last" in texts else None

    texts = await eventually(all_there)
    assert len(texts) == len(set(texts))
    assert await ada.client.account() is not None


@in_a_world
async def test_many_calls_at_a_time_are_all_answered(world):
    client = (await world.person("Busy")).client
    answers = await asyncio.gather(*(client.account() for _ in range(200)))
    assert len({answer.account_id for answer in answers}) == 1


@in_a_world
async def test_text_goes_both_ways_and_is_receipted(world):
    ada, bob, to_bob, to_ada = await world.acquainted()
    sent = await to_bob.send_text("Is the ferry running?")
    assert sent.mode is DeliveryMode.RELAYED

    async def newest(conversation, text):
        return next((message for message in await conversation.messages(3) if message.text == text), None)

    received = await eventually(lambda: newest(to_ada, "Is the ferry running?"))
    assert received.is_end_to_end
    await to_ada.mark_read(received.order)
    await to_ada.send_text("Every hour.", reply_to=received.id)
    own = (await ada.client.account()).account_id

    async def read():
        return (await to_bob.message(own, sent.message_id)).state is MessageState.READ

    await eventually(read)
    answer = await eventually(lambda: newest(to_bob, "Every hour."))
    assert answer.reply_to == sent.message_id
    await to_bob.react(answer.id, "⛴️")

    async def reacted():
        return [reaction.emoji for reaction in (await newest(to_ada, "Every hour.")).reactions] == ["⛴️"]

    await eventually(reacted)
    assert (await bob.client.conversations(10))[0].padlock is Padlock.END_TO_END


@in_a_world
async def test_a_photo_arrives_byte_by_byte_and_its_progress_is_told(world):
    _, _, to_bob, to_ada = await world.acquainted()
    source, target = world.folder / "from.bin", world.folder / "to.bin"
    source.write_bytes(b"sunset " * 100_000)
    seen = []
    await to_bob.send_media(str(source), "Sunset", lambda done, total: seen.append((done, total)))

    async def arrived():
        return next((message for message in await to_ada.messages(1) if message.kind is MessageKind.MEDIA), None)

    message = await eventually(arrived)
    assert message.media.caption == "Sunset"
    await to_ada.fetch_encrypted_blob(message, MediaPart.FILE, str(target))
    assert target.read_bytes() == source.read_bytes()
    assert seen and all(done <= total for done, total in seen)
    assert (await refused(to_bob.send_media(str(world.folder / "none")))).kind == "media"


@in_a_world
async def test_two_people_verify_each_other_by_their_codes_and_nobody_by_somebody_elses(world):
    ada, _, to_bob, to_ada = await world.acquainted()
    mine, his = await to_bob.safety_number(), await to_ada.safety_number()
    assert mine.numeric == his.numeric
    assert (await refused(mine.verify(mine.qr_payload))).kind == "contact"
    await mine.verify(his.qr_payload)
    await his.verify(mine.qr_payload)
    assert (await ada.client.contact(to_bob.contact_id)).verification is Verification.VERIFIED
    assert (await to_ada.security()).padlock is Padlock.VERIFIED


@in_a_world
async def test_messages_are_told_in_order_and_what_a_loop_that_was_left_has_not_heard_is_kept(world):
    _, bob, to_bob, _ = await world.acquainted()
    for text in ("one", "two", "three"):
        await to_bob.send_text(text)
    heard = []
    # Left without `aclose`: leaving the loop is enough.
    async for change, message in bob.client.messages():
        if change is not MessageChange.RECEIVED:
            continue
        heard.append(message.text)
        # A loop may call the client.
        await bob.client.account()
        if len(heard) == 3:
            break
    assert heard == ["hello", "one", "two"]
    # What was told shortly before may be told again; what was not told is not lost.
    async with asyncio.timeout(30), bob.client.messages() as messages:
        async for change, message in messages:
            if change is MessageChange.RECEIVED and message.text == "three":
                break


@in_a_world
async def test_a_listener_that_raises_or_blocks_stops_neither_the_client_nor_another_listener(world):
    _, bob, to_bob, _ = await world.acquainted()
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logging.getLogger("rcseal").addHandler(handler)
    release, heard = threading.Event(), asyncio.Event()

    def raises(change, message):
        raise RuntimeError("secret words")

    async def hears(change, message):
        await bob.client.account()
        if message.text == "still here":
            heard.set()

    bob.client.observe_messages(raises)
    bob.client.observe_messages(lambda change, message: release.wait(30))
    bob.client.observe_messages(hears)
    await to_bob.send_text("still here")
    await asyncio.wait_for(heard.wait(), 30)
    release.set()

    async def warned():
        return records

    await eventually(warned)
    assert not any("secret" in record for record in records)
    logging.getLogger("rcseal").removeHandler(handler)


@in_a_world
async def test_the_connection_is_told_with_its_reason_and_streams_end_when_the_client_is_closed(world):
    client = (await world.person("Watcher")).client
    seen = []

    async def watch():
        async for state in client.connection_states():
            seen.append(state.status)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await client.connect()

    async def online():
        return ConnectionStatus.ONLINE in seen

    await eventually(online)
    await client.close()
    await asyncio.wait_for(watching, 30)


@pytest.mark.parametrize(
    ("failure", "code", "retryable"),
    [
        (VaultFailure.USER_NOT_AUTHENTICATED, "vault.user_not_authenticated", True),
        (VaultFailure.KEY_INVALIDATED, "vault.key_invalidated", False),
        (VaultFailure.NOT_FOUND, "vault.not_found", False),
        (VaultFailure.HARDWARE_UNAVAILABLE, "vault.hardware_unavailable", True),
    ],
)
@in_a_world
async def test_a_vault_that_fails_is_named_so_and_nothing_is_reset(world, failure, code, retryable):
    person = await world.opened("vault")
    await person.client.close()

    def fault(method):
        if method == "unwrap":
            raise VaultError(failure)

    person.vault.fault = fault
    assert facts(await refused(RcsealClient.open(person.config, person.vault))) == ["vault", code, retryable]
    person.vault.fault = lambda method: None
    await (await RcsealClient.open(person.config, person.vault)).close()


@in_a_world
async def test_a_vault_that_raises_something_of_its_own_says_unexpected_and_none_of_its_words(world):
    vault = TestVault()

    def fault(method):
        raise RuntimeError("secret words")

    vault.fault = fault
    error = await refused(RcsealClient.open(world.config("raises"), vault))
    assert error.code == "vault.unexpected"
    assert "secret" not in str(error)


@in_a_world
async def test_a_vault_that_hangs_ends_the_opening_in_time_and_a_slow_one_is_waited_for(world):
    vault, release = TestVault(), threading.Event()
    vault.fault = lambda method: release.wait(60) and None
    error = await refused(RcsealClient.open(world.config("hangs", vault_timeout_ms=200), vault))
    release.set()
    assert facts(error) == ["vault", "vault.timeout", True]
    slow = TestVault()
    slow.fault = lambda method: time.sleep(0.02)
    await (await RcsealClient.open(world.config("slow"), slow)).close()


@in_a_world
async def test_the_vault_is_not_asked_for_each_message(world):
    ada, _, to_bob, _ = await world.acquainted()
    before = ada.vault.calls.count("unwrap")
    for number in range(5):
        await to_bob.send_text(str(number))
    assert ada.vault.calls.count("unwrap") == before


@in_a_world
async def test_the_software_vault_keeps_its_key_under_a_passphrase(world):
    folder, config = world.folder / "keys", world.config("software-vault")
    for _ in range(2):
        await (await RcsealClient.open(config, SoftwareKeyVault(folder, "a passphrase of some length"))).close()
    error = await refused(RcsealClient.open(config, SoftwareKeyVault(folder, "another one")))
    assert error.code == "vault.key_invalidated"


@in_a_world
async def test_loops_that_are_left_at_any_moment_leave_no_thread_behind(world):
    client = (await world.person("Ada")).client
    await client.connect()

    async def follow():
        async for _ in client.connection_states():
            pass

    for number in range(50):
        following = asyncio.create_task(follow())
        # Each round lets the listener come a little further before the loop is left.
        for _ in range(number):
            await asyncio.sleep(0)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    async def nobody_waits():
        stacks = [traceback.extract_stack(frame) for frame in sys._current_frames().values()]
        return not any(line.name == "_tell" for stack in stacks for line in stack)

    await eventually(nobody_waits)
