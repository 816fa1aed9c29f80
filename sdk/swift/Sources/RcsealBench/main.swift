// What the Swift face adds to a call of the library, for a message of 1 KiB. Prints one line of JSON.
//
// Sending: the call of a client that is closed crosses the border with everything that a send crosses with (the text, the future, its polls,
// an answer), and does nothing on the other side. Receiving: the conversion of a message there and back, and the hand-over from a listener's
// thread to a loop. Both are what comes on top of the work itself, which is the same in every language.

import Foundation
import Rcseal
import RcsealDevelopment
import RcsealFFI

let rounds = 2_000
let text = String(repeating: "x", count: 1024)

func median(_ times: [Double]) -> Double { times.sorted()[times.count / 2] }

func microseconds(_ call: () async throws -> Void) async rethrows -> Double {
    let start = DispatchTime.now().uptimeNanoseconds
    try await call()
    return Double(DispatchTime.now().uptimeNanoseconds - start) / 1000
}

let environment = ProcessInfo.processInfo.environment
guard let server = environment["RCSEAL_SERVER"], let authority = environment["RCSEAL_AUTHORITY"] else {
    FileHandle.standardError.write(Data("RCSEAL_SERVER and RCSEAL_AUTHORITY name a relay\n".utf8))
    exit(2)
}
let folder = FileManager.default.temporaryDirectory.appendingPathComponent("rcseal-bench-" + UUID().uuidString)
try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
defer { try? FileManager.default.removeItem(at: folder) }

func client(_ name: String) async throws -> Rcseal.RcsealClient {
    let config = Rcseal.ClientConfig(
        folder: folder.appendingPathComponent(name).path, authoritiesPem: try String(contentsOfFile: authority, encoding: .utf8))
    let vault = DevelopmentKeyVault(file: folder.appendingPathComponent(name + ".vault"))
    let client = try await Rcseal.RcsealClient.open(config, keyVault: vault)
    _ = try await client.createAccount(NewAccount(origin: server, platform: .ios, displayName: name))
    return client
}

let (ada, bert) = (try await client("ada"), try await client("bert"))
let contact = try await ada.addContact(bert.invitation(), name: "Bert")
let conversation = try await ada.conversation(with: contact.id)
var whole: [Double] = []
for _ in 0..<50 { whole.append(try await microseconds { try await conversation.send(text: text) }) }
let sample = try await conversation.messages(limit: 1)[0]
try await ada.close()
try await bert.close()

var sends: [Double] = []
var receives: [Double] = []
for _ in 0..<rounds {
    sends.append(await microseconds { _ = try? await conversation.send(text: text) })
    receives.append(await microseconds { _ = try? FfiConverterTypeMessage_lift(FfiConverterTypeMessage_lower(sample)) })
}
let report: [String: Any] = [
    "face": "swift", "send_us": median(sends), "receive_us": median(receives), "whole_send_us": median(whole), "rounds": rounds,
]
print(String(decoding: try JSONSerialization.data(withJSONObject: report, options: [.sortedKeys]), as: UTF8.self))
