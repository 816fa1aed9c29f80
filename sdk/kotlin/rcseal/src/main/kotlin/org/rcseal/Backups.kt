package org.rcseal

import org.rcseal.internal.calling

/** What a backup says of itself to whoever has no secret. Nothing of it is authentic. */
public typealias BackupInfo = org.rcseal.ffi.BackupInfo

/** What was written into a backup. */
public typealias BackupSummary = org.rcseal.ffi.BackupSummary

/** What a restoration made of this device. */
public typealias RestoreOutcome = org.rcseal.ffi.RestoreOutcome

/** What can be done with backups without a client. */
public object Backups {
    /** A secret for a backup, to be written down: 24 symbols in groups of four. */
    public fun generateSecret(): String = calling { org.rcseal.ffi.generateBackupSecret() }

    /** What a backup says of itself, without a secret. */
    public suspend fun inspect(path: String): BackupInfo = calling { org.rcseal.ffi.inspectBackup(path) }
}
