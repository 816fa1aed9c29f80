"""What two people do in a conversation, and what becomes of a device: the rest of the list."""

import asyncio
import shutil

from rcseal import (
    ContactError,
    DeliveryMode,
    FallbackPolicy,
    MediaPart,
    MessageKind,
    OutgoingMessage,
    Padlock,
    Platform,
    RcsealClient,
    Reader,
    Verification,
)
from world import eventually, in_a_world, knowing, received, refused


async def newest(conversation):
    return (await conversation.messages(1))[0]


@in_a_world
async def test_reactions_edits_and_deletions_reach_the_other_side(world):
    _, _, to_bob, to_ada = await world.acquainted()
    first = await to_bob.send_text("first")
    await received(to_ada, "first")
    await to_ada.react(first.message_id, "👍")

    async def reactions(wanted):
        return [reaction.emoji for reaction in (await newest(to_bob)).reactions] == wanted

    await eventually(lambda: reactions(["👍"]))
    await to_ada.react(first.message_id, "👍", is_removed=True)
    await eventually(lambda: reactions([]))
    await to_bob.edit(first.message_id, "better words")
    edited = await received(to_ada, "better words")
    assert (edited.is_edited, edited.id) == (True, first.message_id)
    await to_bob.delete(first.message_id)

    async def deleted():
        return (await newest(to_ada)).kind is MessageKind.DELETED

    await eventually(deleted)
    assert (await newest(to_ada)).text is None


@in_a_world
async def test_the_list_has_the_newest_first_and_history_comes_page_by_page(world):
    ada = (await world.person("Ada")).client
    conversations = []
    for name in ("Bob", "Carol"):
        invitation = await (await world.person(name)).client.invitation()
        conversations.append(await ada.conversation((await ada.add_contact(invitation, name)).id))
    to_bob, to_carol = conversations
    await to_carol.send_text("to Carol")
    for number in range(12):
        await to_bob.send(OutgoingMessage.text(str(number)))
    listed = await ada.conversations(10)
    assert [one.title for one in listed] == ["Bob", "Carol"]
    assert listed[0].last_message.text == "11"
    assert [one.id for one in await ada.conversations(10, listed[0].id)] == [listed[1].id]
    pages, before = [], None
    while page := await to_bob.messages(5, before):
        pages.append([message.text for message in page])
        before = page[-1].order
    assert pages == [["11", "10", "9", "8", "7"], ["6", "5", "4", "3", "2"], ["1", "0"]]


@in_a_world
async def test_nobody_writes_to_a_contact_that_is_blocked(world):
    ada, _, to_bob, to_ada = await world.acquainted()
    await ada.client.block_contact(to_bob.contact_id, True)
    await refused(to_bob.send_text("hello"))
    assert (await to_bob.security()).padlock is Padlock.CLOSED
    await ada.client.block_contact(to_bob.contact_id, False)
    await to_bob.send_text("hello again")
    await received(to_ada, "hello again")


@in_a_world
async def test_what_is_not_end_to_end_is_refused_without_a_policy(world):
    ada, _, to_bob, _ = await world.acquainted()
    assert await ada.client.fallback_policy() is None
    await ada.client.set_fallback_policy(FallbackPolicy.BLOCK)
    await to_bob.set_fallback_policy(FallbackPolicy.DOWNGRADE)
    assert await ada.client.fallback_policy() is FallbackPolicy.BLOCK
    assert await to_bob.fallback_policy() is FallbackPolicy.DOWNGRADE
    security = await to_bob.security()
    assert (security.is_end_to_end, security.readers) == (True, [Reader.PARTICIPANTS])
    await to_bob.set_fallback_policy(None)
    assert await to_bob.fallback_policy() is None


@in_a_world
async def test_what_was_written_while_nobody_was_connected_goes_with_one_sync(world):
    ada, bob = (await world.person("Ada")).client, (await world.person("Bob")).client
    to_bob = await ada.conversation((await ada.add_contact(await bob.invitation(), "Bob")).id)
    assert (await to_bob.send_text("from the train")).mode in (None, DeliveryMode.RELAYED)
    assert (await ada.sync_once()).is_outbox_empty
    assert (await bob.sync_once()).received > 0
    await received(await knowing(bob, ada), "from the train")


@in_a_world
async def test_digits_that_were_typed_verify_and_a_strangers_code_does_not(world):
    ada, _, to_bob, to_ada = await world.acquainted()
    carol = await world.person("Carol")
    await to_ada.safety_number()
    to_carol = await ada.client.conversation((await ada.client.add_contact(await carol.client.invitation(), "Carol")).id)

    async def known():
        try:
            return await to_carol.safety_number()
        except ContactError:
            return None

    number, carols = await to_bob.safety_number(), await eventually(known)
    assert (await refused(number.verify(carols.qr_payload))).kind == "contact"
    await refused(number.verify("no code"))
    await refused(number.verify_digits("00000"))
    assert (await ada.client.contact(to_bob.contact_id)).verification is Verification.UNVERIFIED
    await number.verify_digits(number.numeric)
    assert (await ada.client.contact(to_bob.contact_id)).verification is Verification.VERIFIED


@in_a_world
async def test_an_export_has_what_was_said_and_is_not_written_twice(world):
    ada, _, to_bob, _ = await world.acquainted()
    await to_bob.send_text("keep this")
    file = world.folder / "export.jsonl"
    assert (await ada.client.export_data(str(file))).messages == 2
    assert "keep this" in file.read_text()
    await refused(ada.client.export_data(str(file)))


@in_a_world
async def test_an_older_copy_of_the_store_is_recognised(world):
    person = await world.person("Ada")
    await person.client.close()
    store, copy = world.folder / "Ada", world.folder / "copy"
    shutil.copytree(store, copy)
    await (await RcsealClient.open(person.config, person.vault)).close()
    shutil.rmtree(store)
    shutil.copytree(copy, store)
    async with await RcsealClient.open(person.config, person.vault) as again:
        assert (await again.security_state()).was_rolled_back


@in_a_world
async def test_a_device_is_linked_by_its_code_and_taken_out_again(world):
    phone, tablet = (await world.person("Phone")).client, (await world.opened("tablet")).client
    request = await tablet.link_start(world.origin, Platform.SERVER)
    finished = asyncio.create_task(request.finish())
    number = await phone.link_approve(request.text)
    await asyncio.wait_for(finished, 60)
    assert (await tablet.account()).account_id == (await phone.account()).account_id
    assert {device.number for device in await phone.devices()} == {1, number}
    assert (await refused(request.finish())).code == "sdk.link_used"
    await phone.remove_device(number)
    await phone.connect()

    async def alone():
        return len(await phone.devices()) == 1

    await eventually(alone)


@in_a_world
async def test_a_download_into_a_folder_that_is_not_there_fails_and_leaves_nothing(world):
    _, _, to_bob, to_ada = await world.acquainted()
    source, target = world.folder / "a.bin", world.folder / "nowhere" / "a.bin"
    source.write_bytes(bytes(1_000))
    await to_bob.send(OutgoingMessage.media(str(source)))

    async def come():
        return next((message for message in await to_ada.messages(5) if message.kind is MessageKind.MEDIA), None)

    message = await eventually(come)
    assert (await refused(to_ada.fetch_encrypted_blob(message, MediaPart.FILE, str(target)))).kind == "media"
    assert not target.exists()
