use std::time::{Duration, Instant};

use testkit::PostgresServer;

use super::{CONNECTIONS_MAX, Postgres};
use crate::conformance::{Faulty, cdrs, history, leases, records, samples, zones};
use crate::{CdrFilter, CdrStore, EXPORT_BATCH, Kind, Records, Sqlite, StoreError, migrate};

#[test]
fn records_conform() {
    let server = server();
    records::run(|| fresh(&server));
}

#[test]
fn records_conform_with_faults() {
    let server = server();
    for seed in 1..=2 {
        records::run(|| Faulty::new(fresh(&server), seed));
    }
}

#[test]
fn leases_conform() {
    let server = server();
    leases::run(|| fresh(&server));
    leases::run(|| Faulty::new(fresh(&server), 1));
}

#[test]
fn history_conforms() {
    let server = server();
    history::run(|| fresh(&server));
    history::run(|| Faulty::new(fresh(&server), 1));
}

#[test]
fn an_installation_moves_here_with_all_it_has_and_only_once() {
    let (server, files) = (server(), tempfile::tempdir().unwrap());
    let old = Sqlite::open(&files.path().join("tandem.db")).unwrap();
    fill(&old);
    let url = server.fresh_url();
    let new = Postgres::open(&url).unwrap();
    let mut told = Vec::new();
    let moved = migrate(&old, &new, &mut |cdrs| told.push(cdrs)).unwrap();
    assert_eq!(
        (moved.records, moved.tokens, moved.cdrs),
        (3, 1, 2 * EXPORT_BATCH as u64 + 1)
    );
    assert_eq!(told.last(), Some(&moved.cdrs));
    same(&old, &new);
    // Again, as after an end in between: nothing is there twice.
    assert_eq!(migrate(&old, &new, &mut |_| {}).unwrap(), moved);
    same(&old, &new);
    // What the new store guards, it guards for what came along.
    let mut namesake = samples::user(9, samples::account(1).id);
    namesake.name = "user-1".into();
    let taken = new.insert(&samples::actor(), &namesake.into());
    assert!(
        matches!(taken, Err(StoreError::Duplicate { field: "name", .. })),
        "{taken:?}"
    );
    let account = samples::account(1).id.to_string();
    let used = new.remove(&samples::actor(), Kind::Account, &account, None);
    assert!(matches!(used, Err(StoreError::InUse { .. })), "{used:?}");
}

#[test]
fn a_move_that_was_cut_off_goes_on_where_it_stopped() {
    let (server, files) = (server(), tempfile::tempdir().unwrap());
    let old = Sqlite::open(&files.path().join("tandem.db")).unwrap();
    fill(&old);
    let new = Postgres::open(&server.fresh_url()).unwrap();
    let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        migrate(&old, &new, &mut |_| panic!("cut off"))
    }));
    assert!(cut.is_err());
    let cdrs = |store: &dyn CdrStore| store.list(&CdrFilter::default(), None, 9_999).unwrap();
    assert_eq!(cdrs(&new).len(), EXPORT_BATCH);
    migrate(&old, &new, &mut |_| {}).unwrap();
    same(&old, &new);
}

#[test]
fn nothing_moves_onto_another_installation() {
    let (server, files) = (server(), tempfile::tempdir().unwrap());
    let old = Sqlite::open(&files.path().join("tandem.db")).unwrap();
    fill(&old);
    let new = Postgres::open(&server.fresh_url()).unwrap();
    let other = samples::account(7);
    new.insert(&samples::actor(), &other.clone().into())
        .unwrap();
    let refused = migrate(&old, &new, &mut |_| {});
    assert!(
        matches!(refused, Err(StoreError::Misconfigured(_))),
        "{refused:?}"
    );
    assert_eq!(new.snapshot().unwrap().accounts, [other.into()]);
    assert!(new.list(&CdrFilter::default(), None, 1).unwrap().is_empty());
}

/// An installation with something of everything.
fn fill(store: &Sqlite) {
    let (actor, account) = (samples::actor(), samples::account(1));
    let user = samples::user(1, account.id);
    store.insert(&actor, &account.clone().into()).unwrap();
    store.insert(&actor, &user.clone().into()).unwrap();
    store
        .insert(&actor, &samples::device(1, user.id, "desk").into())
        .unwrap();
    let settings = model::Settings {
        cdr_retention_days: 30,
        ..model::Settings::default()
    };
    store.set_settings(&actor, &settings, 0).unwrap();
    store
        .create_token(&actor, &samples::token(1, model::Role::Admin), "the hash")
        .unwrap();
    let cdrs: Vec<_> = (1..=2 * EXPORT_BATCH as u64 + 1)
        .map(samples::cdr)
        .collect();
    store.insert_batch(&cdrs).unwrap();
}

