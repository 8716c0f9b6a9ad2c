//! Exports of CDRs that are ordered: who sees them, what is in them, and what becomes of those under way.

use model::{AccountId, Cdr, Role};
use serde_json::{Value, json};
use store::CdrStore;

use crate::cdrs::cdr;
use crate::fixture::{Answer, Api};

const EXPORTS: &str = "/v1/cdrs/exports";

/// With so many CDRs, the first of which is of this account.
fn with_cdrs(count: u64, account: AccountId) -> (Api, tempfile::TempDir) {
    let api = Api::new();
    let directory = tempfile::tempdir().unwrap();
    api.control.keeps_exports(directory.path()).unwrap();
    let mut cdrs: Vec<Cdr> = (1..=count).map(cdr).collect();
    cdrs[0].account = Some(account);
    api.store.insert_batch(&cdrs).unwrap();
    (api, directory)
}

fn path_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{}", answer.text);
    format!("{EXPORTS}/{}", answer.body["id"].as_str().unwrap())
}

/// Waits until one is over.
async fn over(api: &Api, path: &str) -> Value {
    loop {
        let export = api.get(path).await.body;
        match export["state"].as_str().unwrap() {
            "waiting" | "running" => tokio::task::yield_now().await,
            _ => return export,
        }
    }
}

#[tokio::test]
async fn an_export_is_written_with_the_columns_that_were_wanted_and_fetched() {
    let count = 3 * store::EXPORT_BATCH as u64 / 2;
    let (api, directory) = with_cdrs(count, AccountId::from_bits(1));
    let wish = json!({ "columns": ["sequence", "called"], "filter": { "from_us": 33 } });
    let ordered = api.post(EXPORTS, &wish).await;
    let path = path_of(&ordered);
    let done = over(&api, &path).await;
    assert_eq!(done["state"], "done", "{done}");
    // Those that ended at 31 and 32 are not wanted.
    assert_eq!(done["rows"], count - 2);
    assert_eq!(done["columns"], wish["columns"]);
    let file = api.get(&format!("{path}/file")).await;
    assert_eq!(
        file.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(file.header("content-length"), file.text.len().to_string());
    assert_eq!(done["bytes"], file.text.len());
    let mut lines = file.text.split_terminator("\r\n");
    assert_eq!(lines.next(), Some("sequence,called"));
    assert_eq!(lines.next().unwrap(), format!("{count},+493012345"));
    assert_eq!(lines.count() as u64, count - 3);
    assert_eq!(api.get(EXPORTS).await.body["items"][0], done);

    assert_eq!(api.delete(&path).await.status, 204);
    api.get(&path).await.is_problem(404, "not-found");
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn an_export_is_seen_by_who_ordered_it_and_by_administrators() {
    let account = AccountId::from_bits(1);
    let (api, _directory) = with_cdrs(5, account);
    let theirs = api.token_for(Role::Viewer, Some(account), None);
    let ordered = api.send_as(&theirs, "POST", EXPORTS, &[], &json!({})).await;
    let path = path_of(&ordered);
    let done = over(&api, &path).await;
    assert_eq!(done["rows"], 1, "only what they may see: {done}");
    let file = format!("{path}/file");
    assert_eq!(api.get_as(&theirs, &file).await.status, 200);
    assert_eq!(api.get(&file).await.status, 200);
    let others = [
        api.token(Role::Operator, None),
        api.token_for(Role::Admin, Some(account), None),
        api.token_for(Role::Admin, Some(AccountId::from_bits(2)), None),
    ];
    for other in &others {
        for path in [&path, &file] {
            api.get_as(other, path).await.is_problem(404, "not-found");
        }
        let gone = api.send_as(other, "DELETE", &path, &[], &json!({})).await;
        gone.is_problem(404, "not-found");
        let list = api.get_as(other, EXPORTS).await;
        assert_eq!(list.body["items"], json!([]));
    }
    let wish = json!({ "filter": { "account": AccountId::from_bits(2) } });
    let refused = api.send_as(&theirs, "POST", EXPORTS, &[], &wish).await;
    refused.is_problem(403, "forbidden");
}

#[tokio::test]
async fn wrong_wishes_are_refused() {
    let (api, _directory) = with_cdrs(1, AccountId::from_bits(1));
    for columns in [json!(["colour"]), json!(["call", "call"])] {
        let refused = api.post(EXPORTS, &json!({ "columns": columns })).await;
        refused.is_problem(422, "invalid").at_field("columns");
    }
    for wrong in [
        json!({ "colour": "red" }),
        json!({ "filter": { "colour": "red" } }),
        json!({ "filter": { "outcome": "lost" } }),
        json!({ "filter": [null, null] }),
    ] {
        let refused = api.post(EXPORTS, &wrong).await;
        assert!(
            [400, 422].contains(&refused.status.as_u16()),
            "{}",
            refused.text
        );
    }
    let nowhere = Api::new().post(EXPORTS, &json!({})).await;
    nowhere.is_problem(409, "elsewhere");
}

#[tokio::test]
async fn nobody_has_more_than_five_and_nobody_loses_those_of_others() {
    let (api, _directory) = with_cdrs(1, AccountId::from_bits(1));
    let other = api.token(Role::Viewer, None);
    let others = path_of(&api.send_as(&other, "POST", EXPORTS, &[], &json!({})).await);
    let first = path_of(&api.post(EXPORTS, &json!({})).await);
    for path in [&others, &first] {
        over(&api, path).await;
    }
    for _ in 0..5 {
        let one = path_of(&api.post(EXPORTS, &json!({})).await);
        over(&api, &one).await;
    }
    let all = api.get(EXPORTS).await.body;
    assert_eq!(all["items"].as_array().unwrap().len(), 6);
    api.get(&first).await.is_problem(404, "not-found");
    assert_eq!(over(&api, &others).await["state"], "done");
}
