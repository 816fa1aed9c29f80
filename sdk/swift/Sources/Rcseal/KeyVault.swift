import RcsealFFI

/// Keeps the key that wraps the store's key, and a number that a restored backup does not bring along.
///
/// On Apple's systems take ``SecureEnclaveKeyVault``. Calls come on a thread of the library, one at a time; a call may wait for the user, for
/// as long as ``ClientConfig`` says. Throw ``VaultError``; whatever else is thrown becomes `vault.unexpected`, and its text goes nowhere.
public typealias KeyVault = RcsealFFI.KeyVault

/// Why a vault did not answer.
public typealias VaultError = RcsealFFI.VaultError

/// Where a wrapping key lives.
public typealias KeyProtection = RcsealFFI.KeyProtection
