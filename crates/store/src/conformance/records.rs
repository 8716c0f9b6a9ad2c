//! The suite for [`Records`].

use std::sync::Arc;

use clock::Time;
use model::{NumberTarget, Role, Settings, Snapshot, User};

use super::{persist, samples};
use crate::{Kind, Page, Record, Records, Resource, StoreError, Ticket};

/// Runs the suite; each part gets a store of its own.
pub fn run<S: Records>(fresh: impl Fn() -> S) {
    every_kind_is_made_read_and_deleted(&fresh());
    a_change_needs_the_revision_it_is_based_on(&fresh());
    names_are_unique_over_users_devices_and_customers(&fresh());
    numbers_are_unique_without_their_plus(&fresh());
    references_hold_both_ways(&fresh());
    what_is_not_valid_is_refused(&fresh());
    a_refused_change_leaves_no_trace(&fresh());
    lists_are_paged_by_identifier(&fresh());
    settings_have_a_revision_of_their_own(&fresh());
    tokens_are_found_by_hash(&fresh());
    tickets_end_in_time(&fresh());
    every_change_is_audited_without_secrets(&fresh());
    a_snapshot_holds_everything(&fresh());
    super::many::run(&fresh);
    super::zones::run(fresh);
}

fn every_kind_is_made_read_and_deleted(store: &dyn Records) {
    let records = one_of_each();
    let mut revision = 0;
    for record in &records {
        let new = persist(|| store.insert(&samples::actor(), record)).unwrap();
        assert!(new > revision, "each change has a higher revision");
        revision = new;
        let stored = persist(|| store.find(record.kind(), &record.id())).unwrap();
        assert_eq!((stored.revision, &stored.record), (new, record));
        let again = persist(|| store.insert(&samples::actor(), record));
        assert!(
            matches!(again, Err(StoreError::Duplicate { field: "id", .. })),
            "{again:?}"
        );
    }
    for record in records.iter().rev() {
        let (kind, id) = (record.kind(), record.id());
        persist(|| store.remove(&samples::actor(), kind, &id, None)).unwrap();
        let gone = persist(|| store.find(kind, &id));
        assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
        let again = persist(|| store.remove(&samples::actor(), kind, &id, None));
        assert!(
            matches!(again, Err(StoreError::NotFound { .. })),
            "{again:?}"
        );
    }
    assert_eq!(
        persist(|| store.revision()).unwrap(),
        revision + records.len() as u64
    );
}

fn a_change_needs_the_revision_it_is_based_on(store: &dyn Records) {
    let account = samples::account(1);
    let first = create(store, &account.clone().into());
    let renamed = Record::from(model::Account {
        name: "other".into(),
        ..account.clone()
    });
    let second = persist(|| store.replace(&samples::actor(), &renamed, first)).unwrap();
    assert!(second > first);
    let stale = persist(|| store.replace(&samples::actor(), &account.clone().into(), first));
    assert!(matches!(stale, Err(StoreError::Conflict { current }) if current == second));
    let stale = persist(|| {
        store.remove(
            &samples::actor(),
            Kind::Account,
            &account.id.to_string(),
            Some(first),
        )
    });
    assert!(matches!(stale, Err(StoreError::Conflict { current }) if current == second));
    assert_eq!(
        persist(|| store.find(Kind::Account, &renamed.id()))
            .unwrap()
            .record,
        renamed
    );
    let unknown = samples::account(2).into();
    let missing = persist(|| store.replace(&samples::actor(), &unknown, second));
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
}

fn names_are_unique_over_users_devices_and_customers(store: &dyn Records) {
    let (account, user) = account_and_user(store);
    let device = samples::device(1, user.id, "desk");
    create(store, &device.into());
    create(store, &samples::customer(1, account, "pbx").into());
    for (record, field) in [
        (
            User {
                name: "desk".into(),
                ..samples::user(2, account)
            }
            .into(),
            "name",
        ),
        (
            User {
                name: "pbx".into(),
                ..samples::user(2, account)
            }
            .into(),
            "name",
        ),
        (samples::device(2, user.id, "user-1").into(), "auth_name"),
        (
            samples::customer(2, account, "desk").into(),
            "auth.auth_name",
        ),
    ] {
        let record: Record = record;
        let taken = persist(|| store.insert(&samples::actor(), &record));
        let expected = |found: &str, by: &str| found == field && !by.is_empty();
        assert!(
            matches!(&taken, Err(StoreError::Duplicate { field, by }) if expected(field, by)),
            "{taken:?}"
        );
    }
    // A name is free again when its record has another, or is gone.
    let revision = persist(|| store.find(Kind::User, &user.id.to_string()))
        .unwrap()
        .revision;
    let renamed = User {
        name: "renamed".into(),
        ..user.clone()
    }
    .into();
    persist(|| store.replace(&samples::actor(), &renamed, revision)).unwrap();
    create(store, &samples::device(3, user.id, "user-1").into());
}

