//! What the node knows and does: calls, registrations, listeners, bans, simulation.

use serde_json::json;

use crate::fixture::{Api, call};

#[tokio::test]
async fn calls_are_listed_in_pages_shown_and_ended() {
    let api = Api::new();
    api.node.state.lock().unwrap().calls = (1..=3).map(call).collect();
    let page = api.get("/v1/calls?limit=2").await.body;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = api
        .get(&format!("/v1/calls?limit=2&cursor={cursor}"))
        .await
        .body;
    assert_eq!(
        (
            rest["items"].as_array().unwrap().len(),
            &rest["next_cursor"]
        ),
        (1, &json!(null))
    );
    assert_eq!((&page["total"], &rest["total"]), (&json!(3), &json!(3)));
    assert_eq!(page["unheard"], json!([]));
    let filtered = api.get("/v1/calls?caller=caller-2").await.body;
    assert_eq!(filtered["items"][0]["start_us"], 2);
    assert_eq!(filtered["total"], 1);
    let elsewhere = "/v1/calls?server=srv_01M7Y27XAH1N5K52CP36TC7MCB";
    assert_eq!(api.get(elsewhere).await.body["items"], json!([]));

    let path = format!("/v1/calls/{}", call(1).id);
    assert_eq!(api.get(&path).await.body["caller"], "caller-1");
    assert_eq!(
        api.post(&format!("{path}/hangup"), &json!({})).await.status,
        204
    );
    api.get(&path).await.is_problem(404, "not-found");
    api.delete(&path).await.is_problem(404, "not-found");
    assert_eq!(
        api.delete(&format!("/v1/calls/{}", call(2).id))
            .await
            .status,
        204
    );
    api.get("/v1/calls?state=dead")
        .await
        .is_problem(400, "malformed");
}

/// One machine alone: there is nothing to show in place of its calls.
#[tokio::test]
async fn a_silent_node_is_no_empty_list() {
    let api = Api::new();
    api.node.state.lock().unwrap().silent = true;
    api.get("/v1/calls").await.is_problem(503, "unavailable");
    let path = format!("/v1/calls/{}", call(1).id);
    api.get(&path).await.is_problem(503, "unavailable");
    api.delete(&path).await.is_problem(503, "unavailable");
}

#[tokio::test]
async fn registrations_and_bans_are_removed_by_name() {
    let api = Api::new();
    assert_eq!(
        api.get("/v1/registrations").await.body,
        json!({ "items": [], "next_cursor": null })
    );
    assert_eq!(api.delete("/v1/registrations/known").await.status, 204);
    api.delete("/v1/registrations/unknown")
        .await
        .is_problem(404, "not-found");
    assert_eq!(api.delete("/v1/bans/2001:db8::1").await.status, 204);
    api.delete("/v1/bans/192.0.2.1")
        .await
        .is_problem(404, "not-found");
    api.delete("/v1/bans/somebody")
        .await
        .is_problem(404, "not-found");
}

#[tokio::test]
async fn a_listener_is_added_listed_and_removed_without_a_restart() {
    let api = Api::new();
    let spec = json!({ "transport": "udp", "address": "127.0.0.1:5070" });
    let added = api.made("/v1/listeners", spec.clone()).await;
    assert_eq!(added["address"], "127.0.0.1:5070");
    api.post("/v1/listeners", &spec)
        .await
        .is_problem(422, "invalid")
        .at_field("address");
    let wrong = json!({ "transport": "udp", "address": "nowhere" });
    api.post("/v1/listeners", &wrong)
        .await
        .is_problem(400, "malformed")
        .at_field("address");
    assert_eq!(
        api.get("/v1/listeners").await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let path = format!("/v1/listeners/{}", added["id"].as_str().unwrap());
    assert_eq!(api.delete(&path).await.status, 204);
    api.delete(&path).await.is_problem(404, "not-found");
}

#[tokio::test]
async fn a_simulation_is_the_nodes_and_changes_nothing() {
    let api = Api::new();
    let answer = api
        .post("/v1/routes/simulate", &json!({ "called": "4930" }))
        .await;
    assert_eq!(
        answer.body["steps"],
        json!(["nobody takes 4930 by 0 routes"])
    );
    assert_eq!(answer.body["outcome"], "refused");
    api.post("/v1/routes/simulate", &json!({ "called": "" }))
        .await
        .is_problem(422, "invalid")
        .at_field("called");
    api.post("/v1/routes/simulate", &json!({ "caled": "1" }))
        .await
        .is_problem(400, "malformed");
}

#[tokio::test]
async fn limits_are_shown_with_their_use() {
    let usage = Api::new().get("/v1/limits").await.body;
    assert_eq!(usage["items"][0]["channels"], 2);
    assert_eq!(usage["items"][0]["cps_limit"], json!(null));
}
