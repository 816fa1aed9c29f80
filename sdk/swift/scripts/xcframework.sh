#!/bin/sh
# Builds the library for Apple's systems, packs it as an XCFramework, and writes a package whose manifest names it by its checksum.
#
#     sdk/swift/scripts/xcframework.sh URL
#
# URL is where RcsealFFIC.xcframework.zip will be published. Needs a Mac with Xcode, and Rust with the targets below. Was not run where this
# project is developed, which has no Mac.
set -eu

url=${1:?the address where RcsealFFIC.xcframework.zip will be published}
root=$(cd "$(dirname "$0")/../../.." && pwd)
out="$root/target/sdk/swift/release"
export IPHONEOS_DEPLOYMENT_TARGET=16.0 MACOSX_DEPLOYMENT_TARGET=13.0

rm -rf "$out"
mkdir -p "$out/headers" "$out/package/Sources"
cd "$root"
for target in aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin; do
    rustup target add "$target"
    cargo build --locked --profile sdk --package rcseal-sdk --target "$target"
done

# The generator reads the symbols, so it is given a library that nothing was taken out of.
cargo run --locked --package rcseal-bindgen -- generate --library target/aarch64-apple-darwin/sdk/librcseal_sdk.dylib \
    --language swift --no-format --out-dir "$out/generated"
cp "$out/generated/RcsealFFIC.h" "$out/headers/"
cp "$out/generated/RcsealFFIC.modulemap" "$out/headers/module.modulemap"

# One library for each platform: what the simulator and the Mac run on is two processors.
mkdir -p "$out/simulator" "$out/mac"
lipo -create -output "$out/simulator/librcseal_sdk.a" \
    target/aarch64-apple-ios-sim/sdk/librcseal_sdk.a target/x86_64-apple-ios/sdk/librcseal_sdk.a
lipo -create -output "$out/mac/librcseal_sdk.a" \
    target/aarch64-apple-darwin/sdk/librcseal_sdk.a target/x86_64-apple-darwin/sdk/librcseal_sdk.a
xcodebuild -create-xcframework \
    -library target/aarch64-apple-ios/sdk/librcseal_sdk.a -headers "$out/headers" \
    -library "$out/simulator/librcseal_sdk.a" -headers "$out/headers" \
    -library "$out/mac/librcseal_sdk.a" -headers "$out/headers" \
    -output "$out/RcsealFFIC.xcframework"
(cd "$out" && ditto -c -k --keepParent RcsealFFIC.xcframework RcsealFFIC.xcframework.zip)
checksum=$(swift package compute-checksum "$out/RcsealFFIC.xcframework.zip")

cp -R sdk/swift/Sources/Rcseal "$out/package/Sources/"
mkdir "$out/package/Sources/RcsealFFI"
cp "$out/generated/RcsealFFI.swift" "$out/package/Sources/RcsealFFI/"
sed -e "s|@URL@|$url|" -e "s|@CHECKSUM@|$checksum|" sdk/swift/scripts/Package.release.swift.in > "$out/package/Package.swift"
echo "$out/package and $out/RcsealFFIC.xcframework.zip ($checksum)"
