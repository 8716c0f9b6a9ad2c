//! Links between documents lead somewhere.

use std::path::Path;

use super::Findings;
use super::files::File;

/// Follows the relative links of a Markdown file. Addresses elsewhere are not asked, and the
/// part behind `#` is not looked up.
pub(crate) fn check(root: &Path, file: &File, findings: &mut Findings) {
    if !file.is_markdown() {
        return;
    }
    let directory = root.join(&file.path);
    let directory = directory.parent().unwrap_or(root);
    for (number, target) in targets(&file.text) {
        let path = target.split('#').next().unwrap_or_default();
        let elsewhere = target.contains("://") || target.starts_with("mailto:");
        if path.is_empty() || elsewhere || directory.join(path).exists() {
            continue;
        }
        findings.problem_at(
            file,
            number,
            &format!("the link to \"{target}\" leads nowhere"),
        );
    }
}

/// The targets of `[text](target)` outside code blocks, each with its line, counted from 1.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for part in line.split("](").skip(1) {
            if let Some(end) = part.find([')', ' ']) {
                found.push((number + 1, &part[..end]));
            }
        }
    }
    found
}

#[cfg(test)]
mod checks {
    use super::targets;

    #[test]
    fn links_in_code_blocks_are_not_followed() {
        let text = "see [a](docs/a.md) and [b](b.md \"title\")\n```\n[c](c.md)\n```\n";
        assert_eq!(targets(text), [(1, "docs/a.md"), (1, "b.md")]);
    }
}
