package org.rcseal

import org.rcseal.internal.calling
import org.rcseal.ffi.SafetyNumber as Generated

/** The safety number with a contact, as it was when it was asked for. */
public class SafetyNumber internal constructor(private val generated: Generated) {
    /** Sixty digits in groups of five, the same on both sides. */
    public fun numeric(): String = calling { generated.numeric() }

    /** What the QR code on this side holds, for the other side to scan. */
    public fun qrPayload(): String = calling { generated.qrPayload() }

    /** The user has scanned the contact's code. The contact is verified when this returns; a code that is not the contact's is an error. */
    public suspend fun verify(scan: String): Unit = calling { generated.verify(scan) }

    /** The user has compared these digits with the contact's, and they are the same. */
    public suspend fun verifyDigits(digits: String): Unit = calling { generated.verifyDigits(digits) }
}
