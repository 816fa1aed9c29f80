package org.rcseal

/**
 * Why a call did not do what it was asked for.
 *
 * The subclass says whose matter it is, so that an app can decide by kind. [code] is stable and documented: it is what to log and to
 * count. [retryable] says whether the same call may succeed later without anybody changing anything. The message is for developers. None
 * of them holds content, ids, numbers, names or keys.
 */
public sealed class RcsealException(
    /** What happened, as a stable code such as `vault.timeout`. */
    public val code: String,
    /** Whether the same call may succeed later without anybody changing anything. */
    public val retryable: Boolean,
    reason: String,
) : Exception("$code: $reason") {
    /** The store on this device. */
    public class Store internal constructor(code: String, retryable: Boolean, reason: String) : RcsealException(code, retryable, reason)

    /** The key vault. */
    public class Vault internal constructor(code: String, retryable: Boolean, reason: String) : RcsealException(code, retryable, reason)

    /** The network, or a server that refused. */
    public class Network internal constructor(code: String, retryable: Boolean, reason: String) : RcsealException(code, retryable, reason)

    /** This account and its devices. */
    public class Account internal constructor(code: String, retryable: Boolean, reason: String) : RcsealException(code, retryable, reason)

    /** A contact, or a comparison of safety numbers. */
    public class Contact internal constructor(code: String, retryable: Boolean, reason: String) : RcsealException(code, retryable, reason)

    /** A message that was not sent. */
    public class Send internal constructor(code: String, retryable: Boolean, reason: String) : RcsealException(code, retryable, reason)

    /** A file that was not sent, fetched or written. */
    public class Media internal constructor(code: String, retryable: Boolean, reason: String) : RcsealException(code, retryable, reason)

    /** What may be sent how: a refusal of the delivery policy, a consent, a downgrade. */
    public class Policy internal constructor(code: String, retryable: Boolean, reason: String) : RcsealException(code, retryable, reason)

    /** A backup. */
    public class Backup internal constructor(code: String, retryable: Boolean, reason: String) : RcsealException(code, retryable, reason)

    /** Push registrations and wake-ups. */
    public class Push internal constructor(code: String, retryable: Boolean, reason: String) : RcsealException(code, retryable, reason)

    /** The client was closed. */
    public class Closed internal constructor(code: String, retryable: Boolean, reason: String) : RcsealException(code, retryable, reason)

    /** An argument cannot be read. */
    public class InvalidArgument internal constructor(code: String, retryable: Boolean, reason: String) :
        RcsealException(code, retryable, reason)

    /** Something that should not happen: please report it with its code. */
    public class Internal internal constructor(code: String, retryable: Boolean, reason: String) : RcsealException(code, retryable, reason)
}
