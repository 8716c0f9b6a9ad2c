//! The API against its own description, tried by a tool of others (schemathesis): values that the
//! description allows and values that it does not, at each operation.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use testkit::Platform;

/// What must hold of each answer: no 5xx, and status, type and body as described.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_schema_conformance,negative_data_rejection,positive_data_acceptance,\
    unsupported_method";
/// Values within and beyond the bounds of each field, then ones made at random.
const PHASES: &str = "coverage,fuzzing";
/// Random ones for each operation; all of it takes a minute or two on two idle cores.
const EXAMPLES: &str = "25";

#[test]
fn every_operation_does_what_its_description_says_whatever_it_is_asked() -> Result<()> {
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"))?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let installed = Command::new(root.join("tests/install-schemathesis")).status();
    assert!(installed.context("installing schemathesis")?.success());
    let directory = tempfile::tempdir()?;
    let http = &platform.ready().http;
    let output = Command::new(root.join("target/schemathesis/bin/st"))
        .arg("--config-file")
        .arg(root.join("tests/schemathesis.toml").canonicalize()?)
        .args(["run", &format!("{http}/v1/openapi.json")])
        .args([
            "--header",
            &format!("Authorization: Bearer {}", platform.ready().token),
        ])
        .args([
            "--checks",
            CHECKS,
            "--phases",
            PHASES,
            "--max-examples",
            EXAMPLES,
        ])
        .args(["--seed", "1"])
        .current_dir(directory.path())
        .output()
        .context("starting schemathesis")?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let log = platform.program().log();
    assert!(!log.contains("panicked"), "{log}");
    // It is still there.
    platform.rest().read("/v1/version")?;
    Ok(())
}
