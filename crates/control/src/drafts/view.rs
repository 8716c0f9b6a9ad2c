//! Drafts as clients see them.

use model::{Account, Carrier, Customer, Device, DraftId, Gateway, Number, Route, User};
use serde::Serialize;
use serde_json::Value;
use store::{Actor, Kind, Purpose, Records};
use utoipa::ToSchema;

use super::{ChangeSet, Staged, State, refusal};
use crate::Problem;
use crate::resource::Resource;

/// A draft of changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DraftView {
    /// Which.
    id: DraftId,
    /// What people call it.
    name: String,
    /// Who began it.
    by: String,
    /// It was begun; microseconds since the Unix epoch.
    created_us: u64,
    /// It was changed last; microseconds since the Unix epoch.
    changed_us: u64,
    state: DraftState,
    /// Who applied it or put back what was before.
    ended_by: Option<String>,
    /// When; microseconds since the Unix epoch.
    ended_us: Option<u64>,
    /// How many records it changes.
    records: usize,
}

/// Whether a draft is in force.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum DraftState {
    /// Not yet.
    Open,
    /// Its changes are being made; if it stays so, control ended meanwhile: apply it again.
    Applying,
    /// It is.
    Applied,
    /// It was; what was before is in force again.
    RolledBack,
}

/// A draft with what it changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DraftDetail {
    #[serde(flatten)]
    draft: DraftView,
    /// What it changes, in the order in which that was begun.
    changes: Vec<DraftChange>,
    /// Why it cannot be applied, or put back, as things are.
    refused: Option<String>,
}

/// What a draft makes of one record.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DraftChange {
    /// The plural noun of its path: `routes`.
    noun: &'static str,
    /// Which record.
    record: String,
    /// What people call it.
    label: String,
    /// As it was when it was changed first, without secrets; null: it is made.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// As it becomes, without secrets; null: it is deleted.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

impl From<&ChangeSet> for DraftView {
    fn from(set: &ChangeSet) -> Self {
        let (state, ended) = match &set.state {
            State::Open => (DraftState::Open, None),
            State::Applying => (DraftState::Applying, None),
            State::Applied(applied) => (DraftState::Applied, Some(&applied.ended)),
            State::RolledBack(ended) => (DraftState::RolledBack, Some(ended)),
        };
        Self {
            id: set.id,
            name: set.name.clone(),
            by: set.by.clone(),
            created_us: set.created_us,
            changed_us: set.changed_us,
            state,
            ended_by: ended.map(|ended| ended.by.clone()),
            ended_us: ended.map(|ended| ended.at_us),
            records: one_by_one(&set.changes).len(),
        }
    }
}

impl DraftDetail {
    /// With what the store says to it now.
    pub(crate) fn of(
        set: &ChangeSet,
        records: &dyn Records,
        actor: &Actor,
    ) -> Result<Self, Problem> {
        let to_try = match &set.state {
            State::Open | State::Applying => &set.changes,
            State::Applied(applied) => &applied.back,
            State::RolledBack(_) => &Vec::new(),
        };
        let tried = super::run(to_try, records, actor, Purpose::Check)?;
        let refused = tried.refused;
        let changes: Result<Vec<DraftChange>, Problem> =
            one_by_one(&set.changes).into_iter().map(shown).collect();
        Ok(Self {
            draft: DraftView::from(set),
            changes: changes?,
            refused: refused.map(|refused| refusal(to_try, refused).detail().to_owned()),
        })
    }
}

/// The first and the last change of each record.
fn one_by_one(changes: &[Staged]) -> Vec<(&Staged, &Staged)> {
    let mut pairs: Vec<(&Staged, &Staged)> = Vec::new();
    for staged in changes {
        match pairs
            .iter_mut()
            .find(|(first, _)| first.record == staged.record)
        {
            Some((_, last)) => *last = staged,
            None => pairs.push((staged, staged)),
        }
    }
    pairs
}

fn shown((first, last): (&Staged, &Staged)) -> Result<DraftChange, Problem> {
    let kind = first.kind()?;
    let shown = |body: &Option<Value>| {
        let mut body = body.clone();
        if let Some(body) = &mut body {
            redact(kind, body);
        }
        body
    };
    Ok(DraftChange {
        noun: noun_of(kind),
        record: first.record.clone(),
        label: if last.after.is_some() {
            last.label()
        } else {
            first.label()
        },
        before: shown(&first.before),
        after: shown(&last.after),
    })
}

impl Staged {
    /// What people call the record.
    pub(crate) fn label(&self) -> String {
        let body = self.after.as_ref().or(self.before.as_ref());
        let named = ["name", "number", "prefix", "auth_name"]
            .iter()
            .find_map(|field| body?[*field].as_str().filter(|text| !text.is_empty()));
        named.map_or_else(|| self.record.clone(), str::to_owned)
    }
}

macro_rules! staged {
    ($($kind:ident),*) => {
        /// Kinds that drafts may change, by the nouns of their paths.
        pub(super) const NOUNS: &[&str] = &[$(<$kind as Resource>::NOUN),*];

        /// The noun of a kind's path.
        pub(crate) const fn noun_of(kind: Kind) -> &'static str {
            match kind {
                $(Kind::$kind => <$kind as Resource>::NOUN,)*
                _ => "",
            }
        }

        fn redact(kind: Kind, body: &mut Value) {
            match kind {
                $(Kind::$kind => <$kind as Resource>::redact(body),)*
                _ => {}
            }
        }
    };
}

staged!(
    Account, User, Device, Customer, Number, Carrier, Gateway, Route
);
