//! `/v1/cdrs/exports`: files of CDRs that control writes for whoever ordered them.

use std::io::{self, Read as _};
use std::path::PathBuf;

use axum::Json;
use axum::body::Body as Content;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use model::ExportId;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::Caller;
use crate::csv::Columns;
use crate::exports::{CdrExport, ExportFilter};
use crate::extract::{Body, Id};
use crate::paging::Page;
use crate::{Control, Problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new()
        .routes(routes!(list_exports, order_export))
        .routes(routes!(show_export, remove_export))
        .routes(routes!(fetch_export))
}

/// Which CDRs are wanted, and what of them.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct ExportWish {
    /// Which CDRs; all, if nothing is given.
    #[serde(deserialize_with = "crate::extract::object")]
    filter: ExportFilter,
    /// The columns of the file, in order, as `/v1/cdrs/export.csv` names them; all of them, if none is given.
    #[schema(max_items = 45)]
    columns: Vec<String>,
}

/// Exports of CDRs
#[utoipa::path(
    get,
    path = "/v1/cdrs/exports",
    tag = "cdrs",
    responses((status = 200, description = "One's own, and for administrators of the whole platform all; the latest first.", body = Page<CdrExport>)),
)]
async fn list_exports(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Page<CdrExport>>, Problem> {
    Ok(Json(Page {
        items: control.exports_of(&caller)?,
        next_cursor: None,
    }))
}

/// Has CDRs written to a file
///
/// Those of calls that have ended when it is ordered. The file is kept for seven days; one that was under way
/// when control ended begins anew.
#[utoipa::path(
    post,
    path = "/v1/cdrs/exports",
    tag = "cdrs",
    request_body = ExportWish,
    responses((status = 202, description = "It is under way.", body = CdrExport)),
)]
async fn order_export(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Body(wish): Body<ExportWish>,
) -> Result<Response, Problem> {
    let columns = Columns::named(&wish.columns).map_err(|name| {
        let why =
            format!("{name} is no column, or comes twice; export.csv has all in its first line");
        Problem::invalid_field("columns", why)
    })?;
    let export = control.order_export(&caller, wish.filter, &columns)?;
    Ok((StatusCode::ACCEPTED, Json(export)).into_response())
}

/// One export of CDRs
#[utoipa::path(
    get,
    path = "/v1/cdrs/exports/{id}",
    tag = "cdrs",
    params(("id" = String, Path, description = "The export.")),
    responses((status = 200, description = "How far it is.", body = CdrExport)),
)]
async fn show_export(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ExportId>,
) -> Result<Json<CdrExport>, Problem> {
    control.export(&caller, id).map(Json)
}

/// Ends an export, and removes its file
#[utoipa::path(
    delete,
    path = "/v1/cdrs/exports/{id}",
    tag = "cdrs",
    params(("id" = String, Path, description = "The export.")),
    responses((status = 204, description = "There is nothing of it any more.")),
)]
async fn remove_export(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ExportId>,
) -> Result<StatusCode, Problem> {
    control.remove_export(&caller, id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The file of an export that is done, RFC 4180
#[utoipa::path(
    get,
    path = "/v1/cdrs/exports/{id}/file",
    tag = "cdrs",
    params(("id" = String, Path, description = "The export.")),
    responses((status = 200, description = "One line for each CDR, the latest end first, after one with the names of the columns.", body = String, content_type = "text/csv")),
)]
async fn fetch_export(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<ExportId>,
) -> Result<Response, Problem> {
    let path = control.export_file(&caller, id)?;
    let opened = tokio::task::spawn_blocking(move || open(path)).await;
    let opened = opened.map_err(io::Error::other).flatten();
    let (file, length) = opened.map_err(|error| {
        Problem::unavailable(format!("the disk of control refuses the file: {error}"))
    })?;
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/csv; charset=utf-8; header=present".to_owned(),
        ),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"cdrs-{id}.csv\""),
        ),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    let (sender, receiver) = mpsc::channel(PARTS);
    tokio::task::spawn_blocking(move || send(file, &sender));
    Ok((headers, Content::from_stream(ReceiverStream::new(receiver))).into_response())
}

fn open(path: PathBuf) -> io::Result<(std::fs::File, u64)> {
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Sends a file in parts, until it ends or nobody takes them.
fn send(mut file: std::fs::File, to: &mpsc::Sender<io::Result<Bytes>>) {
    let mut part = vec![0; PART_BYTES];
    loop {
        let read = match file.read(&mut part) {
            Ok(0) => return,
            Ok(count) => Ok(Bytes::copy_from_slice(&part[..count])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_over = read.is_err();
        if to.blocking_send(read).is_err() || is_over {
            return;
        }
    }
}

/// How much of a file is read at once.
const PART_BYTES: usize = 64 * 1_024;
/// Parts that wait for a slow client.
const PARTS: usize = 2;
