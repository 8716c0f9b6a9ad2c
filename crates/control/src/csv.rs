//! CDRs as CSV (RFC 4180).

use model::{Cdr, CdrLegMedia};
use serde::Serialize;

/// Which columns, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns(Vec<usize>);

impl Columns {
    /// All that there are.
    pub(crate) fn all() -> Self {
        Self((0..COLUMNS.len()).collect())
    }

    /// Those of these names, all if none is named. Errors: the name of none, or one that comes twice.
    pub(crate) fn named(names: &[String]) -> Result<Self, &str> {
        if names.is_empty() {
            return Ok(Self::all());
        }
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            match COLUMNS.iter().position(|column| column == name) {
                Some(at) if !columns.contains(&at) => columns.push(at),
                _ => return Err(name),
            }
        }
        Ok(Self(columns))
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|at| COLUMNS[*at].to_owned()).collect()
    }

    /// The first line.
    pub(crate) fn heading(&self) -> String {
        self.names().join(",") + "\r\n"
    }

    /// The line of a record.
    pub(crate) fn line(&self, cdr: &Cdr) -> String {
        let fields = fields(cdr);
        let quoted: Vec<String> = self.0.iter().map(|at| quote(&fields[*at])).collect();
        quoted.join(",") + "\r\n"
    }
}

/// All columns of a record.
fn fields(cdr: &Cdr) -> Vec<String> {
    let media = |leg: &Option<CdrLegMedia>| {
        let leg = leg.clone().unwrap_or_default();
        [
            leg.codec,
            leg.packets.to_string(),
            leg.lost.to_string(),
            leg.jitter_us.to_string(),
            leg.mos_centi.to_string(),
            leg.mos_min_centi.to_string(),
            text(&leg.rtt_us),
            text(&leg.peer_lost),
            text(&leg.peer_mos_centi),
        ]
    };
    let talk_us = cdr
        .answer_us
        .map_or(0, |answer_us| cdr.end_us.saturating_sub(answer_us));
    let mut fields = vec![
        cdr.call.to_string(),
        cdr.node.clone(),
        cdr.sequence.to_string(),
        text(&cdr.account),
        text(&cdr.from_user),
        text(&cdr.to_user),
        text(&cdr.customer),
        text(&cdr.number),
        text(&cdr.carrier),
        text(&cdr.gateway),
        cdr.caller.clone(),
        cdr.called.clone(),
        cdr.destination.clone(),
        cdr.source.clone(),
        cdr.sip_call_id.clone(),
        cdr.sip_call_id_b.clone(),
        cdr.start_us.to_string(),
        text(&cdr.ring_us),
        text(&cdr.answer_us),
        cdr.end_us.to_string(),
        talk_us.to_string(),
        word(&cdr.outcome),
        cdr.status.to_string(),
        cdr.reason.clone(),
        word(&cdr.ended_by),
        cdr.attempts.to_string(),
    ];
    fields.extend(media(&cdr.media_a));
    fields.extend(media(&cdr.media_b));
    fields.push(cdr.recordings.join(" "));
    fields
}

/// A field, quoted where RFC 4180 §2 asks for it, and so that no spreadsheet takes it for a
/// formula: what callers send stands in here.
fn quote(field: &str) -> String {
    let number = field.strip_prefix('+').unwrap_or(field);
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) && !is_number;
    if is_formula {
        return format!("\"'{}\"", field.replace('"', "\"\""));
    }
    if field.contains(['"', ',', '\r', '\n']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

fn text<T: std::fmt::Display>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(String::new, T::to_string)
}

/// A word of an enumeration, as in JSON.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

const COLUMNS: [&str; 45] = [
    "call",
    "node",
    "sequence",
    "account",
    "from_user",
    "to_user",
    "customer",
    "number",
    "carrier",
    "gateway",
    "caller",
    "called",
    "destination",
    "source",
    "sip_call_id",
    "sip_call_id_b",
    "start_us",
    "ring_us",
    "answer_us",
    "end_us",
    "talk_us",
    "outcome",
    "status",
    "reason",
    "ended_by",
    "attempts",
    "a_codec",
    "a_packets",
    "a_lost",
    "a_jitter_us",
    "a_mos_centi",
    "a_mos_min_centi",
    "a_rtt_us",
    "a_peer_lost",
    "a_peer_mos_centi",
    "b_codec",
    "b_packets",
    "b_lost",
    "b_jitter_us",
    "b_mos_centi",
    "b_mos_min_centi",
    "b_rtt_us",
    "b_peer_lost",
    "b_peer_mos_centi",
    "recordings",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_as_they_are_named() {
        let named = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Columns::named(&names).map_err(str::to_owned)
        };
        let cdr = crate::api::cdrs::sample(7);
        assert_eq!(fields(&cdr).len(), COLUMNS.len());
        let columns = named(&["called", "end_us", "caller"]).unwrap();
        assert_eq!(columns.heading(), "called,end_us,caller\r\n");
        assert_eq!(columns.line(&cdr), "4940,7,4930\r\n");
        assert_eq!(named(&[]), Ok(Columns::all()));
        assert_eq!(named(&["called", "colour"]), Err("colour".into()));
        assert_eq!(named(&["called", "called"]), Err("called".into()));
    }

    #[test]
    fn formulas_are_disarmed_and_numbers_left_alone() {
        assert_eq!(quote("=1+2"), "\"'=1+2\"");
        assert_eq!(quote("@SUM(A1)"), "\"'@SUM(A1)\"");
        assert_eq!(quote("-1+cmd"), "\"'-1+cmd\"");
        assert_eq!(quote("+1-2\"x"), "\"'+1-2\"\"x\"");
        assert_eq!(quote("+493012345"), "+493012345");
        assert_eq!(quote("alice"), "alice");
    }

    #[test]
    fn commas_quotes_and_line_ends_are_quoted() {
        assert_eq!(quote("a,b"), "\"a,b\"");
        assert_eq!(quote("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(quote("a\r\nb"), "\"a\r\nb\"");
    }
}
