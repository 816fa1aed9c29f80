"""Wake-ups in a process of their own."""

from __future__ import annotations

from . import _ffi
from ._ffi import ClientConfig, PushOutcome
from .errors import _calling
from .vault import KeyVault, _VaultAdapter


async def process_push_in_extension(config: ClientConfig, key_vault: KeyVault, payload: str, deadline_ms: int) -> PushOutcome:
    """Takes in what waits, beside an app that may be running: opens the store with little memory, and closes it again.

    The deadline counts from the call, the opening of the store included. In the app's own process use `RcsealClient.process_push`.
    """
    return await _calling(_ffi.process_push_in_extension(config, _VaultAdapter(key_vault), payload, deadline_ms))
