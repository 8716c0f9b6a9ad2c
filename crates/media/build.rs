//! Compiles the kernel path with clang, if there is clang.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-env-changed=CLANG");
    println!("cargo::rustc-check-cfg=cfg(kernel_path)");
    match compile() {
        Ok(()) => println!("cargo::rustc-cfg=kernel_path"),
        Err(reason) => println!("cargo::warning=media is relayed in user space only: {reason}"),
    }
}

fn compile() -> Result<(), String> {
    let out = env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    let out = PathBuf::from(out).join("relay.o");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let clang = env::var_os("CLANG").unwrap_or_else(|| "clang".into());
    let result = Command::new(&clang)
        .args([
            "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror",
        ])
        // Without an architecture of its own, the target lacks the path of <asm/types.h>.
        .arg(format!("-I/usr/include/{arch}-linux-gnu"))
        .args(["-c", SOURCE, "-o"])
        .arg(&out)
        .output()
        .map_err(|error| format!("{} cannot be run: {error}", clang.display()))?;
    if result.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&result.stderr);
    let said = said.lines().find(|line| line.contains("error"));
    Err(format!(
        "clang refused {SOURCE}: {}",
        said.unwrap_or("no reason given")
    ))
}

const SOURCE: &str = "bpf/relay.c";
