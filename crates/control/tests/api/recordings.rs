//! Recordings: those of this machine, of other nodes and of media servers in one list, in pages.

use control::Recording;
use model::Cdr;
use serde_json::{Value, json};
use store::CdrStore;

use crate::cdrs::cdr;
use crate::fixture::Api;

/// A recording of this machine.
fn here(file: &str, changed_us: u64) -> Recording {
    Recording {
        file: file.into(),
        server: None,
        node: None,
        finished: true,
        here: true,
        location: None,
        bytes: Some(44),
        length_ms: Some(0),
        changed_us,
    }
}

/// A call of which a media server has recorded these files.
fn recorded(number: u64, end_us: u64, files: &[&str]) -> Cdr {
    let mut cdr = cdr(number);
    cdr.end_us = end_us;
    cdr.recordings = files.iter().map(ToString::to_string).collect();
    cdr
}

/// All pages of at most `limit`, item by item, and how many pages it were.
async fn all(api: &Api, limit: usize) -> (Vec<Value>, usize) {
    let (mut found, mut pages) = (Vec::new(), 0);
    let first = format!("/v1/recordings?limit={limit}");
    let mut path = first.clone();
    loop {
        let page = api.get(&path).await.body;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit);
        found.extend(items.iter().cloned());
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{first}&cursor={cursor}"),
            None => return (found, pages),
        }
    }
}

fn names(found: &[Value]) -> Vec<&str> {
    found.iter().map(|r| r["file"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn recordings_of_all_places_come_latest_first_in_pages() {
    let api = Api::new();
    api.node.state.lock().unwrap().recordings = vec![here("a", 10), here("b", 30), here("c", 20)];
    let cdrs = [
        recorded(1, 20, &["m1:/r/x", "m2:/r/x"]),
        recorded(2, 25, &["of-this-machine.wav"]),
        recorded(3, 40, &["m1:/r/y"]),
        Cdr {
            node: "n2".into(),
            ..recorded(4, 15, &["of-another-node.wav"])
        },
    ];
    api.store.insert_batch(&cdrs).unwrap();
    let another = "of-another-node.wav";
    let expected = ["/r/y", "b", "c", "/r/x", "/r/x", another, "a"];
    for limit in 1..=7 {
        let (found, pages) = all(&api, limit).await;
        assert_eq!(names(&found), expected, "{limit}");
        assert_eq!(pages, expected.len().div_ceil(limit), "{limit}");
    }
    let (found, _) = all(&api, 50).await;
    assert_eq!(found[0]["server"], "m1");
    assert_eq!(
        found[0]["location"], "s3://calls/r/y",
        "as it is known here"
    );
    assert_eq!(found[1]["location"], Value::Null);
    assert_eq!(found[1]["server"], Value::Null);
    assert_eq!(found[1]["node"], Value::Null);
    let another = &found[5];
    assert_eq!(
        (&another["node"], &another["here"]),
        (&json!("n2"), &json!(false))
    );
}

#[tokio::test]
async fn what_lies_behind_many_calls_without_recordings_is_found_too() {
    let api = Api::new();
    api.node.state.lock().unwrap().recordings = vec![here("old", 5), here("new", 50_000)];
    let mut cdrs: Vec<Cdr> = (1..=6_000).map(|n| recorded(n, 100 + n, &[])).collect();
    cdrs.push(recorded(6_001, 90, &["m1:/r/x"]));
    api.store.insert_batch(&cdrs).unwrap();
    let (found, pages) = all(&api, 50).await;
    assert_eq!(names(&found), ["new", "/r/x", "old"]);
    assert_eq!(pages, 2, "no page looks at all of them");
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let api = Api::new();
    let answer = api.get("/v1/recordings?cursor=12.34").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["errors"][0]["field"], json!("cursor"));
}