fn numbers_are_unique_without_their_plus(store: &dyn Records) {
    let (account, _) = account_and_user(store);
    create(
        store,
        &samples::number(1, account, "+4930123", NumberTarget::Echo).into(),
    );
    let same = samples::number(2, account, "4930123", NumberTarget::Echo).into();
    let taken = persist(|| store.insert(&samples::actor(), &same));
    assert!(
        matches!(
            taken,
            Err(StoreError::Duplicate {
                field: "number",
                ..
            })
        ),
        "{taken:?}"
    );
}

fn references_hold_both_ways(store: &dyn Records) {
    let (account, user) = account_and_user(store);
    let target = NumberTarget::User { user: user.id };
    let number = samples::number(1, account, "600", target);
    create(store, &number.clone().into());
    let nobody = samples::user(9, account).id;
    for (record, named) in [
        (
            Record::from(samples::user(2, samples::account(9).id)),
            "account",
        ),
        (samples::device(1, nobody, "x").into(), "user"),
        (
            samples::gateway(1, samples::carrier(9).id).into(),
            "carrier",
        ),
        (
            samples::number(2, account, "601", NumberTarget::User { user: nobody }).into(),
            "target.user",
        ),
    ] {
        let missing = persist(|| store.insert(&samples::actor(), &record));
        assert!(
            matches!(&missing, Err(StoreError::MissingReference { field, .. }) if *field == named),
            "{missing:?}"
        );
    }
    let used = persist(|| store.remove(&samples::actor(), Kind::User, &user.id.to_string(), None));
    let by = number.id.to_string();
    assert!(
        matches!(&used, Err(StoreError::InUse { by: found, .. }) if *found == by),
        "{used:?}"
    );
    // Once the number goes elsewhere, the user can go.
    let revision = persist(|| store.find(Kind::Number, &by)).unwrap().revision;
    let moved = model::Number {
        target: NumberTarget::Echo,
        ..number
    }
    .into();
    persist(|| store.replace(&samples::actor(), &moved, revision)).unwrap();
    persist(|| store.remove(&samples::actor(), Kind::User, &user.id.to_string(), None)).unwrap();
}

fn what_is_not_valid_is_refused(store: &dyn Records) {
    let nameless = model::Account {
        name: String::new(),
        ..samples::account(1)
    }
    .into();
    let refused = persist(|| store.insert(&samples::actor(), &nameless));
    assert!(
        matches!(&refused, Err(StoreError::Invalid(e)) if e[0].field == "name"),
        "{refused:?}"
    );
    let settings = Settings {
        domain: "no domain".into(),
        ..Settings::default()
    };
    let refused = persist(|| store.set_settings(&samples::actor(), &settings, 0));
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "{refused:?}"
    );
}

fn a_refused_change_leaves_no_trace(store: &dyn Records) {
    let (account, user) = account_and_user(store);
    let before = persist(|| store.snapshot()).unwrap();
    let entries = persist(|| store.audit(None, 100)).unwrap().len();
    let revision = persist(|| store.find(Kind::User, &user.id.to_string()))
        .unwrap()
        .revision;
    let orphan = User {
        name: "new".into(),
        account: samples::account(9).id,
        ..user.clone()
    };
    persist(|| store.replace(&samples::actor(), &orphan.clone().into(), revision)).unwrap_err();
    let double = User {
        id: samples::user(2, account).id,
        ..user
    };
    persist(|| store.insert(&samples::actor(), &double.clone().into())).unwrap_err();
    persist(|| store.remove(&samples::actor(), Kind::Account, &account.to_string(), None))
        .unwrap_err();
    assert_eq!(persist(|| store.snapshot()).unwrap(), before);
    assert_eq!(persist(|| store.audit(None, 100)).unwrap().len(), entries);
}

