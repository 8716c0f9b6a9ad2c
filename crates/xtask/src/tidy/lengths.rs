//! Short files, and no `mod.rs`.

use super::Findings;
use super::files::File;

/// Counts the lines of a Rust file without its tests.
pub(crate) fn check(file: &File, findings: &mut Findings) {
    if !file.is_rust() {
        return;
    }
    if file.path.ends_with("/mod.rs") {
        findings.problem(format!("{}: write foo.rs beside foo/", file.path));
    }
    let lines = file.code().lines().count();
    // Nobody reads what a generator has made.
    if lines > REFUSED && !GENERATED.contains(&file.path.as_str()) {
        findings.problem(format!(
            "{}: {lines} lines; {REFUSED} is the most",
            file.path
        ));
    } else if lines > WANTED {
        findings.note(format!(
            "{}: {lines} lines; {WANTED} is the wish",
            file.path
        ));
    }
}

const GENERATED: [&str; 1] = ["crates/link/src/proto.rs"];
const WANTED: usize = 500;
const REFUSED: usize = 800;