#[track_caller]
fn same(old: &Sqlite, new: &Postgres) {
    assert_eq!(old.snapshot().unwrap(), new.snapshot().unwrap());
    assert_eq!(
        Records::settings(old).unwrap(),
        Records::settings(new).unwrap()
    );
    assert_eq!(
        old.token_by_hash("the hash").unwrap(),
        new.token_by_hash("the hash").unwrap()
    );
    assert_eq!(old.audit(None, 99).unwrap(), new.audit(None, 99).unwrap());
    let cdrs = |store: &dyn CdrStore| store.list(&CdrFilter::default(), None, 9_999).unwrap();
    assert_eq!(cdrs(old), cdrs(new));
}

#[test]
fn cdrs_conform() {
    let server = server();
    cdrs::run(|| fresh(&server));
    for seed in 1..=2 {
        cdrs::run(|| Faulty::new(fresh(&server), seed));
    }
}

#[test]
fn searches_of_the_smallest_steps_find_what_there_is() {
    let server = server();
    let fresh = || {
        let mut store = fresh(&server);
        store.step_rows = 1;
        store
    };
    cdrs::run_in_small_steps(fresh);
    cdrs::run_in_small_steps(|| Faulty::new(fresh(), 1));
}

/// Each is a query that the connection has not seen, and a server reads it for longer than that.
#[test]
fn a_search_that_has_hardly_time_is_no_error() {
    let server = server();
    let store = fresh(&server);
    store.insert_batch(&[samples::cdr(1)]).unwrap();
    let id = |bit: u32, set: u32| (set & (1 << bit) != 0).then_some(1_u128);
    let name = |bit: u32, set: u32| id(bit, set).map(|_| "alice".to_owned());
    for set in 0..1 << 8 {
        let filter = CdrFilter {
            account: id(0, set).map(model::AccountId::from_bits),
            customer: id(1, set).map(model::CustomerId::from_bits),
            carrier: id(2, set).map(model::CarrierId::from_bits),
            user: id(3, set).map(model::UserId::from_bits),
            caller: name(4, set),
            called: name(5, set),
            from_us: id(6, set).map(|_| 1),
            to_us: id(7, set).map(|_| u64::MAX),
            outcome: None,
        };
        let search = store.search(&filter, None, 10, Duration::from_millis(2));
        assert!(search.is_ok(), "{filter:?}: {search:?}");
    }
}

#[test]
fn a_name_that_sql_cannot_hold_keeps_no_cdr_out() {
    let server = server();
    let store = fresh(&server);
    let cdr = model::Cdr {
        caller: "a\0b".into(),
        ..samples::cdr(1)
    };
    assert_eq!(store.insert_batch(std::slice::from_ref(&cdr)).unwrap(), 1);
    assert_eq!(store.get(cdr.call).unwrap().as_ref(), Some(&cdr));
    let filter = CdrFilter {
        caller: Some("a\0b".into()),
        ..CdrFilter::default()
    };
    assert_eq!(store.list(&filter, None, 2).unwrap(), [cdr]);
}

