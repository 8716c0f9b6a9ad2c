//! Recordings of calls that a crash ended: their records name what lies on the disk, for nobody is
//! left who could tell.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use model::{CallId, Cdr};

/// Names in each record the files `CALL-PART.FORMAT` of a directory, finished or not, in the order of
/// their parts. A directory that cannot be read has none.
pub(super) fn name(dir: &Path, cdrs: &mut [Cdr]) {
    if cdrs.is_empty() {
        return;
    }
    let mut found: HashMap<CallId, Vec<(u32, String)>> = HashMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(file) = entry.file_name().into_string() else {
            continue;
        };
        let file = file.strip_suffix(UNFINISHED).unwrap_or(&file);
        if let Some((call, part)) = parts(file) {
            let all = found.entry(call).or_default();
            all.push((part, file.to_owned()));
        }
    }
    for cdr in cdrs {
        let mut all = found.remove(&cdr.call).unwrap_or_default();
        all.sort_unstable();
        all.dedup();
        cdr.recordings = all.into_iter().map(|(_, file)| file).collect();
    }
}

/// The call and the part that a file is called after.
fn parts(file: &str) -> Option<(CallId, u32)> {
    let (stem, format) = file.rsplit_once('.')?;
    let (call, part) = stem.rsplit_once('-')?;
    let is_recording = FORMATS.contains(&format);
    is_recording.then_some((call.parse().ok()?, part.parse().ok()?))
}

/// What stands behind the name of a file that is being written.
const UNFINISHED: &str = ".part";
const FORMATS: [&str; 2] = ["wav", "opus"];
