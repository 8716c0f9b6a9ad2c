//! CDRs: pages without gaps, and an export that no spreadsheet runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::{CallId, Cdr, CdrOutcome, EndedBy};
use serde_json::json;
use store::{CdrCursor, CdrFilter, CdrSearch, CdrStore, Sqlite, StoreError};

use crate::fixture::Api;

pub(crate) fn cdr(number: u64) -> Cdr {
    Cdr {
        call: CallId::from_parts(number, 7),
        node: "n1".into(),
        sequence: number,
        account: None,
        from_user: None,
        to_user: None,
        customer: None,
        number: None,
        carrier: None,
        gateway: None,
        caller: "=cmd|' /C calc'!A0".into(),
        called: "+493012345".into(),
        destination: "493012345".into(),
        source: "udp:192.0.2.1:5060".into(),
        sip_call_id: format!("a,{number}"),
        sip_call_id_b: String::new(),
        start_us: number,
        ring_us: None,
        answer_us: Some(number + 10),
        end_us: number + 30,
        outcome: CdrOutcome::Answered,
        status: 200,
        reason: "said \"bye\"".into(),
        ended_by: EndedBy::Caller,
        attempts: 1,
        media_a: None,
        media_b: None,
        recordings: Vec::new(),
    }
}

fn with_cdrs(count: u64) -> Api {
    let api = Api::new();
    let cdrs: Vec<Cdr> = (1..=count).map(cdr).collect();
    api.store.insert_batch(&cdrs).unwrap();
    api
}

#[tokio::test]
async fn cdrs_come_latest_first_in_pages() {
    let api = with_cdrs(5);
    let mut sequences = Vec::new();
    let mut path = "/v1/cdrs?limit=2".to_owned();
    loop {
        let page = api.get(&path).await.body;
        sequences.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| c["sequence"].as_u64().unwrap()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/cdrs?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(sequences, [5, 4, 3, 2, 1]);
    let one = api.get(&format!("/v1/cdrs/{}", cdr(3).call)).await.body;
    assert_eq!(one["sequence"], 3);
    api.get(&format!("/v1/cdrs/{}", cdr(9).call))
        .await
        .is_problem(404, "not-found");
}

#[tokio::test]
async fn cdrs_are_filtered_and_wrong_filters_refused() {
    let api = with_cdrs(5);
    let count = async |query: &str| {
        api.get(&format!("/v1/cdrs?{query}")).await.body["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count("from_us=33&to_us=35").await, 2);
    assert_eq!(count("outcome=busy").await, 0);
    assert_eq!(count("called=%2B493012345").await, 5);
    for wrong in ["outcome=lost", "cursor=x", "colour=red", "user=alice"] {
        api.get(&format!("/v1/cdrs?{wrong}"))
            .await
            .is_problem(400, "malformed");
    }
}

#[tokio::test]
async fn an_export_has_every_record_and_disarms_formulas() {
    let count = 3 * store::EXPORT_BATCH as u64 / 2;
    let api = with_cdrs(count);
    let answer = api.get("/v1/cdrs/export.csv").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/csv"));
    let lines: Vec<&str> = answer.text.split_terminator("\r\n").collect();
    assert_eq!(lines.len() as u64, count + 1);
    let columns = lines[0].split(',').count();
    let expected = format!(
        "{},n1,{count},,,,,,,,\"'=cmd|' /C calc'!A0\",+493012345,493012345,udp:192.0.2.1:5060,\"a,{count}\",,",
        cdr(count).call
    );
    assert!(lines[1].starts_with(&expected), "{}", lines[1]);
    assert!(
        lines[1].contains(",20,answered,200,\"said \"\"bye\"\"\",caller,1,"),
        "{}",
        lines[1]
    );
    // One comma more than between columns stands in the quoted Call-ID.
    assert_eq!(lines[1].matches(',').count(), columns);

    let few = api.get("/v1/cdrs/export.csv?limit=3").await;
    assert_eq!(few.text.lines().count(), 4);
    api.get("/v1/cdrs/export.csv?cursor=1")
        .await
        .is_problem(400, "malformed")
        .at_field("cursor");
}

/// A store that answers one search, and is gone.
struct Breaking {
    inner: Arc<Sqlite>,
    searches: AtomicUsize,
}

impl CdrStore for Breaking {
    fn insert_batch(&self, cdrs: &[Cdr]) -> Result<usize, StoreError> {
        self.inner.insert_batch(cdrs)
    }

    fn search(
        &self,
        filter: &CdrFilter,
        after: Option<CdrCursor>,
        limit: usize,
        patience: Duration,
    ) -> Result<CdrSearch, StoreError> {
        match self.searches.fetch_add(1, Ordering::Relaxed) {
            0 => self.inner.search(filter, after, limit, patience),
            _ => Err(StoreError::Unavailable("it was stopped".into())),
        }
    }

    fn get(&self, call: CallId) -> Result<Option<Cdr>, StoreError> {
        self.inner.get(call)
    }

    fn remove_before(&self, end_us: u64, limit: usize) -> Result<usize, StoreError> {
        self.inner.remove_before(end_us, limit)
    }
}

#[tokio::test]
async fn an_export_that_breaks_off_does_not_look_whole() {
    let api = Api::with_cdr_store(|inner| {
        Arc::new(Breaking {
            inner,
            searches: AtomicUsize::new(0),
        })
    });
    let count = 3 * store::EXPORT_BATCH as u64 / 2;
    let cdrs: Vec<Cdr> = (1..=count).map(cdr).collect();
    api.store.insert_batch(&cdrs).unwrap();
    let broken = api.read("/v1/cdrs/export.csv").await;
    assert!(
        broken.is_err(),
        "{} bytes as if they were all",
        broken.unwrap().len()
    );
}

#[tokio::test]
async fn an_empty_export_has_its_headings() {
    let answer = Api::new().get("/v1/cdrs/export.csv").await;
    assert_eq!(answer.text.lines().count(), 1);
    assert_eq!(answer.body, json!(null));
}
