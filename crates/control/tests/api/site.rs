//! The files beside the API.

use axum::body::Body;
use axum::http::Request;
use control::{Site, SiteFile, SiteKind};

use crate::fixture::{Answer, Api};

/// A panel of two files.
struct TwoFiles;

impl Site for TwoFiles {
    fn file(&self, path: &str) -> Option<SiteFile> {
        let (media_type, content): (_, &[u8]) = match path {
            "index.html" => ("text/html", b"<meta content=\"%NONCE%\">"),
            "assets/panel-1a2b.js" => ("text/javascript", b"plain"),
            _ => return None,
        };
        let is_script = path != "index.html";
        let smaller = |small: &'static [u8]| is_script.then(|| small.into());
        Some(SiteFile {
            media_type,
            content: content.into(),
            brotli: smaller(b"small"),
            gzip: smaller(b"smaller than plain"),
        })
    }

    fn kind(&self) -> SiteKind {
        SiteKind::Embedded
    }
}

async fn get(api: &Api, path: &str) -> Answer {
    let request = Request::builder().uri(path).body(Body::empty());
    api.ask(request.unwrap()).await
}

#[tokio::test]
async fn paths_of_pages_get_the_index_which_is_asked_for_each_time() {
    let api = Api::with_site(TwoFiles);
    for path in ["/", "/calls", "/users/usr_1?name=x", "/index.html"] {
        let answer = get(&api, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), "text/html");
        assert_eq!(answer.header("cache-control"), "no-cache");
    }
}

#[tokio::test]
async fn nothing_may_come_from_elsewhere_and_styles_show_a_number_of_this_answer() {
    let api = Api::with_site(TwoFiles);
    let [one, other] = [get(&api, "/").await, get(&api, "/").await];
    assert_ne!(one.text, other.text);
    let nonce = one.text.split('"').nth(1).unwrap();
    let policy = one.header("content-security-policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.contains(&format!("'nonce-{nonce}'")), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[tokio::test]
async fn files_with_a_hash_in_their_name_last_and_are_small_for_who_can_unpack_them() {
    let api = Api::with_site(TwoFiles);
    let path = "/assets/panel-1a2b.js";
    let plain = get(&api, path).await;
    assert_eq!(plain.text, "plain");
    assert!(plain.header("cache-control").contains("immutable"));
    for (accepted, text, coding) in [
        ("gzip, br;q=1.0", "small", "br"),
        // As browsers ask over plain HTTP.
        ("gzip, deflate", "smaller than plain", "gzip"),
        ("br;q=0, gzip;q=0.5", "smaller than plain", "gzip"),
        ("BR; q=0.000, identity", "plain", ""),
        ("zstd", "plain", ""),
    ] {
        let request = Request::builder().uri(path);
        let request = request.header("accept-encoding", accepted);
        let answer = api.ask(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.text, text, "{accepted}");
        assert_eq!(answer.header("content-encoding"), coding, "{accepted}");
    }
    get(&api, "/assets/old-9f.js")
        .await
        .is_problem(404, "not-found");
}

#[tokio::test]
async fn unknown_paths_of_the_api_stay_problems() {
    let api = Api::with_site(TwoFiles);
    for path in ["/v1", "/v1/nothing", "/metrics/nothing", "/healthz/x"] {
        get(&api, path).await.is_problem(404, "not-found");
    }
    let request = Request::builder().method("POST").uri("/calls");
    api.ask(request.body(Body::empty()).unwrap())
        .await
        .is_problem(404, "not-found");
}

#[tokio::test]
async fn the_version_says_what_stands_at_the_root() {
    let with = get(&Api::with_site(TwoFiles), "/v1/version").await;
    assert_eq!(with.body["ui"], "embedded");
    let without = Api::new();
    assert_eq!(get(&without, "/v1/version").await.body["ui"], "absent");
    get(&without, "/").await.is_problem(404, "not-found");
}