fn lists_are_paged_by_identifier(store: &dyn Records) {
    let accounts: Vec<_> = (1..=7).map(samples::account).collect();
    for account in accounts.iter().rev() {
        create(store, &account.clone().into());
    }
    create(store, &samples::carrier(1).into());
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = Page {
            after: after.as_deref(),
            limit: 3,
        };
        let records = persist(|| store.list::<model::Account>(&page)).unwrap();
        let Some(last) = records.last() else { break };
        after = Some(last.record.id().to_string());
        seen.extend(records.into_iter().map(|stored| stored.record));
    }
    assert_eq!(seen, accounts);
}

fn settings_have_a_revision_of_their_own(store: &dyn Records) {
    let stored = persist(|| store.settings()).unwrap();
    assert_eq!((stored.revision, &stored.record), (0, &Settings::default()));
    let changed = Settings {
        domain: "sip.example.com".into(),
        ..stored.record
    };
    let revision = persist(|| store.set_settings(&samples::actor(), &changed, 0)).unwrap();
    let stored = persist(|| store.settings()).unwrap();
    assert_eq!((stored.revision, &stored.record), (revision, &changed));
    let stale = persist(|| store.set_settings(&samples::actor(), &changed, 0));
    assert!(matches!(stale, Err(StoreError::Conflict { current }) if current == revision));
}

fn tokens_are_found_by_hash(store: &dyn Records) {
    let token = model::ApiToken {
        expires_us: Some(9_000),
        account: Some(samples::account(1).id),
        zones: vec![samples::zone().id],
        scopes: vec!["cdrs".into(), "users:read".into()],
        ..samples::token(1, Role::Operator)
    };
    persist(|| store.create_token(&samples::actor(), &token, "hash")).unwrap();
    let twin = samples::token(2, Role::Admin);
    let taken = persist(|| store.create_token(&samples::actor(), &twin, "hash"));
    assert!(
        matches!(taken, Err(StoreError::Duplicate { .. })),
        "{taken:?}"
    );
    persist(|| store.create_token(&samples::actor(), &twin, "other")).unwrap();
    assert_eq!(
        persist(|| store.token_by_hash("hash")).unwrap(),
        Some(token.clone())
    );
    assert_eq!(persist(|| store.token_by_hash("has")).unwrap(), None);
    persist(|| store.touch_token(token.id, Time::from_micros(5_000))).unwrap();
    let touched = model::ApiToken {
        last_used_us: Some(5_000),
        ..token.clone()
    };
    assert_eq!(persist(|| store.tokens()).unwrap(), [touched, twin]);
    persist(|| store.delete_token(&samples::actor(), token.id)).unwrap();
    assert_eq!(persist(|| store.token_by_hash("hash")).unwrap(), None);
    let again = persist(|| store.delete_token(&samples::actor(), token.id));
    assert!(
        matches!(
            again,
            Err(StoreError::NotFound {
                kind: Kind::Token,
                ..
            })
        ),
        "{again:?}"
    );
}

fn tickets_end_in_time(store: &dyn Records) {
    let at = Time::from_secs;
    let ticket = |space: &str, key: &str, ends: Time| Ticket {
        space: space.into(),
        key: key.into(),
        ends_us: ends.as_micros(),
        body: format!("{space} {key}"),
    };
    let (long, short) = (ticket("a", "1", at(20)), ticket("a", "2", at(10)));
    let other = ticket("b", "1", at(30));
    for kept in [&long, &short, &other] {
        assert!(persist(|| store.add_ticket(kept, at(1))).unwrap());
    }
    let again = ticket("a", "1", at(90));
    assert!(!persist(|| store.add_ticket(&again, at(9))).unwrap());
    let all = persist(|| store.tickets("a", at(9))).unwrap();
    assert_eq!(all, [short.clone(), long.clone()]);
    let one = |key: &str, now| persist(|| store.ticket("a", key, now)).unwrap();
    assert_eq!(one("2", at(9)), Some(short));
    assert_eq!((one("2", at(10)), one("3", at(9))), (None, None));
    assert!(persist(|| store.add_ticket(&again, at(20))).unwrap());
    assert_eq!(one("1", at(20)), Some(again));
    assert!(persist(|| store.remove_ticket("a", "1")).unwrap());
    assert!(!persist(|| store.remove_ticket("a", "1")).unwrap());
    assert_eq!(persist(|| store.tickets("b", at(20))).unwrap(), [other]);
    assert_eq!(persist(|| store.revision()).unwrap(), 0);
}

