//! `/v1/cdrs/export.csv`: all records that match, as they are read, RFC 4180.

use std::io;
use std::ops::ControlFlow;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cdrs::CdrParams;
use crate::control::Caller;
use crate::csv::Columns;
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
            let columns = Columns::all();
            if send(columns.heading()).is_break() {
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
                send(batch[..taken].iter().map(|cdr| columns.line(cdr)).collect())?;
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

/// Batches that wait for a slow client; the store waits with them.
const EXPORT_QUEUE: usize = 2;
