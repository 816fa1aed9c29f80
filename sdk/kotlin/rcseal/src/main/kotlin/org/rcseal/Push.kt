package org.rcseal

import org.rcseal.internal.VaultAdapter
import org.rcseal.internal.calling

/** Who carries wake-ups to the device. */
public typealias PushProvider = org.rcseal.ffi.PushProvider

/** What a notification is about. */
public typealias PushKind = org.rcseal.ffi.PushKind

/** Something to show. Its words are in the catalogue under `wordsKey`, and hold neither content nor names nor numbers. */
public typealias PushNotification = org.rcseal.ffi.PushNotification

/** What became of a wake-up. */
public typealias PushOutcome = org.rcseal.ffi.PushOutcome

/** Wake-ups in a process of their own. */
public object Push {
    /**
     * Takes in what waits, beside an app that may be running: opens the store with little memory, and closes it again. The deadline counts
     * from the call, the opening of the store included. In the app's own process use [RcsealClient.processPush].
     */
    public suspend fun processInExtension(config: ClientConfig, keyVault: KeyVault, payload: String, deadlineMs: Long): PushOutcome =
        calling { org.rcseal.ffi.processPushInExtension(config, VaultAdapter(keyVault), payload, deadlineMs.coerceAtLeast(0).toULong()) }
}
