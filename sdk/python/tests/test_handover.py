"""An RCS stack of the app's own; the carrier between two phones is a call."""

import asyncio

from rcseal import DeliveryMode, HostStackConfig, OutgoingMessage, SendError, StackAnswer, StackOutcome
from world import eventually, facts, in_a_world, knowing, received, refused

ADA, BOB = "+15552010001", "+15552010002"


def stack(number):
    return HostStackConfig(number=number, is_binary_safe=True, body_len_max=1_300, parts_max=16)


async def numbered(world):
    """Two that have written to each other and know each other's numbers."""
    ada, bob, to_bob, to_ada = await world.acquainted()
    await to_ada.send_text("hello to you")
    await received(to_bob, "hello to you")
    await ada.client.set_contact_number(to_bob.contact_id, BOB)
    await bob.client.set_contact_number(to_ada.contact_id, ADA)
    return ada.client, bob.client, to_bob, to_ada


async def take_in(client, number, part):
    return await client.decrypt(number, True, part.content_type, part.content_encoding, part.body)


@in_a_world
async def test_a_message_that_the_app_carries_arrives_end_to_end(world):
    ada, bob, to_bob, to_ada = await numbered(world)
    await ada.use_app_stack(stack(ADA))
    await bob.use_app_stack(stack(BOB))
    session = await ada.get_or_create_session(to_bob.contact_id)
    assert session.contact_id == to_bob.contact_id

    # Bob's app has to have said, end to end, that it has a stack.
    async def carried():
        try:
            return await session.encrypt(OutgoingMessage.text("by the carrier"))
        except SendError as not_yet:
            assert not_yet.code.startswith("hand_over_"), not_yet.code
            return None

    payload = await eventually(carried)
    assert payload.number == BOB
    assert not any(b"by the carrier" in part.body for part in payload.parts)
    outcomes = [await take_in(bob, ADA, part) for part in payload.parts]
    assert all(outcome.answer is StackAnswer.ACCEPTED for outcome in outcomes)
    await session.report(payload.message_id, StackOutcome.TAKEN)
    message = await received(to_ada, "by the carrier")
    assert (message.id, message.mode, message.is_end_to_end) == (payload.message_id, DeliveryMode.NATIVE, True)


@in_a_world
async def test_a_stack_that_is_lent_carries_what_is_sent_and_one_that_raises_loses_nothing(world):
    ada, bob, to_bob, to_ada = await numbered(world)
    loop = asyncio.get_running_loop()

    class Lent:
        def __init__(self):
            self.carried, self.is_broken = [], False

        def send_encrypted_payload(self, part):
            if self.is_broken:
                raise RuntimeError("the secret is 12345")
            self.carried.append(part)
            asyncio.run_coroutine_threadsafe(take_in(bob, ADA, part), loop).result(30)
            return StackOutcome.TAKEN

    class Silent:
        def send_encrypted_payload(self, part):
            return StackOutcome.TAKEN

    lent = Lent()
    await ada.attach_host_stack(stack(ADA), lent)
    await bob.attach_host_stack(stack(BOB), Silent())
    await ada.get_or_create_session(to_bob.contact_id)

    async def native():
        return (await to_bob.security()).mode is DeliveryMode.NATIVE

    await eventually(native)
    await to_bob.send_text("through the stack")
    assert (await received(to_ada, "through the stack")).mode is DeliveryMode.NATIVE
    assert lent.carried
    lent.is_broken = True
    await to_bob.send_text("the stack is broken")
    await received(to_ada, "the stack is broken")
    await ada.leave_carrier()


@in_a_world
async def test_what_is_no_message_of_ours_is_answered_by_what_it_is(world):
    ada = (await world.person("Ada")).client
    await ada.use_app_stack(stack(ADA))
    assert (await ada.decrypt(BOB, True, "application/x-other", None, b"\x01\x02")).answer is StackAnswer.UNSUPPORTED_MEDIA
    error = await refused(ada.decrypt("nobody", True, "", None, b""))
    assert facts(error) == ["invalid_argument", "argument_malformed", False]
