//! Compiles the protobuf schemas with `protox`, so that no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["proto/frame.proto", "proto/content.proto"], ["proto"])?;
    prost_build::Config::new()
        .bytes([".rcseal.frame.v1"])
        .skip_debug([".rcseal.content.v1", ".rcseal.frame.v1.Submission"])
        .compile_fds(files)?;
    Ok(())
}
