//! `cargo xtask tidy`: the rules of the house that no compiler checks.

mod citations;
mod files;
mod layers;
mod lengths;
mod links;
mod locks;
mod purity;
mod words;

use std::path::Path;

use anyhow::{Result, bail};

use files::File;

/// Checks the whole checkout; prints notes and problems, and fails if there is a problem.
pub(crate) fn run(root: &Path) -> Result<()> {
    let files = files::read(root)?;
    let packages = layers::packages(root)?;
    let mut findings = Findings::default();

    layers::check(&packages, &mut findings);
    purity::check_dependencies(&packages, &mut findings);
    for file in &files {
        lengths::check(file, &mut findings);
        purity::check_source(file, &mut findings);
        citations::check(file, &mut findings);
        words::check(file, &mut findings);
        links::check(root, file, &mut findings);
        locks::check(file, &mut findings);
    }
    findings.finish()
}

/// What the checks found.
#[derive(Default)]
struct Findings {
    notes: Vec<String>,
    problems: Vec<String>,
}

impl Findings {
    /// Something to look at; does not fail the check.
    fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// A broken rule.
    fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    /// A broken rule at a line of a file, counted from 1.
    fn problem_at(&mut self, file: &File, line: usize, text: &str) {
        self.problem(format!("{}:{line}: {text}", file.path));
    }

    fn finish(self) -> Result<()> {
        for note in &self.notes {
            eprintln!("note: {note}");
        }
        for problem in &self.problems {
            eprintln!("error: {problem}");
        }
        if !self.problems.is_empty() {
            bail!("{} rules broken", self.problems.len());
        }
        Ok(())
    }
}
