// swift-tools-version: 6.0
// The package as it is developed: `cargo xtask sdk swift` puts the generated modules and the library of this machine beside the sources.
// Apps depend on the package that `scripts/xcframework.sh` writes, which has the library as an XCFramework with a checksum.

import PackageDescription

let package = Package(
    name: "rcseal",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [
        .library(name: "Rcseal", targets: ["Rcseal"]),
        .executable(name: "rcseal-chat", targets: ["RcsealChat"]),
    ],
    targets: [
        // Generated: the C header of the library, and what UniFFI makes of it. The generator writes Swift 5.
        .target(name: "RcsealFFIC"),
        .target(
            name: "RcsealFFI",
            dependencies: ["RcsealFFIC"],
            swiftSettings: [.swiftLanguageMode(.v5)],
            linkerSettings: [
                .linkedLibrary("rcseal_sdk"),
                .unsafeFlags(["-L", "native", "-Xlinker", "-rpath", "-Xlinker", "$ORIGIN/../../../native"]),
            ]
        ),
        // Written by hand: what apps use.
        .target(name: "Rcseal", dependencies: ["RcsealFFI"], resources: [.copy("PrivacyInfo.xcprivacy")]),
        // For development machines only: a key vault in a file.
        .target(name: "RcsealDevelopment", dependencies: ["Rcseal"]),
        .executableTarget(name: "RcsealChat", dependencies: ["Rcseal", "RcsealDevelopment"], path: "samples/console"),
        .executableTarget(name: "RcsealDriver", dependencies: ["Rcseal", "RcsealDevelopment"]),
        .executableTarget(name: "RcsealBench", dependencies: ["Rcseal", "RcsealFFI", "RcsealDevelopment"]),
        .testTarget(name: "RcsealTests", dependencies: ["Rcseal", "RcsealDevelopment"]),
    ],
    swiftLanguageModes: [.v6]
)
