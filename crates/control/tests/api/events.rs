//! Events over a real socket: in order, resumed where a client stopped, filtered by topic.

use std::net::SocketAddr;
use std::time::Duration;

use control::PlatformEvent;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::fixture::Api;

struct Served {
    api: Api,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn serve() -> Served {
    let api = Api::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(control::serve(listener, api.control.clone(), async {
        let _ = stopped.await;
    }));
    Served {
        api,
        address,
        stop,
        server,
    }
}

/// A client of the stream, whose headers have come.
async fn follow(served: &Served, query: &str, last: Option<&str>) -> BufReader<TcpStream> {
    follow_as(served, served.api.admin(), query, last).await
}

async fn follow_as(
    served: &Served,
    token: &str,
    query: &str,
    last: Option<&str>,
) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let resume = last.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
    let request = format!(
        "GET /v1/events{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{resume}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert_ne!(
            reader.read_line(&mut line).await.unwrap(),
            0,
            "the headers broke off"
        );
    }
    reader
}

/// The next event: its id, its name and its data.
async fn next(reader: &mut BufReader<TcpStream>) -> (String, String, Value) {
    let (mut id, mut name) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        assert_ne!(
            reader.read_line(&mut line).await.unwrap(),
            0,
            "the stream broke off"
        );
        let line = line.trim_end();
        if let Some(text) = line.strip_prefix("id: ") {
            id = text.into();
        } else if let Some(text) = line.strip_prefix("event: ") {
            name = text.into();
        } else if let Some(text) = line.strip_prefix("data: ") {
            return (id, name, serde_json::from_str(text).unwrap());
        }
    }
}

fn event(sequence: u64, topic: &str) -> PlatformEvent {
    let name = format!("{topic}.happened");
    PlatformEvent {
        sequence,
        at_us: 1,
        topic: topic.into(),
        name,
        data: json!({}),
        server: None,
        server_name: String::new(),
    }
}

#[tokio::test]
async fn a_client_sees_changes_and_resumes_where_it_stopped() {
    let served = serve().await;
    let mut stream = follow(&served, "", None).await;
    served
        .api
        .made("/v1/accounts", json!({ "name": "a" }))
        .await;
    let (first_id, name, data) = next(&mut stream).await;
    assert_eq!(
        (name.as_str(), &data["topic"]),
        ("account.created", &json!("accounts"))
    );
    drop(stream);
    let second = served
        .api
        .made("/v1/accounts", json!({ "name": "b" }))
        .await;

    let mut stream = follow(&served, "", Some(&first_id)).await;
    let (second_id, _, data) = next(&mut stream).await;
    assert_eq!(data["data"]["id"], second["id"]);
    assert_ne!(second_id, first_id);
}

#[tokio::test]
async fn a_stream_ends_with_the_right_to_read_it() {
    let served = serve().await;
    let made = served
        .api
        .made("/v1/tokens", json!({ "name": "gone", "role": "viewer" }))
        .await;
    let token = made["token"].as_str().unwrap();
    let mut stream = follow_as(&served, token, "", None).await;
    served
        .api
        .made("/v1/accounts", json!({ "name": "before" }))
        .await;
    while next(&mut stream).await.1 != "account.created" {}

    let path = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(served.api.delete(&path).await.status, 204);
    let mut told = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    // It is looked at once a second, as things happen.
    for n in 0..300 {
        tokio::select! {
            read = stream.read_to_end(&mut told) => {
                read.unwrap();
                return;
            }
            _ = tick.tick() => {
                let name = format!("after-{n}");
                served.api.made("/v1/accounts", json!({ "name": name })).await;
            }
        }
    }
    panic!("a token that was taken back reads on");
}

#[tokio::test]
async fn events_of_the_node_are_filtered_by_topic() {
    let served = serve().await;
    let mut stream = follow(&served, "?topics=calls,bans", None).await;
    while served.api.node.events.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    for (sequence, topic) in [
        (1, "registrations"),
        (2, "calls"),
        (3, "gateways"),
        (4, "bans"),
    ] {
        served.api.node.events.send(event(sequence, topic)).unwrap();
    }
    assert_eq!(next(&mut stream).await.2["sequence"], 2);
    assert_eq!(next(&mut stream).await.2["sequence"], 4);
}

#[tokio::test]
async fn the_latest_events_are_listed_first() {
    let served = serve().await;
    for name in ["a", "b", "c"] {
        served
            .api
            .made("/v1/accounts", json!({ "name": name }))
            .await;
    }
    let page = served
        .api
        .get("/v1/events/recent?topics=accounts&limit=2")
        .await;
    let names: Vec<&Value> = page.body["items"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 2, "{}", page.text);
    let all = served.api.get("/v1/events/recent").await.body;
    assert_eq!(all["items"][0], *names[0]);
    let at = |event: &Value| event["at_us"].as_u64();
    assert!(at(names[0]) >= at(names[1]));
    let none = served.api.get("/v1/events/recent?topics=bans").await.body;
    assert_eq!(none["items"], json!([]));
    served
        .api
        .get("/v1/events/recent?limit=501")
        .await
        .is_problem(400, "malformed")
        .at_field("limit");
}

#[tokio::test]
async fn a_client_of_an_earlier_run_is_told_of_the_gap() {
    let served = serve().await;
    served
        .api
        .made("/v1/accounts", json!({ "name": "a" }))
        .await;
    let mut stream = follow(&served, "", Some("5-17")).await;
    assert_eq!(next(&mut stream).await.1, "gap");
    assert_eq!(next(&mut stream).await.1, "account.created");
    served
        .api
        .get("/v1/events?last_event_id=x")
        .await
        .is_problem(400, "malformed")
        .at_field("Last-Event-ID");
}

#[tokio::test]
async fn stopping_ends_open_streams_and_the_server() {
    let served = serve().await;
    let mut stream = follow(&served, "", None).await;
    served.stop.send(()).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    served.server.await.unwrap().unwrap();
}
