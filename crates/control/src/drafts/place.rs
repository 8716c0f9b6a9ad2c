//! Where a request for records is made: as they are, or in a draft.

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use model::DraftId;
use store::{Records, StoreError};

use super::{ChangeSet, Overlay, find, write};
use crate::control::Caller;
use crate::{Control, Problem, access, problem};

/// Names the draft.
pub(crate) const HEADER: &str = "tandem-draft";

/// What records a request is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Those in force.
    Live,
    /// Those of a draft.
    Draft(DraftId),
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        named(&parts.headers)
    }
}

fn named(headers: &HeaderMap) -> Result<Place, Problem> {
    let Some(named) = headers.get(HEADER) else {
        return Ok(Place::Live);
    };
    let id = named.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Place::Draft).ok_or_else(|| {
        let detail = "Tandem-Draft names a draft of /v1/drafts: dft_...";
        Problem::new(&problem::MALFORMED, detail)
    })
}

impl Place {
    /// Asks the records that it is about, off the runtime's threads.
    pub(crate) async fn records<T: Send + 'static>(
        self,
        control: &Control,
        caller: &Caller,
        ask: impl FnOnce(&dyn Records) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let Self::Draft(id) = self else {
            return control.records(ask).await;
        };
        may_use(caller, &Method::GET, id)?;
        let actor = caller.actor();
        let asked = move |records: &dyn Records| {
            let set = find(records, id)?;
            set.still_open()?;
            Ok(ask(&Overlay::new(records, &set, actor))?)
        };
        control.records(move |records| Ok(asked(records))).await?
    }

    /// Changes records, or adds changes to a draft; returns when the node works with them, or when the draft
    /// has them.
    pub(crate) async fn change<T: Send + 'static>(
        self,
        control: &Control,
        caller: &Caller,
        change: impl FnOnce(&dyn Records) -> Result<(u64, T), StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let Self::Draft(id) = self else {
            return control.change(change).await;
        };
        may_use(caller, &Method::PATCH, id)?;
        let actor = caller.actor();
        let staged = move |records: &dyn Records| {
            let mut set: ChangeSet = find(records, id)?;
            set.still_open()?;
            let overlay = Overlay::new(records, &set, actor);
            let (_, result) = change(&overlay)?;
            set.changes = overlay.into_changes();
            write(records, &mut set)?;
            Ok(result)
        };
        let result = control.records(move |records| Ok(staged(records))).await?;
        let data = serde_json::json!({ "id": id });
        control.ring().announce("drafts", "draft.changed", data);
        result
    }

    /// Whether it is about what is in force.
    pub(crate) const fn is_live(self) -> bool {
        matches!(self, Self::Live)
    }
}

/// Refuses those who may not see or change drafts: these show records of all accounts and zones.
fn may_use(caller: &Caller, method: &Method, id: DraftId) -> Result<(), Problem> {
    access::check(caller, method, &format!("/v1/drafts/{id}"))
}

/// Whether a path is that of records that drafts have, or of a question about them.
fn is_staged(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        ["v1", "routes", "simulate"] => true,
        ["v1", noun] | ["v1", noun, _] => super::view::NOUNS.contains(&noun),
        _ => false,
    }
}

/// Refuses changes that name a draft and would take effect at once all the same.
pub(crate) async fn refuse_elsewhere(request: Request, next: Next) -> Result<Response, Problem> {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    if !reads && request.headers().contains_key(HEADER) && !is_staged(request.uri().path()) {
        let detail = "this takes effect at once and is not part of a draft: leave out Tandem-Draft";
        return Err(Problem::new(&problem::IN_USE, detail));
    }
    Ok(next.run(request).await)
}
