import Foundation
import XCTest

import Rcseal

/// The crypto-only level: two clients over stores of the app's own, and the app's transport is a variable.
final class PairwiseTests: XCTestCase {
    private var world: World!

    override func setUp() async throws { world = try World() }
    override func tearDown() async throws { world.remove() }

    func testBytesGoBothWaysOverTheAppsOwnTransport() throws {
        let (ada, bert) = (try client("ada"), try client("bert"))
        XCTAssertNotEqual(try ada.identity(), try bert.identity())
        XCTAssertFalse(try ada.wasRolledBack())
        let toBert = try ada.session(with: "bert", bundle: try bert.localBundle())
        let data = Data((0..<1024).map { UInt8($0 % 256) })
        XCTAssertEqual(try bert.decrypt(from: "ada", try toBert.encrypt(data)), data)
        let toAda = try bert.session(with: "ada")
        XCTAssertEqual(try toBert.decrypt(try toAda.encrypt(data)), data)
        XCTAssertEqual(try toBert.safetyNumber(), try toAda.safetyNumber())
        XCTAssertFalse(try toBert.isVerified())
        try toBert.verify(try toAda.qrPayload())
        XCTAssertTrue(try toBert.isVerified())
    }

    func testAMessageIsDecryptedOnceAndAChangedOneNever() async throws {
        let (ada, bert) = (try client("ada"), try client("bert"))
        let message = try ada.session(with: "bert", bundle: try bert.localBundle()).encrypt(Data("hello".utf8))
        var changed = message
        changed[changed.count - 1] ^= 1
        XCTAssertThrowsError(try bert.decrypt(from: "ada", changed))
        XCTAssertEqual(try bert.decrypt(from: "ada", message), Data("hello".utf8))
        await assertFails(.send, retryable: false) { try bert.decrypt(from: "ada", message) }
    }

    func testPrekeysAreReplenishedAndWithoutABundleThereIsNoSession() async throws {
        let (ada, bert) = (try client("ada"), try client("bert"))
        let bundles = try bert.replenishPrekeys(left: 0)
        let session = try ada.session(with: "bert", bundle: try XCTUnwrap(bundles.oneTime.first))
        XCTAssertEqual(try bert.decrypt(from: "ada", try session.encrypt(Data("hello".utf8))), Data("hello".utf8))
        try ada.forgetPeer("bert")
        await assertFails(.send, "pairwise.bundle_needed") { try ada.session(with: "bert") }
    }

    func testAStoreThatThrowsIsAnErrorOfTheStoreAndNothingWasEncrypted() async throws {
        let store = MemoryStore()
        let (ada, bert) = (try client("ada", store), try client("bert"))
        let session = try ada.session(with: "bert", bundle: try bert.localBundle())
        store.fault = Unexpected()
        await assertFails(.store) { try session.encrypt(Data("x".utf8)) }
        store.fault = CryptoStoreError.Busy
        await assertFails(.store, retryable: true) { try session.encrypt(Data("x".utf8)) }
        store.fault = CryptoStoreError.Full
        await assertFails(.store, retryable: false) { try session.encrypt(Data("x".utf8)) }
        store.fault = nil
        XCTAssertEqual(try bert.decrypt(from: "ada", try session.encrypt(Data("x".utf8))), Data("x".utf8))
    }

    func testAfterTheCloseEveryCallSaysClosed() async throws {
        let ada = try client("ada")
        try ada.close()
        await assertFails(.closed, "closed", retryable: false) { try ada.localBundle() }
    }

    private func client(_ name: String, _ store: MemoryStore = MemoryStore()) throws -> PairwiseClient {
        try PairwiseClient(store: store, keyVault: world.vault(name))
    }
}

/// What an app's code may throw of its own.
private struct Unexpected: Error {}

/// The smallest store that keeps its promise in one process.
private final class MemoryStore: CryptoStore, @unchecked Sendable {
    private let lock = NSLock()
    private var rows: [Data: Data] = [:]
    private var thrown: (any Error)?

    /// Thrown by each commit.
    var fault: (any Error)? {
        get { lock.withLock { thrown } }
        set { lock.withLock { thrown = newValue } }
    }

    func get(key: Data) throws -> Data? { lock.withLock { rows[key] } }

    func commit(expectedHead: Data?, writes: [CryptoStoreWrite]) throws {
        try lock.withLock {
            if let thrown { throw thrown }
            guard rows[Data("head".utf8)] == expectedHead else { throw CryptoStoreError.Conflict }
            for write in writes { rows[write.key] = write.value }
        }
    }
}
