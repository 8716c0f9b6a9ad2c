//! Pages of lists: `?limit=&cursor=` in, `items` and `next_cursor` out.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Problem;

/// One page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// What was found.
    pub(crate) items: Vec<T>,
    /// To be given as `cursor` for the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of what a search for one more than `limit` found; `cursor` says how an item
    /// is named as the end of a page.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(cursor);
        Self { items, next_cursor }
    }
}

/// Which page is wanted, where nothing else can be chosen.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// How many items at most: 1 to 500, 50 if left out.
    pub(crate) limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

/// The number of items a page may have.
pub(crate) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(LIMIT_DEFAULT),
        Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::malformed_field(
            "limit",
            format!("1 to {LIMIT_MAX} is accepted"),
        )),
    }
}

/// Reads a cursor as the identifier that it is inside.
pub(crate) fn cursor<T: std::str::FromStr>(text: Option<&str>) -> Result<Option<T>, Problem> {
    text.map(|text| {
        text.parse().map_err(|_| {
            Problem::malformed_field("cursor", "a next_cursor of this list is accepted")
        })
    })
    .transpose()
}

const LIMIT_DEFAULT: usize = 50;
/// Items of one page; more is refused.
pub(crate) const LIMIT_MAX: usize = 500;
