"""The part of the generated module whose types a checker misreads.

Errors and unions are generated as a class that is then defined again under the same name, with its cases as attributes. A checker sees the
first definition alone. What uses the cases takes them from here, where they have no type; every other module is checked in full.
"""

from typing import Any

from . import _ffi

RcsealError: Any = _ffi.RcsealError
ListenerError: Any = _ffi.ListenerError
VaultError: Any = _ffi.VaultError
CryptoStoreError: Any = _ffi.CryptoStoreError
StackError: Any = _ffi.StackError
OutgoingMessage: Any = _ffi.OutgoingMessage
BackupSecret: Any = _ffi.BackupSecret
