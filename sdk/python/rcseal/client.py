"""The client: one store, one account, one device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _ffi
from ._ffi import (
    Account,
    BackupSummary,
    ClientConfig,
    ClientEvent,
    ConnectionState,
    Contact,
    ConversationSummary,
    CreatedAccount,
    DecryptOutcome,
    Device,
    ExportSummary,
    FallbackPolicy,
    HeldMessage,
    HostStackConfig,
    Message,
    MessageChange,
    NewAccount,
    Platform,
    PushOutcome,
    PushProvider,
    RemoteConfig,
    RestoreOutcome,
    SecurityState,
    StoreSetAside,
    SyncReport,
)
from .backup import BackupSecret
from .conversation import Conversation, SafetyNumber
from .errors import _asking, _calling
from .handover import RcsStack, SecureSession, _StackAdapter
from .observe import Stream, Subscription, _closed, _ConnectionListener, _EventListener, _MessageListener, _Progress
from .vault import KeyVault, _VaultAdapter


class LinkRequest:
    """A device that asks to be linked."""

    def __init__(self, inner: _ffi.LinkRequest) -> None:
        """Made by `RcsealClient.link_start`."""
        self._inner = inner

    @property
    def text(self) -> str:
        """What the other device is shown, as a QR code."""
        return _asking(self._inner.text)

    async def finish(self) -> None:
        """Waits until the other device has approved."""
        await _calling(self._inner.finish())


class RcsealClient:
    """One store with one account. Calls may overlap; a call whose caller is cancelled runs to its end. After `close` all raise `ClosedError`."""

    def __init__(self, inner: _ffi.RcsealClient) -> None:
        """Use `open`."""
        self._inner = inner
        self._streams: set[Stream[Any]] = set()
        self._subscriptions: list[Subscription] = []

    @classmethod
    async def open(cls, config: ClientConfig, key_vault: KeyVault) -> RcsealClient:
        """Opens the store in a folder, or makes it. A second client on the same folder is refused until the first is closed."""
        return cls(await _calling(_ffi.RcsealClient.open(config, _VaultAdapter(key_vault))))

    @staticmethod
    async def set_store_aside(folder: str, key_vault: KeyVault) -> StoreSetAside:
        """Moves a store aside that cannot be opened any more, whole, so that the next `open` makes a new one in its place.

        The new one has no account, contacts or messages. To be called when the user has been told and has decided, and never by itself.
        Refused while a client has the store open, and while the vault does not answer.
        """
        return await _calling(_ffi.set_store_aside(folder, _VaultAdapter(key_vault)))

    async def __aenter__(self) -> RcsealClient:
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes."""
        await self.close()

    async def close(self) -> None:
        """Ends everything that runs and closes the store. Streams end. Twice is no error."""
        for stream in list(self._streams):
            stream._end()
        for subscription in self._subscriptions:
            subscription.cancel()
        self._subscriptions.clear()
        await _calling(self._inner.shutdown())

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return _asking(self._inner.is_closed)

    @property
    def connection_state(self) -> ConnectionState:
        """How it stands with its server."""
        return _asking(self._inner.connection_state)

    def network_changed(self) -> None:
        """The network is another one now: tries at once."""
        _asking(self._inner.network_changed)

    def messages(self) -> Stream[tuple[MessageChange, Message]]:
        """Every message that comes or changes. Subscribe before `connect`."""
        return self._stream(lambda tell: self._inner.observe_messages(_MessageListener(lambda change, message: tell((change, message)))))

    def events(self) -> Stream[ClientEvent]:
        """Everything else that happens."""
        return self._stream(lambda tell: self._inner.observe_events(_EventListener(tell)))

    def connection_states(self) -> Stream[ConnectionState]:
        """How the client stands with its server, from now on."""
        return self._stream(lambda tell: self._inner.observe_connection(_ConnectionListener(tell)))

    def observe_messages(self, listener: Callable[[MessageChange, Message], object]) -> Subscription:
        """The same by a function: a plain one runs on a thread of the library, a coroutine function on this loop; one call at a time.

        What it raises is logged by its class, and does not stop delivery.
        """
        return self._subscribed(lambda tell: self._inner.observe_messages(_MessageListener(tell)), listener)

    def observe_events(self, listener: Callable[[ClientEvent], object]) -> Subscription:
        """`events` by a function."""
        return self._subscribed(lambda tell: self._inner.observe_events(_EventListener(tell)), listener)

    def observe_connection(self, listener: Callable[[ConnectionState], object]) -> Subscription:
        """`connection_states` by a function."""
        return self._subscribed(lambda tell: self._inner.observe_connection(_ConnectionListener(tell)), listener)

    async def conversations(self, limit: int, after: str | None = None) -> list[ConversationSummary]:
        """The list, newest first; `after` is the last one of the page before."""
        return await _calling(self._inner.conversations(limit, after))

    async def conversation(self, contact_id: str) -> Conversation:
        """The conversation with a contact."""
        return Conversation(await _calling(self._inner.conversation(contact_id)))

    async def safety_number(self, contact_id: str) -> SafetyNumber:
        """What two people compare."""
        return SafetyNumber(await _calling(self._inner.safety_number(contact_id)))

    async def link_start(self, origin: str, platform: Platform) -> LinkRequest:
        """Asks to become a device of an account that is on another device."""
        return LinkRequest(await _calling(self._inner.link_start(origin, platform)))

    async def create_backup(self, path: str, secret: BackupSecret, progress: Callable[[int, int], object] | None = None) -> BackupSummary:
        """Writes an encrypted backup."""
        return await _calling(self._inner.create_backup(path, secret._inner, progress and _Progress(progress)))

    async def restore_backup(
        self, path: str, secret: BackupSecret, platform: Platform, progress: Callable[[int, int], object] | None = None
    ) -> RestoreOutcome:
        """Reads a backup into this empty store."""
        return await _calling(self._inner.restore_backup(path, secret._inner, platform, progress and _Progress(progress)))

    async def accept_change(self, contact_id: str) -> None:
        """Goes on with a contact whose keys changed."""
        await _calling(self._inner.accept_change(contact_id))

    async def account(self) -> Account | None:
        """The account on this device, if there is one."""
        return await _calling(self._inner.account())

    async def add_contact(self, invitation: str, name: str) -> Contact:
        """Adds a contact by an invitation."""
        return await _calling(self._inner.add_contact(invitation, name))

    async def approve_held(self, conversation_id: str, message_id: str) -> None:
        """Sends a message that was held for the user's consent."""
        await _calling(self._inner.approve_held(conversation_id, message_id))

    async def block_contact(self, contact_id: str, is_blocked: bool) -> None:
        """Blocks a contact, or lets them write again."""
        await _calling(self._inner.block_contact(contact_id, is_blocked))

    async def confirm_recovery_code(self) -> None:
        """The user has written the recovery code down: it is forgotten here."""
        await _calling(self._inner.confirm_recovery_code())

    async def connect(self) -> None:
        """Starts to serve this device in the background. Does nothing when it is under way."""
        await _calling(self._inner.connect())

    async def contact(self, contact_id: str) -> Contact:
        """One contact."""
        return await _calling(self._inner.contact(contact_id))

    async def contacts(self) -> list[Contact]:
        """Everybody."""
        return await _calling(self._inner.contacts())

    async def create_account(self, account: NewAccount) -> CreatedAccount:
        """Creates an account. Answers also when the server did not: `register` goes on."""
        return await _calling(self._inner.create_account(account))

    async def delete_account(self) -> None:
        """Deletes the account at its server."""
        await _calling(self._inner.delete_account())

    async def devices(self) -> list[Device]:
        """The devices of this account."""
        return await _calling(self._inner.devices())

    async def disconnect(self) -> None:
        """Ends the background run."""
        await _calling(self._inner.disconnect())

    async def erase(self) -> None:
        """Deletes everything on this device."""
        await _calling(self._inner.erase())

    async def export_data(self, path: str) -> ExportSummary:
        """Writes everything that was said to a file, readable by anybody. Overwrites nothing."""
        return await _calling(self._inner.export_data(path))

    async def fallback_policy(self) -> FallbackPolicy | None:
        """What happens by default where end-to-end encryption is not possible."""
        return await _calling(self._inner.fallback_policy())

    async def held_messages(self) -> list[HeldMessage]:
        """Messages that wait for the user's consent."""
        return await _calling(self._inner.held_messages())

    async def invitation(self) -> str:
        """What somebody else adds this account with."""
        return await _calling(self._inner.invitation())

    async def link_approve(self, text: str) -> int:
        """Links the device that shows this code, and answers its number."""
        return await _calling(self._inner.link_approve(text))

    async def pending_recovery_code(self) -> str | None:
        """The recovery code, until it is confirmed."""
        return await _calling(self._inner.pending_recovery_code())

    async def process_push(self, payload: str, deadline_ms: int) -> PushOutcome:
        """Fetches what a wake-up announces, within a time."""
        return await _calling(self._inner.process_push(payload, deadline_ms))

    async def recover_account(self, account_id: str, recovery_code: str, account: NewAccount) -> CreatedAccount:
        """Takes an account over by its recovery code."""
        return await _calling(self._inner.recover_account(account_id, recovery_code, account))

    async def register(self, invite: str | None = None) -> None:
        """Goes on with a registration that did not reach the server."""
        await _calling(self._inner.register(invite))

    async def register_push_token(self, provider: PushProvider, token: bytes, app_id: str) -> None:
        """Registers for wake-ups."""
        await _calling(self._inner.register_push_token(provider, token, app_id))

    async def remove_contact(self, contact_id: str) -> None:
        """Removes a contact."""
        await _calling(self._inner.remove_contact(contact_id))

    async def remove_device(self, number: int) -> None:
        """Takes a device out of the account."""
        await _calling(self._inner.remove_device(number))

    async def rename_contact(self, contact_id: str, name: str) -> None:
        """Names a contact."""
        await _calling(self._inner.rename_contact(contact_id, name))

    async def rotate_keys(self) -> None:
        """New keys for this device's next conversations."""
        await _calling(self._inner.rotate_keys())

    async def security_state(self) -> SecurityState:
        """How this device stands."""
        return await _calling(self._inner.security_state())

    async def set_fallback_policy(self, policy: FallbackPolicy | None) -> None:
        """Sets it."""
        await _calling(self._inner.set_fallback_policy(policy))

    async def sync_once(self) -> SyncReport:
        """Sends and fetches once, without a background run."""
        return await _calling(self._inner.sync_once())

    async def telemetry_report(self) -> str | None:
        """Counts since the last report, as JSON, without ids and times; `None` where telemetry is off. Nothing sends it by itself."""
        return await _calling(self._inner.telemetry_report())

    async def unregister_push_token(self) -> None:
        """No more wake-ups."""
        await _calling(self._inner.unregister_push_token())

    async def veto_reset(self) -> None:
        """Stops a reset of this account that somebody asked for."""
        await _calling(self._inner.veto_reset())

    async def apply_remote_config(self, document: bytes) -> RemoteConfig:
        """Takes a signed document that the app fetched."""
        return await _calling(self._inner.apply_remote_config(document))

    async def remote_config(self) -> RemoteConfig:
        """What counts now of what the maker of the app may set from afar."""
        return await _calling(self._inner.remote_config())

    # An RCS stack of the app's own. An account uses one of the two forms at a time: the app asks for what it carries (`use_app_stack`,
    # `get_or_create_session`), or lends its stack (`attach_host_stack`). Both give what the stack receives to `decrypt`.

    async def set_contact_number(self, contact_id: str, number: str | None) -> None:
        """The user gives a contact a number, or takes it back. Nothing goes to a contact by a carrier before that."""
        await _calling(self._inner.set_contact_number(contact_id, number))

    async def use_app_stack(self, config: HostStackConfig) -> None:
        """The app has a stack of its own, and asks for what it carries. Contacts are told of the number, end to end."""
        await _calling(self._inner.use_app_stack(config))

    async def attach_host_stack(self, config: HostStackConfig, stack: RcsStack) -> None:
        """The app lends its stack, which carries what it can while the client is connected. To be called after each `open`."""
        await _calling(self._inner.attach_host_stack(config, _StackAdapter(stack)))

    async def leave_carrier(self) -> None:
        """The app's stack is gone for good: contacts are told that nothing comes here by a carrier any more."""
        await _calling(self._inner.leave_carrier())

    async def get_or_create_session(self, contact_id: str) -> SecureSession:
        """The session with a contact. Its messages go by the carrier from now on where they can.

        The keys are those of the conversation: a contact that was never heard is written to by `Conversation.send` first.
        """
        return SecureSession(await _calling(self._inner.get_or_create_session(contact_id)))

    async def decrypt(
        self, from_number: str | None, is_asserted: bool, content_type: str, content_encoding: str | None, body: bytes
    ) -> DecryptOutcome:
        """Takes in what the app's stack received. It is durable when this returns; after an error tell the network "later" (503).

        `is_asserted` says that the network vouches for the number.
        """
        return await _calling(self._inner.decrypt(from_number, is_asserted, content_type, content_encoding, body))

    def _stream(self, subscribe: Callable[[Callable[..., None]], _ffi.Subscription]) -> Stream[Any]:
        if self.is_closed:
            raise _closed()
        stream: Stream[Any] = Stream(subscribe, self._streams.discard)
        self._streams.add(stream)
        return stream

    def _subscribed(self, subscribe: Callable[[Callable[..., None]], _ffi.Subscription], listener: Callable[..., object]) -> Subscription:
        subscription = Subscription(subscribe, listener)
        self._subscriptions.append(subscription)
        return subscription
