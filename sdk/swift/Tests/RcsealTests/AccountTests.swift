import Foundation
import XCTest

import Rcseal

/// The account over its life: restarts, exports, devices, many calls.
final class AccountTests: XCTestCase {
    private var world: World!

    override func setUp() async throws { world = try World() }
    override func tearDown() async throws { world.remove() }

    func testAnAccountIsCreatedOnceAndIsThereAfterTheNextOpening() async throws {
        let client = try await world.client("ada")
        let first = try await client.account()
        XCTAssertNotNil(first)
        await assertFails(.account) {
            try await client.createAccount(NewAccount(origin: self.world.server, platform: .ios, displayName: "Ada"))
        }
        try await client.close()
        let again = try await world.blank("ada")
        let second = try await again.account()
        XCTAssertEqual(first?.accountId, second?.accountId)
        try await again.close()
    }

    func testManyCallsAtATimeAreAllAnswered() async throws {
        let client = try await world.client("ada")
        let answers = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<64 { group.addTask { try await client.account()?.accountId } }
            var answers: [String?] = []
            for try await answer in group { answers.append(answer) }
            return answers
        }
        XCTAssertEqual(answers.count, 64)
        XCTAssertEqual(Set(answers).count, 1)
        try await client.close()
    }

    func testAnExportHasWhatWasSaidAndIsNotWrittenTwice() async throws {
        let (ada, bert) = try await world.pair()
        let file = world.folder.appendingPathComponent("export.jsonl")
        let summary = try await ada.client.exportData(to: file)
        XCTAssertEqual(summary.messages, 1)
        let written = try String(contentsOf: file, encoding: .utf8)
        XCTAssertTrue(written.contains("hello"))
        do {
            _ = try await ada.client.exportData(to: file)
            XCTFail("overwrote an export")
        } catch {
            XCTAssertEqual(try String(contentsOf: file, encoding: .utf8), written)
        }
        try await ada.client.close()
        try await bert.client.close()
    }

    func testADeviceIsLinkedByItsCodeAndTakenOutAgain() async throws {
        let phone = try await world.client("phone")
        let tablet = try await world.blank("tablet")
        let request = try await tablet.linkDevice(origin: world.server, platform: .ios)
        let finishing = Task { try await request.finish() }
        let number = try await phone.approveLink(request.text())
        try await finishing.value
        let (here, there) = (try await phone.account(), try await tablet.account())
        XCTAssertEqual(here?.accountId, there?.accountId)
        let devices = try await phone.devices()
        XCTAssertEqual(Set(devices.map(\.number)), [1, number])
        await assertFails(.invalidArgument, "sdk.link_used") { try await request.finish() }
        try await phone.removeDevice(number)
        await until("the tablet is out") { try await phone.devices().count == 1 }
        try await phone.close()
        try await tablet.close()
    }
}
