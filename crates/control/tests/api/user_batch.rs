//! Many users at once: all, or none, or all but the bad ones.

use serde_json::{Value, json};

use crate::fixture::Api;

async fn api() -> (Api, Value) {
    let api = Api::new();
    let account = api.post("/v1/accounts", &json!({ "name": "acme" })).await;
    let id = account.body["id"].clone();
    (api, id)
}

async fn names(api: &Api) -> Vec<String> {
    let list = api.get("/v1/users?limit=500").await;
    let items = list.body["items"].as_array().unwrap().clone();
    items
        .iter()
        .map(|u| u["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn all_are_made_in_one_change_and_handed_over_once() {
    let (api, account) = api().await;
    let before = api.node.state.lock().unwrap().applied.len();
    let users: Vec<Value> = (0..300)
        .map(|n| json!({ "account": account, "name": format!("u{n:03}") }))
        .collect();
    let answer = api
        .post("/v1/users:batch", &json!({ "users": users }))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let made = answer.body["users"].as_array().unwrap();
    assert_eq!(made.len(), 300);
    assert_eq!(answer.body["errors"], json!([]));
    assert!(
        made.iter()
            .all(|u| u["password"].as_str().is_some_and(|p| p.len() >= 8))
    );
    assert_eq!(made[17]["name"], "u017");
    let expected: Vec<String> = (0..300).map(|n| format!("u{n:03}")).collect();
    assert_eq!(names(&api).await, expected);
    let path = format!("/v1/users/{}", made[17]["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await.body["name"], "u017");
    let applied = api.node.state.lock().unwrap().applied.len();
    assert_eq!(applied, before + 1);
}

#[tokio::test]
async fn none_is_made_if_one_is_bad_and_each_bad_one_is_named() {
    let (api, account) = api().await;
    api.post("/v1/users", &json!({ "account": account, "name": "taken" }))
        .await;
    let mut batch = json!({ "users": [
        { "account": account, "name": "good" },
        { "account": account, "name": "taken" },
        { "account": account, "name": "" },
        { "account": account, "name": "twice" },
        { "account": account, "name": "twice" },
        { "account": account, "name": "odd", "colour": "red" },
        { "account": account, "name": "weak", "password": "short" },
        { "account": "acc_01ARZ3NDEKTSV4RRFFQ69G5FAV", "name": "lost" },
    ]});
    let answer = api.post("/v1/users:batch", &batch).await;
    answer.is_problem(422, "invalid");
    let fields: Vec<&str> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].as_str().unwrap())
        .collect();
    let bad = [
        "users[1].name",
        "users[2].name",
        "users[4].name",
        "users[5].colour",
        "users[6].password",
        "users[7].account",
    ];
    assert_eq!(fields, bad);
    assert_eq!(names(&api).await, ["taken"]);

    batch["bad"] = json!("skip");
    let answer = api.post("/v1/users:batch", &batch).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["errors"].as_array().unwrap().len(), bad.len());
    assert_eq!(names(&api).await, ["taken", "good", "twice"]);
}

#[tokio::test]
async fn a_batch_has_a_size_and_all_its_unknown_fields_are_named() {
    let (api, account) = api().await;
    api.post("/v1/users:batch", &json!({ "users": [] }))
        .await
        .is_problem(422, "invalid");
    let large: Vec<Value> = (0..3_000)
        .map(|n| json!({ "account": account, "name": format!("n{n}"), "display_name": "x".repeat(60) }))
        .collect();
    let answer = api
        .post("/v1/users:batch", &json!({ "users": large }))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let odd = json!({ "users": [], "colour": 1, "size": 2 });
    let answer = api.post("/v1/users:batch", &odd).await;
    answer.is_problem(400, "malformed");
    assert_eq!(
        answer.body["errors"].as_array().unwrap().len(),
        2,
        "{}",
        answer.text
    );
    assert_eq!(answer.body["detail"], "there is no field colour, size");
}
