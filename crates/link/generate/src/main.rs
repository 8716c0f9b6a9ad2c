//! Makes `crates/link/src/proto.rs` from `crates/link/proto/link.proto`; no `protoc` is needed.
//! After a change of the latter: `cargo run --manifest-path crates/link/generate/Cargo.toml`.

use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let link = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = protox::compile([link.join("proto/link.proto")], [link.join("proto")])?;
    let out = std::env::temp_dir().join(format!("tandem-proto-{}", std::process::id()));
    fs::create_dir_all(&out)?;
    tonic_prost_build::configure()
        .build_transport(false)
        .out_dir(&out)
        .compile_fds(files)?;
    let made = fs::read_to_string(out.join("tandem.link.v1.rs"))?;
    fs::remove_dir_all(&out)?;
    fs::write(link.join("src/proto.rs"), format!("{HEAD}{made}"))?;
    Ok(())
}

const HEAD: &str = "//! Messages and service, made from `proto/link.proto` by `crates/link/generate`.\n\n";