fn every_change_is_audited_without_secrets(store: &dyn Records) {
    let (_, user) = account_and_user(store);
    let id = user.id.to_string();
    let revision = persist(|| store.find(Kind::User, &id)).unwrap().revision;
    let renamed = User {
        name: "renamed".into(),
        ..user.clone()
    }
    .into();
    let second = persist(|| store.replace(&samples::actor(), &renamed, revision)).unwrap();
    persist(|| store.remove(&samples::actor(), Kind::User, &id, Some(second))).unwrap();
    let entries = persist(|| store.audit(None, 3)).unwrap();
    let names = |value: &Option<serde_json::Value>| value.as_ref().map(|v| v["name"].clone());
    let seen: Vec<_> = entries
        .iter()
        .map(|e| (names(&e.before), names(&e.after)))
        .collect();
    let (old, new) = (Some("user-1".into()), Some("renamed".into()));
    assert_eq!(seen, [(new.clone(), None), (old.clone(), new), (None, old)]);
    for entry in &entries {
        let actor = samples::actor();
        assert_eq!(
            (&entry.actor, entry.at_us),
            (&actor.name, actor.at.as_micros())
        );
        assert_eq!((entry.kind.as_str(), &entry.record), ("user", &id));
        let text = serde_json::to_string(entry).unwrap();
        assert!(!text.contains(&user.secret.md5), "{text}");
    }
    let older = persist(|| store.audit(Some(entries[2].revision), 10)).unwrap();
    assert_eq!(older.len(), 1, "the account's making");
}

fn a_snapshot_holds_everything(store: &dyn Records) {
    for record in one_of_each() {
        create(store, &record);
    }
    let snapshot = persist(|| store.snapshot()).unwrap();
    assert_eq!(snapshot.revision, persist(|| store.revision()).unwrap());
    assert_eq!(snapshot.settings, Settings::default());
    let held = held_by(&snapshot);
    // All but people and join tokens: who may sign in or join is no node's affair.
    let mut wanted = one_of_each();
    wanted.retain(|record| !matches!(record.kind(), Kind::Person | Kind::JoinToken));
    assert_eq!(held, wanted);
}

/// The records of a snapshot, in the order of [`one_of_each`].
fn held_by(snapshot: &Snapshot) -> Vec<Record> {
    fn all<T: Clone + Into<Record>>(records: &[Arc<T>]) -> impl Iterator<Item = Record> {
        records.iter().map(|record| T::clone(record).into())
    }
    all(&snapshot.zones)
        .chain(all(&snapshot.clusters))
        .chain(all(&snapshot.accounts))
        .chain(all(&snapshot.users))
        .chain(all(&snapshot.devices))
        .chain(all(&snapshot.customers))
        .chain(all(&snapshot.numbers))
        .chain(all(&snapshot.carriers))
        .chain(all(&snapshot.gateways))
        .chain(all(&snapshot.routes))
        .chain(all(&snapshot.media_servers))
        .chain(all(&snapshot.servers))
        .chain(all(&snapshot.certificates))
        .collect()
}

/// A record of each kind, in an order in which they can be made.
fn one_of_each() -> Vec<Record> {
    let (account, carrier) = (samples::account(1), samples::carrier(1));
    let user = samples::user(1, account.id);
    let customer = samples::customer(1, account.id, "pbx");
    let target = NumberTarget::Customer {
        customer: customer.id,
    };
    let records: Vec<Record> = vec![
        samples::zone().into(),
        samples::cluster(1).into(),
        account.clone().into(),
        user.clone().into(),
        samples::device(1, user.id, "desk").into(),
        customer.into(),
        samples::number(1, account.id, "+4930123", target).into(),
        carrier.clone().into(),
        samples::gateway(1, carrier.id).into(),
        samples::route(1, carrier.id).into(),
        samples::media_server(1).into(),
        samples::person(1, account.id).into(),
        samples::server(1).into(),
        samples::join_token(1, samples::server(1).id).into(),
        samples::certificate(1, samples::server(1).id).into(),
    ];
    assert!(
        records.iter().map(Record::kind).eq(Kind::RECORDS),
        "every kind is there"
    );
    records
}

fn account_and_user(store: &dyn Records) -> (model::AccountId, User) {
    let account = samples::account(1);
    let user = samples::user(1, account.id);
    create(store, &account.clone().into());
    create(store, &user.clone().into());
    (account.id, user)
}

fn create(store: &dyn Records, record: &Record) -> u64 {
    persist(|| store.insert(&samples::actor(), record)).unwrap()
}
