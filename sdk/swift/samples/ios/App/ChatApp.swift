import Rcseal
import SwiftUI
import UIKit
import UserNotifications

@main
struct ChatApp: App {
    @UIApplicationDelegateAdaptor(Delegate.self) private var delegate

    var body: some Scene {
        WindowGroup { ConversationList().environmentObject(delegate.model).task { await delegate.model.start() } }
    }
}

/// What the system tells an app and not its screens: the push token.
@MainActor
final class Delegate: NSObject, UIApplicationDelegate {
    let model = Model()

    func application(_ application: UIApplication, didFinishLaunchingWithOptions options: [UIApplication.LaunchOptionsKey: Any]?) -> Bool {
        Task {
            let isGranted = try? await UNUserNotificationCenter.current().requestAuthorization(options: [.alert, .sound, .badge])
            if isGranted == true { application.registerForRemoteNotifications() }
        }
        return true
    }

    func application(_ application: UIApplication, didRegisterForRemoteNotificationsWithDeviceToken token: Data) {
        Task { await model.registerForPush(token) }
    }
}
