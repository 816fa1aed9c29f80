import Foundation
import XCTest

import Rcseal
import RcsealDevelopment

/// How long something may take that should happen soon: many times what it takes on a busy machine.
let soon: TimeInterval = 60

/// Waits until a condition holds. What the condition throws counts as "not yet".
func until(_ what: String, file: StaticString = #filePath, line: UInt = #line, _ holds: () async throws -> Bool) async {
    let limit = Date().addingTimeInterval(soon)
    while Date() < limit {
        if (try? await holds()) == true { return }
        try? await Task.sleep(nanoseconds: 5_000_000)
    }
    XCTFail("in vain: \(what)", file: file, line: line)
}

/// Asserts that a call throws an error of this kind and code.
func assertFails<T>(
    _ kind: RcsealError.Kind, _ code: String? = nil, retryable: Bool? = nil, file: StaticString = #filePath, line: UInt = #line,
    _ call: () async throws -> T
) async {
    do {
        _ = try await call()
        XCTFail("did not throw", file: file, line: line)
    } catch let error as RcsealError {
        XCTAssertEqual(error.kind, kind, error.code, file: file, line: line)
        if let code { XCTAssertEqual(error.code, code, file: file, line: line) }
        if let retryable { XCTAssertEqual(error.retryable, retryable, file: file, line: line) }
    } catch {
        XCTFail("threw \(type(of: error))", file: file, line: line)
    }
}

/// The relay that the tests were given, and folders of their own.
struct World {
    let server: String
    let authorities: String
    let folder: URL

    init() throws {
        let environment = ProcessInfo.processInfo.environment
        server = try XCTUnwrap(environment["RCSEAL_SERVER"], "run by `cargo xtask sdk swift`")
        authorities = try String(contentsOfFile: try XCTUnwrap(environment["RCSEAL_AUTHORITY"]), encoding: .utf8)
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("rcseal-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    func config(_ name: String, vaultTimeoutMs: UInt64? = nil) -> ClientConfig {
        ClientConfig(
            folder: folder.appendingPathComponent(name).path, authoritiesPem: authorities, vaultTimeoutMs: vaultTimeoutMs)
    }

    func vault(_ name: String) -> DevelopmentKeyVault {
        DevelopmentKeyVault(file: folder.appendingPathComponent(name + ".vault"))
    }

    /// A client without an account.
    func blank(_ name: String) async throws -> RcsealClient {
        try await RcsealClient.open(config(name), keyVault: vault(name))
    }

    /// A client with an account, connected.
    func client(_ name: String, server: String? = nil) async throws -> RcsealClient {
        let client = try await blank(name)
        let new = NewAccount(origin: server ?? self.server, platform: .ios, displayName: name)
        let created = try await client.createAccount(new)
        XCTAssertTrue(created.isRegistered, created.failureCode ?? "")
        try await client.connect()
        return client
    }

    /// Two connected clients, of which each has the other for a contact.
    func pair() async throws -> (ada: Side, bert: Side) {
        let (ada, bert) = (try await client("ada"), try await client("bert"))
        let toBert = try await ada.addContact(bert.invitation(), name: "Bert")
        let first = try await ada.conversation(with: toBert.id)
        try await first.send(text: "hello")
        await until("Bert has heard from Ada") { try await !bert.contacts().isEmpty }
        let toAda = try await XCTUnwrapAsync(await bert.contacts().first)
        let second = try await bert.conversation(with: toAda.id)
        await until("the first message is there") { try await second.messages().count == 1 }
        return (Side(client: ada, conversation: first, contactId: toBert.id), Side(client: bert, conversation: second, contactId: toAda.id))
    }

    func write(_ name: String, _ content: Data) throws -> URL {
        let file = folder.appendingPathComponent(name)
        try content.write(to: file)
        return file
    }

    func remove() { try? FileManager.default.removeItem(at: folder) }
}

/// One of two.
struct Side {
    let client: RcsealClient
    let conversation: Conversation
    let contactId: String

    /// The newest message, once it says this.
    func hears(_ text: String, file: StaticString = #filePath, line: UInt = #line) async {
        await until("\"\(text)\" arrives", file: file, line: line) { try await conversation.messages(limit: 20).contains { $0.text == text && !$0.isOutgoing } }
    }

    func message(_ id: String) async throws -> Message? { try await conversation.messages(limit: 50).first { $0.id == id } }
}

func XCTUnwrapAsync<T>(_ value: T?) throws -> T { try XCTUnwrap(value) }

/// A vault over another that fails on demand, is slow, or hangs, in every call or in one, and keeps account of what it is asked.
final class FaultyVault: KeyVault, @unchecked Sendable {
    enum Fault { case none, error(VaultError), foreign, hanging }
    struct SecretTrouble: Error { let secret = "what only the app knows" }

    private let inner: DevelopmentKeyVault
    private let lock = NSCondition()
    // Read and written with the lock held.
    private var fault = Fault.none
    private var faultyCall: String?
    private var asked: [String] = []

    init(_ inner: DevelopmentKeyVault) { self.inner = inner }

    /// What it was asked until now.
    var calls: [String] { lock.withLock { asked } }

    func set(_ fault: Fault, on call: String? = nil) {
        lock.lock()
        self.fault = fault
        faultyCall = call
        lock.broadcast()
        lock.unlock()
    }

    private func meet(_ call: String) throws {
        lock.lock()
        defer { lock.unlock() }
        asked.append(call)
        guard faultyCall == nil || faultyCall == call else { return }
        while case .hanging = fault { lock.wait() }
        switch fault {
        case .error(let error): throw error
        case .foreign: throw SecretTrouble()
        case .none, .hanging: break
        }
    }

    func createWrappingKey(alias: String) throws { try meet("create"); try inner.createWrappingKey(alias: alias) }
    func hasWrappingKey(alias: String) throws -> Bool { try meet("has"); return try inner.hasWrappingKey(alias: alias) }
    func wrap(alias: String, dataKey: Data) throws -> Data { try meet("wrap"); return try inner.wrap(alias: alias, dataKey: dataKey) }
    func unwrap(alias: String, wrapped: Data) throws -> Data { try meet("unwrap"); return try inner.unwrap(alias: alias, wrapped: wrapped) }
    func delete(alias: String) throws { try meet("delete"); try inner.delete(alias: alias) }
    func protection() throws -> KeyProtection { .software }
    func generation(alias: String) throws -> UInt64 { try meet("generation"); return try inner.generation(alias: alias) }
    func bumpGeneration(alias: String) throws -> UInt64 { try meet("bump"); return try inner.bumpGeneration(alias: alias) }
}
