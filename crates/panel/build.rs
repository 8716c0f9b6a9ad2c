//! Makes the files of the panel, by the first way that there is:
//!
//! 1. `TANDEM_UI_DIST` names a directory that has them;
//! 2. npm is installed: `web/` is copied to the build directory and built there;
//! 3. else a page that says what is missing, with a warning. With `TANDEM_UI_REQUIRE=1`, as for
//!    releases, that is an error.
//!
//! Nothing is ever written to the source tree.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    for name in ["TANDEM_UI_DIST", "TANDEM_UI_REQUIRE"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
    }
    if let Some(given) = std::env::var_os("TANDEM_UI_DIST") {
        let given = fs::canonicalize(given)?;
        println!("cargo:rerun-if-changed={}", given.display());
        return embed(&out, &given, "embedded");
    }
    match build(&root, &out) {
        Ok(files) => embed(&out, &files, "embedded"),
        Err(error) if std::env::var_os("TANDEM_UI_REQUIRE").is_some() => Err(error),
        Err(error) => {
            println!("cargo:warning=built without the control panel: {error}");
            embed(&out, &stand_in(&out)?, "stand-in")
        }
    }
}

/// Writes `files.rs`, the table of all files that the library takes in.
fn embed(out: &Path, files: &Path, kind: &str) -> Result<()> {
    if !files.join("index.html").is_file() {
        return Err(format!("{} has no index.html", files.display()).into());
    }
    let mut names = Vec::new();
    list(files, "", &mut names)?;
    names.sort();
    let mut table = String::from("static FILES: &[(&str, &[u8])] = &[\n");
    for name in names {
        writeln!(
            table,
            "({name:?}, include_bytes!({:?})),",
            files.join(&name)
        )?;
    }
    table.push_str("];\n");
    fs::write(out.join("files.rs"), table)?;
    println!("cargo:rustc-env=TANDEM_UI_KIND={kind}");
    Ok(())
}

/// The paths of all files below a directory, with `/`.
fn list(directory: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            list(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

/// Copies the sources and builds them; what npm has brought stays for the next time.
fn build(root: &Path, out: &Path) -> Result<PathBuf> {
    if Command::new("npm").arg("--version").output().is_err() {
        return Err("npm is not installed (apt-get install nodejs npm)".into());
    }
    let work = out.join("work");
    for source in SOURCES {
        let from = root.join(source);
        let to = work.join(source);
        if from.is_dir() {
            let _ = fs::remove_dir_all(&to);
        }
        copy(&from, &to)?;
    }
    let web = work.join("web");
    let lock = fs::read(web.join("package-lock.json"))?;
    let brought = out.join("brought");
    if fs::read(&brought).ok() != Some(lock.clone()) {
        // Nothing that a package wants to run at its installation is needed.
        npm(&web, &["ci", "--ignore-scripts", "--no-audit", "--no-fund"])?;
        fs::write(&brought, lock)?;
    }
    npm(&web, &["run", "build"])?;
    Ok(web.join("dist"))
}

fn npm(directory: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new("npm")
        .args(arguments)
        .current_dir(directory)
        .env_remove("NODE_ENV")
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let end: Vec<&str> = said.lines().rev().take(LINES_TOLD).collect();
    let end: Vec<&str> = end.into_iter().rev().collect();
    Err(format!("npm {} failed: {}", arguments.join(" "), end.join(" | ")).into())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from, to).map_err(|error| format!("{}: {error}", from.display()))?;
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn stand_in(out: &Path) -> Result<PathBuf> {
    let files = out.join("stand-in");
    fs::create_dir_all(&files)?;
    fs::write(files.join("index.html"), STAND_IN)?;
    Ok(files)
}

/// What the panel is made of, seen from the top of the checkout.
const SOURCES: [&str; 8] = [
    "web/src",
    "web/scripts",
    "web/index.html",
    "web/package.json",
    "docs/openapi.json",
    "web/package-lock.json",
    "web/tsconfig.json",
    "web/vite.config.ts",
];
const LINES_TOLD: usize = 12;
const STAND_IN: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Tandem</title>
<h1>This program was built without the control panel</h1>
<p>Install Node.js 20.19 or newer and npm, then build Tandem again, or build the panel elsewhere and
name its directory by <code>TANDEM_UI_DIST</code>.</p>
<p>Calls, the API (<a href=\"/v1/openapi.json\">/v1/openapi.json</a>) and the command line work
without it.</p>
</html>
";
