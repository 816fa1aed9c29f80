import Foundation
import Rcseal
import SwiftUI

/// What the screens show.
@MainActor
final class Model: ObservableObject {
    @Published var conversations: [ConversationSummary] = []
    @Published var open: [Message] = []
    @Published var recoveryCode: String?
    @Published var problem: String?
    @Published var connection = ConnectionStatus.stopped

    private(set) var client: RcsealClient?
    private var openContact: String?

    func start() async {
        await showing {
            let client = try await RcsealClient.open(Shared.config(), keyVault: Shared.keyVault)
            self.client = client
            if try await client.account() == nil {
                _ = try await client.createAccount(NewAccount(origin: Shared.server, platform: .ios, displayName: ""))
            }
            self.recoveryCode = try await client.pendingRecoveryCode()
            let (updates, states) = (try client.observeMessages(), try client.observeConnection())
            Task { for await _ in updates { await self.reload() } }
            Task { for await state in states { self.connection = state.status } }
            try await client.connect()
            await self.reload()
        }
    }

    func reload() async {
        await showing {
            guard let client = self.client else { return }
            self.conversations = try await client.conversations()
            if let contact = self.openContact {
                let conversation = try await client.conversation(with: contact)
                self.open = try await conversation.messages().reversed()
                if let last = self.open.last { try await conversation.markRead(upTo: last.order) }
            }
        }
    }

    func open(_ contactId: String) async {
        openContact = contactId
        await reload()
    }

    func send(_ text: String, to contactId: String) async {
        await showing {
            try await self.client?.conversation(with: contactId).send(text: text)
        }
        await reload()
    }

    func add(_ invitation: String, name: String) async {
        await showing { try await self.client?.addContact(invitation, name: name) }
        await reload()
    }

    func confirmRecoveryCode() async {
        await showing { try await self.client?.confirmRecoveryCode() }
        recoveryCode = nil
    }

    func registerForPush(_ token: Data) async {
        await showing {
            try await self.client?.registerPushToken(.apns, token: token, appId: Bundle.main.bundleIdentifier ?? "")
        }
    }

    /// Runs a call and shows what went wrong. Codes are for logs; a user reads the catalogue.
    func showing(_ call: () async throws -> Void) async {
        do { try await call() } catch { problem = (error as? RcsealError)?.code ?? "\(type(of: error))" }
    }
}

extension Padlock {
    /// The symbol, and what a screen reader says.
    var shown: (symbol: String, words: String) {
        switch self {
        case .verified: ("lock.fill", "encryption.relayed")
        case .endToEnd: ("lock", "encryption.relayed")
        case .changed: ("exclamationmark.lock", "verification.changed")
        case .readable: ("lock.open", "encryption.carrier_readable")
        case .closed: ("nosign", "failed.not_allowed")
        }
    }
}
