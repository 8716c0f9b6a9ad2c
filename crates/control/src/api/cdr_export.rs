//! `/v1/cdrs/export.csv`: all records that match, as they are read, RFC 4180.

use std::io;
use std::ops::ControlFlow;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use model::{Cdr, CdrLegMedia};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cdrs::CdrParams;
use crate::control::Caller;
use crate::extract::Params;
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(export))
}

/// Records of calls as CSV, the latest end first
#[utoipa::path(
    get,
    path = "/v1/cdrs/export.csv",
    tag = "cdrs",
    params(CdrParams),
    responses((status = 200, description = "One line for each, after one with the names of the columns.", body = String, content_type = "text/csv")),
)]
async fn export(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<CdrParams>,
) -> Result<Response, Problem> {
    if params.cursor.is_some() {
        return Err(Problem::malformed_field(
            "cursor",
            "an export is not paged; leave it out",
        ));
    }
    let mut left = params.limit.unwrap_or(usize::MAX);
    let filter = params.filter(&caller)?;
    let (sender, receiver) = mpsc::channel::<Result<Bytes, io::Error>>(EXPORT_QUEUE);
    tokio::spawn(async move {
        let (watched, last) = (sender.clone(), sender.clone());
        let is_gone = move || watched.is_closed();
        let send = move |text: String| match sender.blocking_send(Ok(text.into())) {
            Ok(()) => ControlFlow::Continue(()),
            // The client went away.
            Err(_) => ControlFlow::Break(()),
        };
        let done = control.cdrs(move |cdrs| {
            if send(format!("{}\r\n", COLUMNS.join(","))).is_break() {
                return Ok(());
            }
            cdrs.export(&filter, &mut |batch| {
                // Nothing found for a while: a client that has gone away is not searched for.
                if batch.is_empty() {
                    return if is_gone() {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    };
                }
                let taken = batch.len().min(left);
                left -= taken;
                send(batch[..taken].iter().map(line).collect())?;
                if left == 0 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
        });
        if let Err(problem) = done.await {
            tracing::error!(?problem, "an export of CDRs broke off");
            // Without it, what was sent would look like all there is.
            let broken = io::Error::other("the store of CDRs does not answer");
            let _ = last.send(Err(broken)).await;
        }
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/csv; charset=utf-8; header=present",
        ),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"cdrs.csv\"",
        ),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

fn line(cdr: &Cdr) -> String {
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
    let quoted: Vec<String> = fields.iter().map(|field| quote(field)).collect();
    quoted.join(",") + "\r\n"
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
/// Batches that wait for a slow client; the store waits with them.
const EXPORT_QUEUE: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

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
