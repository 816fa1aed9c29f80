package org.rcseal

/**
 * Where a [PairwiseClient] keeps its rows: a table of bytes in the app's own database. What is kept is encrypted; the store sees names and
 * lengths.
 */
public interface CryptoStore {
    /** The value of a row; `null` where there is none. Where that is not known, throw. */
    public fun get(key: ByteArray): ByteArray?

    /**
     * In one transaction: compares the value of the row named `head` with [expectedHead], and where they are equal does every write. Returns
     * only when all of it would survive a power cut. Throws [CryptoStoreException.Conflict] and writes nothing where they are not equal.
     */
    public fun commit(expectedHead: ByteArray?, writes: List<CryptoStoreWrite>)
}

/** One change of one row: its name of at most 64 bytes, and its new value; the row is deleted where there is none. */
public typealias CryptoStoreWrite = org.rcseal.ffi.CryptoStoreWrite

/** Why an app's store did nothing. */
public sealed class CryptoStoreException(message: String) : Exception(message) {
    /** The value of `head` is not the expected one: another process has written since. */
    public class Conflict : CryptoStoreException("another process has written to the store")

    /** There is no room. */
    public class Full : CryptoStoreException("the store has no room")

    /** It cannot be used now, and may be later. */
    public class Busy : CryptoStoreException("the store is busy")
}
