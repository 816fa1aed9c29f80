"""A chat on the console: `python chat.py FOLDER SERVER AUTHORITY.pem NAME`. It prints an invitation; `/add INVITATION NAME` takes one."""

import asyncio
import os
import sys
from pathlib import Path

from rcseal import ClientConfig, MessageChange, NewAccount, Platform, RcsealClient, RcsealError, SoftwareKeyVault


async def main(folder: str, server: str, authority: str, name: str) -> None:
    """Chats until `/quit` or the end of the input."""
    vault = SoftwareKeyVault(Path(folder, "vault"), os.environ.get("RCSEAL_PASSPHRASE", ""))
    config = ClientConfig(folder=str(Path(folder, "client")), authorities_pem=Path(authority).read_text())
    async with await RcsealClient.open(config, vault) as client:
        if await client.account() is None:
            account = NewAccount(origin=server, platform=Platform.DESKTOP, display_name=name, invite=None)
            created = await client.create_account(account)
            print(f"write this down, and keep it off this computer: {created.recovery_code}")
            await client.confirm_recovery_code()
        print(f"others add you with: {await client.invitation()}")
        current = None

        async def show(change: MessageChange, message) -> None:
            nonlocal current
            if change is not MessageChange.RECEIVED or message.is_outgoing:
                return
            contact = await client.contact(message.sender_id)
            conversation = await client.conversation(message.sender_id)
            current = current or conversation
            lock = "🔒" if message.is_end_to_end else "🔓"
            print(f"{lock} {contact.name or '~' + contact.display_name}: {message.text or message.kind.name.lower()}")
            await conversation.mark_read(message.order)

        # Before `connect`: what nobody has subscribed to is kept until somebody has heard it.
        client.observe_messages(show)
        await client.connect()
        while line := await asyncio.to_thread(sys.stdin.readline):
            command, _, rest = line.strip().partition(" ")
            try:
                if command == "/quit":
                    break
                if command == "/add":
                    invitation, _, who = rest.partition(" ")
                    current = await client.conversation((await client.add_contact(invitation, who)).id)
                elif current is None:
                    print("nobody to write to yet: /add INVITATION NAME")
                elif command == "/verify":
                    print((await current.safety_number()).numeric)
                elif command == "/file":
                    await current.send_media(rest)
                elif line.strip():
                    receipt = await current.send_text(line.strip())
                    print(f"  {receipt.state.name.lower()}, readable by {', '.join(reader.name.lower() for reader in receipt.readers)}")
            except RcsealError as error:
                print(f"! {error.code}{' (try again later)' if error.retryable else ''}")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: chat.py FOLDER SERVER AUTHORITY.pem NAME")
    asyncio.run(main(*sys.argv[1:]))
