package org.rcseal

import org.rcseal.internal.calling
import org.rcseal.ffi.LinkRequest as Generated

/** A device that shows its code and waits to be linked. */
public class LinkRequest internal constructor(private val generated: Generated) {
    /** What to show the primary device: as a QR code, or as text. Whoever reads it can link this device, so show it to nobody else. */
    public fun text(): String = calling { generated.text() }

    /** Waits for the primary device, and becomes part of its account. May be called once; afterwards a new request is needed. */
    public suspend fun finish(): Unit = calling { generated.finish() }
}
