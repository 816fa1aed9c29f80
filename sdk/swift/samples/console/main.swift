// A chat on a terminal: what an app does, without its screens.
//
//     rcseal-chat FOLDER SERVER AUTHORITY.pem NAME
//
// Shows an invitation; `/add INVITATION NAME` takes one in; a line goes to the contact last added or heard from; `/file PATH` sends a file;
// `/verify` shows the safety number, `/verify DIGITS` confirms it.

import Foundation
import Rcseal
import RcsealDevelopment

let arguments = CommandLine.arguments
guard arguments.count == 5 else {
    print("usage: rcseal-chat FOLDER SERVER AUTHORITY.pem NAME")
    exit(2)
}

/// Whom lines go to.
actor Partner {
    var contactId: String?
    func set(_ id: String) { contactId = id }
}

/// What a message looks like on a terminal: a lock only where nobody else can read it.
func line(_ message: Message) -> String {
    let lock = message.isEndToEnd ? "🔒" : "🔓"
    switch message.kind {
    case .text: return "\(lock) \(message.text ?? "")"
    case .media: return "\(lock) [\(message.media?.fileName ?? "file")] \(message.text ?? "")"
    case .deleted: return "\(lock) (taken back)"
    case .unknown: return "\(lock) (update the app to see this message)"
    default: return "\(lock) (\(message.kind))"
    }
}

func chat(_ arguments: [String]) async throws {
    let partner = Partner()
    let config = ClientConfig(
        folder: arguments[1], authoritiesPem: try String(contentsOfFile: arguments[3], encoding: .utf8))
    // On an iPhone: SecureEnclaveKeyVault(accessGroup: "…").
    let vault = DevelopmentKeyVault(file: URL(fileURLWithPath: arguments[1] + ".vault"))
    let client = try await RcsealClient.open(config, keyVault: vault)

    if try await client.account() == nil {
        let new = NewAccount(origin: arguments[2], platform: .desktop, displayName: arguments[4])
        let created = try await client.createAccount(new)
        print("write this down, it brings the account back: \(created.recoveryCode ?? "")")
        try await client.confirmRecoveryCode()
    }
    if let first = try await client.contacts().first { await partner.set(first.id) }

    // Before connecting, so that nothing is missed.
    let updates = try client.observeMessages()
    let states = try client.observeConnection()
    Task {
        for await update in updates {
            let message = update.message
            if message.isOutgoing {
                print("    \(message.state)")
            } else if update.isNew {
                await partner.set(message.senderId)
                print("< \(line(message))")
                let conversation = try await client.conversation(with: message.senderId)
                try await conversation.markRead(upTo: message.order)
            }
        }
    }
    Task {
        for await state in states { print("(\(state.status)\(state.code.map { ": " + $0 } ?? ""))") }
    }
    try await client.connect()
    print("your invitation, whoever has it can write to you:\n\(try await client.invitation())")

    while let input = readLine() {
        let words = input.split(separator: " ", maxSplits: 2).map(String.init)
        do {
            if words.first == "/quit" { break }
            if words.first == "/add", words.count == 3 {
                await partner.set(try await client.addContact(words[1], name: words[2]).id)
                continue
            }
            guard let contactId = await partner.contactId else {
                print("nobody to write to yet: /add INVITATION NAME")
                continue
            }
            let conversation = try await client.conversation(with: contactId)
            switch words.first {
            case "/file" where words.count > 1:
                try await conversation.send(file: URL(fileURLWithPath: words.dropFirst().joined(separator: " ")))
            case "/verify" where words.count > 1:
                try await conversation.safetyNumber().verify(digits: words.dropFirst().joined(separator: " "))
                print("verified")
            case "/verify": print(try await conversation.safetyNumber().numeric())
            case .some: try await conversation.send(text: input)
            case nil: break
            }
        } catch {
            print("\(error.code): \(error.reason)\(error.retryable ? " (try again)" : "")")
        }
    }
    try await client.close()
}

do {
    try await chat(arguments)
} catch {
    print(error.localizedDescription)
    exit(1)
}
