// A device that is held by lines of JSON: see `sdk/DRIVER.md`.

import Foundation
import Rcseal
import RcsealDevelopment

/// Writes lines whole, from any task.
final class Output: @unchecked Sendable {
    private let lock = NSLock()

    func write(_ object: [String: Any]) {
        guard var line = try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys]) else { return }
        line.append(0x0A)
        lock.withLock { FileHandle.standardOutput.write(line) }
    }
}

/// A command that lacks a field, or comes before `open`.
struct Misuse: Error { let what: String }

struct Command {
    let fields: [String: Any]

    func text(_ name: String) throws -> String {
        guard let value = fields[name] as? String else { throw Misuse(what: name) }
        return value
    }

    func number(_ name: String) throws -> UInt64 {
        guard let value = fields[name] as? NSNumber else { throw Misuse(what: name) }
        return value.uint64Value
    }
}

/// The name of a case as it is written: in lower case.
func name<T>(_ value: T) -> String { "\(value)".lowercased() }

func shown(_ message: Message) -> [String: Any] {
    [
        "message": message.id, "sender": message.senderId, "order": message.order, "is_outgoing": message.isOutgoing,
        "state": name(message.state), "kind": name(message.kind), "text": message.text ?? NSNull(),
        "file": message.media?.fileName ?? NSNull(), "size": message.media?.size ?? NSNull(), "mode": name(message.mode),
        "is_end_to_end": message.isEndToEnd, "reactions": message.reactions.map(\.emoji),
    ]
}

func shown(_ contact: Contact) -> [String: Any] {
    ["contact": contact.id, "name": contact.name, "verification": name(contact.verification), "has_keys": contact.hasKeys]
}

func shown(_ receipt: MessageReceipt) -> [String: Any] {
    ["message": receipt.messageId, "state": name(receipt.state), "mode": receipt.mode.map { name($0) } ?? NSNull()]
}

/// The device.
struct Driver {
    let output: Output
    var client: RcsealClient?

    mutating func carryOut(_ command: Command) async throws -> [String: Any] {
        let what = try command.text("do")
        if what == "open" { return try await open(command) }
        guard let client else { throw Misuse(what: "open") }
        switch what {
        case "account":
            let platforms: [String: Platform] = ["android": .android, "ios": .ios]
            let platform = platforms[try command.text("platform")] ?? .desktop
            let account = NewAccount(origin: try command.text("server"), platform: platform, displayName: try command.text("name"))
            let created = try await client.createAccount(account)
            return ["account": created.accountId, "is_registered": created.isRegistered]
        case "connect": try await client.connect()
        case "invite": return ["invitation": try await client.invitation()]
        case "add":
            return shown(try await client.addContact(command.text("invitation"), name: command.text("name")))
        case "contacts": return ["contacts": try await client.contacts().map { shown($0) }]
        case "contact": return shown(try await client.contact(command.text("contact")))
        case "close": try await client.close()
        default: return try await converse(what, command, client.conversation(with: command.text("contact")))
        }
        return [:]
    }

    private func converse(_ what: String, _ command: Command, _ conversation: Conversation) async throws -> [String: Any] {
        switch what {
        case "text": return shown(try await conversation.send(text: command.text("text")))
        case "file":
            let file = URL(fileURLWithPath: try command.text("path"))
            return shown(try await conversation.send(file: file, caption: command.text("caption")))
        case "react":
            let reaction = OutgoingMessage.reaction(
                messageId: try command.text("message"), emoji: try command.text("emoji"), isRemoved: false)
            return shown(try await conversation.send(reaction))
        case "messages": return ["messages": try await conversation.messages().map { shown($0) }]
        case "fetch":
            guard let message = try await conversation.message(from: command.text("sender"), id: command.text("message")) else {
                throw Misuse(what: "message")
            }
            try await conversation.fetchEncryptedBlob(of: message, to: URL(fileURLWithPath: command.text("path")))
        case "read": try await conversation.markRead(upTo: command.number("order"))
        case "safety":
            let number = try await conversation.safetyNumber()
            return ["numeric": try number.numeric(), "qr": try number.qrPayload()]
        case "scan": try await conversation.safetyNumber().verify(scan: command.text("qr"))
        case "security":
            let security = try await conversation.security()
            return [
                "mode": security.mode.map { name($0) } ?? NSNull(), "is_end_to_end": security.isEndToEnd,
                "padlock": name(security.padlock),
            ]
        default: throw Misuse(what: "do")
        }
        return [:]
    }

    private mutating func open(_ command: Command) async throws -> [String: Any] {
        let folder = try command.text("folder")
        let config = ClientConfig(folder: folder, authoritiesPem: try String(contentsOfFile: command.text("authority"), encoding: .utf8))
        let vault = DevelopmentKeyVault(file: URL(fileURLWithPath: folder + ".vault"))
        let client = try await RcsealClient.open(config, keyVault: vault)
        let (updates, states, output) = (try client.observeMessages(), try client.observeConnection(), output)
        Task {
            for await update in updates {
                output.write(["event": "message", "is_new": update.isNew, "message": shown(update.message)])
            }
        }
        Task {
            for await state in states {
                output.write(["event": "connection", "status": name(state.status), "code": state.code ?? NSNull()])
            }
        }
        self.client = client
        return [:]
    }
}

@main
struct Program {
    static func main() async { await serve() }

    /// Reads commands to the end of the input.
    private nonisolated static func serve() async {
        let output = Output()
        var driver = Driver(output: output)
        while let line = readLine() {
            let fields = (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any] ?? [:]
            let id = fields["id"] ?? NSNull()
            do {
                output.write(["id": id, "ok": try await driver.carryOut(Command(fields: fields))])
            } catch let error as RcsealError {
                output.write(["id": id, "error": ["kind": name(error.kind), "code": error.code, "retryable": error.retryable]])
            } catch let error as Misuse {
                output.write(["id": id, "error": ["kind": "driver", "code": "driver.\(error.what)", "retryable": false]])
            } catch {
                // A file that cannot be read, of those that a command names.
                output.write(["id": id, "error": ["kind": "driver", "code": "driver.file", "retryable": false]])
            }
        }
        try? await driver.client?.close()
    }
}
