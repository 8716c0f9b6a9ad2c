//! Restarts and stops of servers, as far as they are asked for and cancelled.

use serde_json::{Value, json};

use crate::fixture::Api;

/// A server that nobody has joined as; its path.
async fn server(api: &Api) -> String {
    let made = api.made("/v1/servers", json!({ "name": "berlin" })).await;
    format!("/v1/servers/{}", made["id"].as_str().unwrap())
}

async fn restart(api: &Api, server: &str, wish: &Value) -> Value {
    let begun = api.post(&format!("{server}/restart"), wish).await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    begun.body
}

fn steps(task: &Value) -> Vec<&str> {
    let steps = task["steps"].as_array().unwrap().iter();
    steps.filter_map(|step| step["name"].as_str()).collect()
}

#[tokio::test]
async fn a_restart_that_drains_says_its_steps_and_undoes_the_drain_when_it_is_cancelled() {
    let api = Api::new();
    let server = server(&api).await;
    let begun = restart(&api, &server, &json!({ "drain": true })).await;
    assert_eq!(
        steps(&begun),
        [
            "store the change",
            "the node takes it",
            "the calls it has end",
            "tell the node",
            "it begins anew",
            "it works with the newest configuration",
            "store that it takes calls again",
            "the node takes calls again",
        ]
    );
    assert_eq!(api.get(&server).await.body["draining"], true);
    for other in ["restart", "drain"] {
        let second = api.post(&format!("{server}/{other}"), &json!({})).await;
        second.is_problem(409, "in-use");
    }
    let task = format!("/v1/tasks/{}", begun["id"].as_str().unwrap());
    let cancelled = api.post(&format!("{task}/cancel"), &json!({})).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    assert_eq!(cancelled.body["state"], "cancelled");
    assert_eq!(api.get(&server).await.body["draining"], false);
    let audit = api.get("/v1/audit?limit=1").await.body["items"][0].clone();
    assert_eq!(audit["actor"], begun["actor"], "who began it, undid it");
    let again = api.post(&format!("{task}/cancel"), &json!({})).await;
    again.is_problem(409, "in-use");
}

#[tokio::test]
async fn a_restart_that_is_resumed_is_cancelled() {
    let api = Api::new();
    let server = server(&api).await;
    let begun = restart(&api, &server, &json!({ "drain": true })).await;
    let resumed = api.post(&format!("{server}/resume"), &json!({})).await;
    assert_eq!(resumed.status, 202, "{}", resumed.text);
    let task = format!("/v1/tasks/{}", begun["id"].as_str().unwrap());
    assert_eq!(api.get(&task).await.body["state"], "cancelled");
    assert_eq!(api.get(&server).await.body["draining"], false);
}

#[tokio::test]
async fn a_server_that_was_drained_before_its_restart_stays_so() {
    let api = Api::new();
    let server = server(&api).await;
    let drained = api.post(&format!("{server}/drain"), &json!({})).await;
    assert_eq!(drained.status, 202, "{}", drained.text);
    let begun = restart(&api, &server, &json!({ "drain": true })).await;
    assert_eq!(steps(&begun)[0], "the calls it has end");
    let task = format!("/v1/tasks/{}/cancel", begun["id"].as_str().unwrap());
    assert_eq!(api.post(&task, &json!({})).await.status, 200);
    assert_eq!(api.get(&server).await.body["draining"], true);
}

#[tokio::test]
async fn a_wait_that_makes_no_sense_is_refused() {
    let api = Api::new();
    let server = server(&api).await;
    for wish in [
        json!({ "longest_wait_s": 5 }),
        json!({ "drain": true, "longest_wait_s": 0 }),
        json!({ "drain": true, "longest_wait_s": 86_401 }),
    ] {
        let refused = api.post(&format!("{server}/restart"), &wish).await;
        refused.is_problem(422, "invalid");
    }
    assert_eq!(api.get(&server).await.body["draining"], false);
}

#[tokio::test]
async fn a_server_is_stopped_once_and_started_once_and_the_record_says_by_whom() {
    let api = Api::new();
    let server = server(&api).await;
    let early = api.post(&format!("{server}/start"), &json!({})).await;
    early.is_problem(409, "in-use");
    let begun = api.post(&format!("{server}/stop"), &json!({})).await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    assert_eq!(
        steps(&begun.body),
        ["store that it is stopped", "the node closes its SIP"]
    );
    let record = api.get(&server).await.body;
    assert_eq!(record["stopped"]["by"], begun.body["actor"]);
    // Nobody says so by the record.
    let forged = json!({ "stopped": { "at_us": 1, "by": "nobody" } });
    let forged = api
        .send("PATCH", &server, &[("if-match", "*")], &forged)
        .await;
    forged.is_problem(422, "invalid");
    let crossing = api.post(&format!("{server}/start"), &json!({})).await;
    crossing.is_problem(409, "in-use");
}

#[tokio::test]
async fn a_stop_that_is_cancelled_while_it_drains_has_stopped_nothing() {
    let api = Api::new();
    let server = server(&api).await;
    let begun = api
        .post(&format!("{server}/stop"), &json!({ "drain": true }))
        .await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    assert_eq!(api.get(&server).await.body["draining"], true);
    let task = begun.body["id"].as_str().unwrap();
    let cancelled = api
        .post(&format!("/v1/tasks/{task}/cancel"), &json!({}))
        .await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    let record = api.get(&server).await.body;
    assert_eq!(
        (&record["draining"], &record["stopped"]),
        (&json!(false), &Value::Null)
    );
}

#[tokio::test]
async fn what_closes_no_sip_of_its_own_is_not_stopped_from_here() {
    let api = Api::new();
    for (name, role) in [("edge", "dispatcher"), ("rtp", "media")] {
        let wanted = json!({ "name": name, "role": role });
        let made = api.made("/v1/servers", wanted).await;
        let path = format!("/v1/servers/{}/stop", made["id"].as_str().unwrap());
        let refused = api.post(&path, &json!({})).await;
        refused.is_problem(409, "elsewhere");
        assert!(refused.text.contains("drained"), "{}", refused.text);
    }
}

#[tokio::test]
async fn a_server_without_another_program_on_its_disk_is_not_updated() {
    let api = Api::new();
    let server = server(&api).await;
    let refused = api.post(&format!("{server}/update"), &json!({})).await;
    refused.is_problem(409, "in-use");
    assert!(
        refused.text.contains("no update is pending"),
        "{}",
        refused.text
    );
    assert_eq!(api.get(&server).await.body["draining"], false);
}