#[test]
fn of_changes_by_two_nodes_at_once_one_wins() {
    let server = server();
    let url = server.fresh_url();
    let nodes = [Postgres::open(&url).unwrap(), Postgres::open(&url).unwrap()];
    let account = samples::account(1);
    let made = nodes[0]
        .insert(&samples::actor(), &account.clone().into())
        .unwrap();
    // Each node changes the same revision, and makes a user of the same name.
    let outcomes = std::thread::scope(|scope| {
        let threads = [0, 1].map(|n: usize| {
            let (node, account) = (&nodes[n], account.clone());
            scope.spawn(move || {
                let mut user = samples::user(n as u64 + 1, account.id);
                user.name = "carol".into();
                (
                    node.replace(&samples::actor(), &account.into(), made),
                    node.insert(&samples::actor(), &user.into()),
                )
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    let changed = outcomes.iter().filter(|(changed, _)| changed.is_ok());
    assert_eq!(changed.count(), 1, "{outcomes:?}");
    let named = outcomes.iter().filter(|(_, named)| named.is_ok());
    assert_eq!(named.count(), 1, "{outcomes:?}");
    for (changed, named) in &outcomes {
        if let Err(error) = changed {
            assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
        }
        if let Err(error) = named {
            assert!(
                matches!(error, StoreError::Duplicate { field: "name", .. }),
                "{error}"
            );
        }
    }
    let revisions = nodes.each_ref().map(|node| node.revision().unwrap());
    assert_eq!(revisions, [made + 2; 2], "both see both changes");
}

#[test]
fn nodes_that_start_together_make_the_schema_once() {
    let server = server();
    let url = server.fresh_url();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| Postgres::open(&url).unwrap());
        }
    });
    assert_eq!(Postgres::open(&url).unwrap().revision().unwrap(), 0);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let server = server();
    let url = server.fresh_url();
    drop(Postgres::open(&url).unwrap());
    let schema = url.rsplit("%3D").next().unwrap();
    server.sql(&format!("UPDATE {schema}.schema_version SET version = 99"));
    let refused = Postgres::open(&url).err();
    assert!(
        matches!(refused, Some(StoreError::NewerSchema { found: 99, .. })),
        "{refused:?}"
    );
    let version = server.sql(&format!("SELECT version FROM {schema}.schema_version"));
    assert_eq!(version, "99");
}

#[test]
fn words_for_zones_become_records() {
    let server = server();
    let url = server.fresh_url();
    drop(Postgres::open(&url).unwrap());
    let schema = url.rsplit("%3D").next().unwrap();
    for (id, kind, body) in zones::words() {
        let values = format!("('{id}', '{kind}', 1, '{body}')");
        server.sql(&format!("INSERT INTO {schema}.record VALUES {values}"));
    }
    // As before there were zones.
    server.sql(&format!("UPDATE {schema}.schema_version SET version = 5"));
    zones::words_became_records(&Postgres::open(&url).unwrap());
}

#[test]
fn more_callers_than_connections_take_turns() {
    let server = server();
    let url = server.fresh_url();
    let store = Postgres::open(&url).unwrap();
    std::thread::scope(|scope| {
        for n in 1..=40 {
            let store = &store;
            scope.spawn(move || {
                let account = samples::account(n);
                store.insert(&samples::actor(), &account.into()).unwrap();
            });
        }
    });
    assert_eq!(store.revision().unwrap(), 40);
    let open =
        server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tandem'");
    assert!(open.parse::<usize>().unwrap() <= CONNECTIONS_MAX, "{open}");
}

#[test]
fn a_server_that_was_killed_is_found_again_with_all_it_had_confirmed() {
    let mut server = PostgresServer::start().unwrap();
    let store = Postgres::open(&server.url()).unwrap();
    let account = samples::account(1);
    let made = store
        .insert(&samples::actor(), &account.clone().into())
        .unwrap();
    store.insert_batch(&[samples::cdr(1)]).unwrap();
    server.go();
    let began = Instant::now();
    let gone = [
        store.revision().err(),
        store.insert_batch(&[samples::cdr(2)]).err(),
    ];
    for error in gone {
        assert!(
            matches!(error, Some(StoreError::Unavailable(_))),
            "{error:?}"
        );
    }
    assert!(began.elapsed() < Duration::from_secs(5), "refused at once");
    server.come().unwrap();
    // The first call after it works: connections are looked at before they are used.
    let found = store.find(Kind::Account, &account.id.to_string()).unwrap();
    assert_eq!((found.revision, found.record), (made, account.into()));
    assert_eq!(
        store
            .insert_batch(&[samples::cdr(1), samples::cdr(2)])
            .unwrap(),
        1
    );
}

#[test]
fn what_is_no_address_of_a_database_is_refused_without_its_password() {
    for url in ["postgres://u:secret@h:port/x", "nonsense"] {
        let refused = Postgres::open(url).err();
        let Some(StoreError::Misconfigured(text)) = refused else {
            panic!("{url}: {refused:?}");
        };
        assert!(!text.contains("secret"), "{text}");
    }
}

fn server() -> PostgresServer {
    PostgresServer::start().unwrap()
}

fn fresh(server: &PostgresServer) -> Postgres {
    Postgres::open(&server.fresh_url()).unwrap()
}
