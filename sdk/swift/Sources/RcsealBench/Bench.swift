// What the Swift face costs over the Rust call, for messages of 1 KiB. `cargo xtask bench sdk` starts it with the address of a relay and the
// file of its authority; it prints one JSON object with its rows.
//
// Measured is the border by itself: a call that carries the same 1 KiB and is refused at once behind it, because the client is closed, and the
// translation of a message of 1 KiB into the library's memory and back. The whole send is a row beside them, without a goal.

import Foundation
import Rcseal
import RcsealDevelopment
import RcsealFFI

/// The median of many calls, in microseconds.
func median(_ rounds: Int, _ call: () async throws -> Void) async throws -> Double {
    var times: [UInt64] = []
    for _ in 0..<rounds {
        let start = DispatchTime.now().uptimeNanoseconds
        try await call()
        times.append(DispatchTime.now().uptimeNanoseconds - start)
    }
    return Double(times.sorted()[rounds / 2]) / 1000
}

/// The call was made, and refused because the client is closed.
func mustBeRefused(_ call: () async throws -> Void) async throws {
    do {
        try await call()
    } catch let error as Rcseal.RcsealError where error.kind == .closed {
        return
    }
    throw CancellationError()
}

/// Measures beside a relay.
func measure(server: String, authority: String) async throws -> [[String: Any]] {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("rcseal-bench-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    var clients: [Rcseal.RcsealClient] = []
    for name in ["ada", "bert"] {
        let config = Rcseal.ClientConfig(
            folder: folder.appendingPathComponent(name).path, authoritiesPem: try String(contentsOfFile: authority, encoding: .utf8))
        let vault = DevelopmentKeyVault(file: folder.appendingPathComponent(name + ".vault"))
        let client = try await Rcseal.RcsealClient.open(config, keyVault: vault)
        _ = try await client.createAccount(NewAccount(origin: server, platform: .ios, displayName: name))
        clients.append(client)
    }
    let text = String(repeating: "x", count: 1024)
    let contact = try await clients[0].addContact(clients[1].invitation(), name: "Bert")
    let conversation = try await clients[0].conversation(with: contact.id)
    let whole = try await median(200) { try await conversation.send(text: text) }
    let sample = try await conversation.messages(limit: 1)[0]
    for client in clients { try await client.close() }

    let rounds = 5_000
    let send = try await median(rounds) { try await mustBeRefused { try await conversation.send(text: text) } }
    let read = try await median(rounds) {
        try await mustBeRefused { _ = try await conversation.message(from: sample.senderId, id: sample.id) }
    }
    let lift = try await median(rounds) { _ = try FfiConverterTypeMessage_lift(FfiConverterTypeMessage_lower(sample)) }
    return [
        ["id": "swift_send_1kib_border", "value": send, "unit": "µs", "goal": 20.0],
        ["id": "swift_receive_1kib_border", "value": read + lift, "unit": "µs", "goal": 20.0],
        ["id": "swift_send_1kib_whole", "value": whole, "unit": "µs"],
    ]
}

@main
struct Program {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else {
            FileHandle.standardError.write(Data("a relay's address and the file of its authority are needed\n".utf8))
            exit(2)
        }
        try await run(server: arguments[1], authority: arguments[2])
    }

    /// Away from the main actor, whose hops would be measured as well.
    private nonisolated static func run(server: String, authority: String) async throws {
        let rows = try await measure(server: server, authority: authority)
        print(String(decoding: try JSONSerialization.data(withJSONObject: ["rows": rows], options: [.sortedKeys]), as: UTF8.self))
    }
}
