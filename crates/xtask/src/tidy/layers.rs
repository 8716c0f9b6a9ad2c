//! Which crate may depend on which: DESIGN.md section 3.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Findings;
use crate::process;

/// A crate of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    /// What its program or library is built with; neither tests nor build scripts.
    pub(crate) dependencies: Vec<String>,
}

/// The layers, from the ground up. A crate depends on layers below its own only, except in
/// the pure layer, whose crates may use each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Pure,
    System,
    Adapter,
    Role,
    Panel,
    Node,
    Program,
    Development,
}

/// Asks cargo for the crates of the workspace.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>> {
    let args = ["metadata", "--format-version", "1", "--no-deps", "--quiet"];
    let metadata: Value = serde_json::from_str(&process::cargo_output(root, &args)?)
        .context("reading cargo's metadata")?;
    let list = metadata["packages"]
        .as_array()
        .context("cargo lists no packages")?;
    Ok(list.iter().map(package).collect())
}

/// Checks names, places and arrows.
pub(crate) fn check(packages: &[Package], findings: &mut Findings) {
    for package in packages {
        if BANNED_NAMES.contains(&package.name.as_str()) {
            findings.problem(format!("crate \"{}\": the name says nothing", package.name));
        }
        let Some(layer) = layer(&package.name) else {
            findings.problem(format!(
                "crate \"{}\" has no place in the table of layers (crates/xtask/src/tidy/layers.rs)",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let Some(below) = self::layer(dependency) else {
                continue;
            };
            if !may_use(layer, below) {
                findings.problem(format!(
                    "crate \"{}\" ({layer:?}) must not use \"{dependency}\" ({below:?})",
                    package.name
                ));
            }
        }
    }
}

/// Whether a crate's logic must be free of sockets, clocks, threads and files. The switch and the
/// dispatcher are roles by their place and pure machines by their making.
pub(crate) fn is_pure(name: &str) -> bool {
    layer(name) == Some(Layer::Pure) || name == "switch" || name == "dispatcher"
}

fn package(value: &Value) -> Package {
    let dependencies = value["dependencies"].as_array().into_iter().flatten();
    Package {
        name: value["name"].as_str().unwrap_or_default().to_owned(),
        dependencies: dependencies
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .map(str::to_owned)
            .collect(),
    }
}

fn may_use(user: Layer, used: Layer) -> bool {
    match (user, used) {
        (Layer::Pure, Layer::Pure) | (Layer::Development, _) => true,
        _ => used < user,
    }
}

fn layer(name: &str) -> Option<Layer> {
    TABLE
        .iter()
        .find(|(_, names)| names.contains(&name))
        .map(|(layer, _)| *layer)
}

const TABLE: &[(Layer, &[&str])] = &[
    (
        Layer::Pure,
        &[
            "clock",
            "forward",
            "sip",
            "sdp",
            "rtp",
            "stun",
            "ng",
            "hep",
            "trace",
            "audio",
            "model",
            "routing",
            "limits",
            "cluster",
            "registrar",
            "balancer",
            "call",
        ],
    ),
    (Layer::System, &["os"]),
    (Layer::Adapter, &["store", "net", "media", "link"]),
    (
        Layer::Role,
        &[
            "switch",
            "dispatcher",
            "media-server",
            "ivr-server",
            "queue-server",
            "meeting-server",
            "im-server",
            "dns-server",
            "control",
        ],
    ),
    (Layer::Panel, &["panel"]),
    (Layer::Node, &["node"]),
    (Layer::Program, &["tandem"]),
    (
        Layer::Development,
        &["testkit", "sim", "xtask", "bench", "fuzz"],
    ),
];

const BANNED_NAMES: &[&str] = &[
    "common", "core", "util", "utils", "helpers", "misc", "shared",
];

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn arrows_run_downwards_only() {
        assert!(may_use(Layer::Pure, Layer::Pure));
        assert!(may_use(Layer::Node, Layer::Role));
        assert!(!may_use(Layer::Role, Layer::Role));
        assert!(!may_use(Layer::Adapter, Layer::Adapter));
        assert!(!may_use(Layer::Pure, Layer::Adapter));
        assert!(!may_use(Layer::Node, Layer::Development));
    }
}
