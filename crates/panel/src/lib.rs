//! The control panel: the files that `build.rs` has made of `web/`, or one page that says how they
//! are made.

use std::borrow::Cow;

use control::{Site, SiteFile, SiteKind};

/// The panel as it was built into the program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Panel;

impl Site for Panel {
    fn file(&self, path: &str) -> Option<SiteFile> {
        Some(SiteFile {
            media_type: media_type(path),
            content: Cow::Borrowed(file(path)?),
            brotli: file(&format!("{path}.br")).map(Cow::Borrowed),
            gzip: file(&format!("{path}.gz")).map(Cow::Borrowed),
        })
    }

    fn kind(&self) -> SiteKind {
        match env!("TANDEM_UI_KIND") {
            "embedded" => SiteKind::Embedded,
            _ => SiteKind::StandIn,
        }
    }
}

fn file(path: &str) -> Option<&'static [u8]> {
    let index = FILES.binary_search_by_key(&path, |(name, _)| name).ok()?;
    Some(FILES[index].1)
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

// `FILES`: names and bytes, in the order of their names.
include!(concat!(env!("OUT_DIR"), "/files.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_paths() {
        for (name, content) in FILES {
            assert_eq!(&*Panel.file(name).unwrap().content, *content, "{name}");
        }
        assert_eq!(Panel.file("no/such/file.js"), None);
    }

    /// Whoever reads the panel over plain HTTP takes gzip and nothing smaller.
    #[test]
    fn what_is_big_is_there_in_both_codings() {
        for (name, content) in FILES {
            let is_big = name.ends_with(".js") || name.ends_with(".css");
            if !is_big || content.len() < 1_000 {
                continue;
            }
            let file = Panel.file(name).unwrap();
            for smaller in [file.brotli, file.gzip] {
                assert!(smaller.unwrap().len() < content.len(), "{name}");
            }
        }
    }

    #[test]
    fn there_is_always_a_page() {
        let index = Panel.file("index.html").unwrap();
        assert_eq!(index.media_type, "text/html; charset=utf-8");
        assert!(index.content.starts_with(b"<!doctype html>"));
    }
}
