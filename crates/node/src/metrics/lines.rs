//! Lines of nodes that came to nothing.

use link::{RefusedFor, RefusedLines};

use super::page::Page;

pub(super) fn text(refused: &RefusedLines) -> String {
    let mut out = Page(String::new());
    let name = "tandem_node_lines_refused_total";
    let help = "Lines at the nodes' port that came to nothing";
    out.head(name, "counter", help);
    for cause in RefusedFor::ALL {
        out.line(name, &[("cause", cause.label())], refused.count(cause));
    }
    out.0
}
