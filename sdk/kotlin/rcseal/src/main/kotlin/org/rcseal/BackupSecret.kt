package org.rcseal

import org.rcseal.ffi.BackupSecret as Generated

/** What opens a backup. */
public sealed class BackupSecret {
    internal abstract fun generated(): Generated

    /** Says which kind it is and nothing of what it holds. */
    override fun toString(): String = this::class.java.simpleName

    /** A passphrase of the user's own, at least twelve characters. Such a backup holds no account key. */
    public class Passphrase(
        /** The passphrase. */
        public val passphrase: String,
    ) : BackupSecret() {
        override fun generated(): Generated = Generated.Passphrase(passphrase)
    }

    /** One that [Backups.generateSecret] drew, to be written down. On the primary device the backup then holds the account key. */
    public class Written(
        /** The secret, as it was written down. */
        public val secret: String,
    ) : BackupSecret() {
        override fun generated(): Generated = Generated.Generated(secret)
    }
}
