import Rcseal
import SwiftUI

struct ConversationList: View {
    @EnvironmentObject private var model: Model
    @State private var invitation = ""

    var body: some View {
        NavigationStack {
            List {
                if let code = model.recoveryCode {
                    Section("Write this down") {
                        Text(code).font(.body.monospaced()).textSelection(.enabled)
                        Button("I have written it down") { Task { await model.confirmRecoveryCode() } }
                    }
                }
                ForEach(model.conversations, id: \.id) { conversation in
                    if let contact = conversation.contactId {
                        NavigationLink { ConversationScreen(contactId: contact, title: conversation.title) } label: { row(conversation) }
                    }
                }
                Section("Add a contact") {
                    TextField("Invitation", text: $invitation)
                    Button("Add") { Task { await model.add(invitation, name: ""); invitation = "" } }.disabled(invitation.isEmpty)
                }
            }
            .navigationTitle("Chats")
            .alert("Something went wrong", isPresented: .constant(model.problem != nil)) {
                Button("OK") { model.problem = nil }
            } message: { Text(model.problem ?? "") }
        }
    }

    private func row(_ conversation: ConversationSummary) -> some View {
        HStack {
            PadlockIcon(padlock: conversation.padlock)
            VStack(alignment: .leading) {
                Text(conversation.title).font(.headline)
                Text(conversation.lastMessage?.text ?? "").font(.subheadline).lineLimit(1)
            }
            Spacer()
            if conversation.unreadCount > 0 { Text("\(conversation.unreadCount)").bold() }
        }
    }
}

struct PadlockIcon: View {
    let padlock: Padlock

    var body: some View {
        let language = Locale.preferredLanguages.first ?? "en"
        Image(systemName: padlock.shown.symbol)
            .accessibilityLabel((try? Words.of(padlock.shown.words, language: language).accessibility) ?? "")
    }
}

struct ConversationScreen: View {
    @EnvironmentObject private var model: Model
    let contactId: String
    let title: String
    @State private var text = ""

    var body: some View {
        VStack {
            ScrollView {
                ForEach(model.open, id: \.order) { message in
                    HStack {
                        if message.isOutgoing { Spacer() }
                        Text(message.text ?? "").padding(8).background(.quaternary, in: RoundedRectangle(cornerRadius: 12))
                        if !message.isOutgoing { Spacer() }
                    }
                }
            }
            HStack {
                TextField("Message", text: $text)
                Button("Send") { Task { [text] in await model.send(text, to: contactId) }; text = "" }.disabled(text.isEmpty)
            }
        }
        .padding()
        .navigationTitle(title)
        .toolbar { NavigationLink("Verify") { VerifyScreen(contactId: contactId) } }
        .task { await model.open(contactId) }
    }
}

struct VerifyScreen: View {
    @EnvironmentObject private var model: Model
    let contactId: String
    @State private var number: SafetyNumber?
    @State private var isVerified = false

    var body: some View {
        VStack(spacing: 24) {
            Text((try? number?.numeric()) ?? "…").font(.title2.monospaced()).multilineTextAlignment(.center)
            Text("Compare these digits with what your contact sees, in person or in a call.")
            Button("They are the same") {
                Task {
                    await model.showing {
                        guard let number else { return }
                        try await number.verify(digits: number.numeric())
                        isVerified = true
                    }
                }
            }.disabled(number == nil || isVerified)
            if isVerified { Label("Verified", systemImage: "lock.fill") }
        }
        .padding()
        .task { await model.showing { number = try await model.client?.safetyNumber(with: contactId) } }
    }
}
