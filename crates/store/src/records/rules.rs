//! What all adapters of [`Records`](crate::Records) do alike, whatever they keep records in.

use std::sync::Arc;

use model::{AccountId, ApiToken, FieldError, Role, Snapshot, ZoneId};
use serde_json::Value;

use crate::{Kind, Record, StoreError, UniqueValue};

/// Refuses what is not valid in itself.
pub(crate) fn check(errors: Vec<FieldError>) -> Result<(), StoreError> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(StoreError::Invalid(errors))
    }
}

/// Refuses a change that is based on another revision than the current one.
pub(crate) fn expect(current: u64, expected: Option<u64>) -> Result<(), StoreError> {
    match expected {
        Some(expected) if expected != current => Err(StoreError::Conflict { current }),
        _ => Ok(()),
    }
}

/// A record that names others by unique values, after one of those has got another value. `None`: it
/// does not name it so.
pub(crate) fn renamed(
    kind: Kind,
    body: &str,
    (space, old, new): (&str, &str, &str),
) -> Result<Option<Value>, StoreError> {
    let record = Record::from_json(kind, body)?;
    let mut changed: Value = serde_json::from_str(body)?;
    let mut is_named = false;
    for named in record.named() {
        if named.space == space && named.value == old {
            changed[named.field] = Value::from(new);
            is_named = true;
        }
    }
    Ok(is_named.then_some(changed))
}

/// Values that a record had and has no more, each with the one that stands in its field now.
pub(crate) fn new_names(before: &Record, after: &Record) -> Vec<(&'static str, String, String)> {
    let (before, after) = (before.unique_values(), after.unique_values());
    let pairs = before.iter().filter_map(|old| {
        let same = |new: &&UniqueValue<'_>| new.space == old.space && new.field == old.field;
        let new = after.iter().find(same)?;
        (new.value != old.value).then(|| (old.space, old.value.to_owned(), new.value.to_owned()))
    });
    pairs.collect()
}

/// Puts a record where a node looks for it.
pub(crate) fn gather(snapshot: &mut Snapshot, record: Record) {
    match record {
        Record::Account(r) => snapshot.accounts.push(Arc::new(r)),
        Record::User(r) => snapshot.users.push(Arc::new(r)),
        Record::Device(r) => snapshot.devices.push(Arc::new(r)),
        Record::Number(r) => snapshot.numbers.push(Arc::new(r)),
        Record::Customer(r) => snapshot.customers.push(Arc::new(r)),
        Record::Carrier(r) => snapshot.carriers.push(Arc::new(r)),
        Record::Gateway(r) => snapshot.gateways.push(Arc::new(r)),
        Record::Route(r) => snapshot.routes.push(Arc::new(r)),
        Record::MediaServer(r) => snapshot.media_servers.push(Arc::new(r)),
        Record::Server(r) => snapshot.servers.push(Arc::new(r)),
        Record::Certificate(r) => snapshot.certificates.push(Arc::new(r)),
        Record::Zone(r) => snapshot.zones.push(Arc::new(r)),
        Record::Cluster(r) => snapshot.clusters.push(Arc::new(r)),
        // Who may sign in or join is no node's affair.
        Record::Person(_) | Record::JoinToken(_) => {}
    }
}

/// A role as it is stored.
pub(crate) const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

/// The role that is stored so.
pub(crate) fn role_of(word: &str) -> Option<Role> {
    [Role::Viewer, Role::Operator, Role::Admin]
        .into_iter()
        .find(|role| role_word(*role) == word)
}

/// The account a token is confined to, as it is stored.
pub(crate) fn account_of(text: Option<String>) -> Result<Option<AccountId>, ()> {
    text.map(|text| text.parse().map_err(|_| ())).transpose()
}

/// A token's scopes and zones as they are stored: words with blanks between. A zone is its identifier,
/// which no scope looks like.
pub(crate) fn scopes_text(token: &ApiToken) -> String {
    let zones = token.zones.iter().map(ZoneId::to_string);
    let words: Vec<String> = token.scopes.iter().cloned().chain(zones).collect();
    words.join(" ")
}

/// The scopes and zones that are stored so. Errors: a zone that cannot be read, without which the token
/// would see more.
pub(crate) fn scopes_of(text: &str) -> Result<(Vec<String>, Vec<ZoneId>), ()> {
    let (zones, scopes): (Vec<&str>, Vec<&str>) = text
        .split_whitespace()
        .partition(|word| word.starts_with(ZONE_PREFIX));
    let zones = zones.into_iter().map(|zone| zone.parse().map_err(|_| ()));
    let scopes = scopes.into_iter().map(str::to_owned).collect();
    Ok((scopes, zones.collect::<Result<_, ()>>()?))
}

/// What the identifiers of zones begin with.
const ZONE_PREFIX: &str = "zone_";
