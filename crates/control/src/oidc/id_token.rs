//! What an ID token must say (OpenID Connect Core 1.0 §3.1.3.7).

use serde_json::Value;

/// What it is compared with.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    /// The time, seconds since the Unix epoch.
    pub(super) now_s: u64,
}

/// Whether the claims are meant for us, now, and for this sign-in. Errors: what does not hold.
pub(super) fn check(claims: &Value, expected: &Expected<'_>) -> Result<(), String> {
    let text = |claim: &str| claims[claim].as_str();
    if text("iss") != Some(expected.issuer) {
        return Err("its token is another issuer's".into());
    }
    check_audience(claims, expected.client_id)?;
    let at = |claim: &str| claims[claim].as_f64().filter(|at| at.is_finite());
    let now_s = expected.now_s as f64;
    let end_s = at("exp").ok_or("its token never expires")?;
    if end_s + SKEW_S <= now_s {
        return Err(format!(
            "its token expired {} s ago: {CLOCKS}",
            (now_s - end_s) as u64
        ));
    }
    let issued_s = at("iat").ok_or("its token does not say when it was made")?;
    let begin_s = at("nbf").unwrap_or(issued_s).max(issued_s);
    if begin_s - SKEW_S > now_s {
        return Err(format!(
            "its token begins in {} s: {CLOCKS}",
            (begin_s - now_s) as u64
        ));
    }
    if text("nonce") != Some(expected.nonce) {
        return Err("its token is of another sign-in".into());
    }
    let is_subject = |subject: &str| !subject.is_empty() && subject.len() <= SUBJECT_MAX;
    if !text("sub").is_some_and(is_subject) {
        return Err("its token does not say who it is of".into());
    }
    Ok(())
}

fn check_audience(claims: &Value, client_id: &str) -> Result<(), String> {
    let is_us = |value: &Value| value.as_str() == Some(client_id);
    let (is_for_us, others) = match &claims["aud"] {
        Value::Array(all) => (all.iter().any(is_us), all.len() > 1),
        one => (is_us(one), false),
    };
    let party = &claims["azp"];
    if !is_for_us || (others && party.is_null()) || (!party.is_null() && !is_us(party)) {
        return Err("its token is meant for another client: compare oidc.client_id".into());
    }
    Ok(())
}

/// The claims with those of userinfo that they lack (§5.3.2). Errors: those are of somebody else.
pub(super) fn with_userinfo(mut claims: Value, more: Value) -> Result<Value, String> {
    if claims["sub"] != more["sub"] {
        return Err("its userinfo is of somebody else".into());
    }
    if let (Value::Object(claims), Value::Object(more)) = (&mut claims, more) {
        for (name, value) in more {
            claims.entry(name).or_insert(value);
        }
    }
    Ok(claims)
}

/// How far its clock may be from ours, in seconds.
const SKEW_S: f64 = 60.0;
const CLOCKS: &str = "compare its clock and ours";
/// Characters of a subject (§2).
const SUBJECT_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims() -> Value {
        json!({ "iss": "https://id", "aud": "us", "sub": "7", "nonce": "n",
            "iat": 1_000, "exp": 1_600 })
    }

    fn checked(claims: &Value, now_s: u64) -> Result<(), String> {
        let expected = Expected {
            issuer: "https://id",
            client_id: "us",
            nonce: "n",
            now_s,
        };
        check(claims, &expected)
    }

    #[test]
    fn each_claim_is_compared() {
        assert_eq!(checked(&claims(), 1_001), Ok(()));
        for (claim, value) in [
            ("iss", json!("https://id/")),
            ("iss", Value::Null),
            ("aud", json!("them")),
            ("aud", json!(["them"])),
            ("aud", json!(["us", "them"])),
            ("aud", json!([])),
            ("azp", json!("them")),
            ("sub", json!("")),
            ("sub", json!(7)),
            ("sub", json!("7".repeat(256))),
            ("nonce", json!("m")),
            ("nonce", Value::Null),
            ("iat", Value::Null),
            ("exp", Value::Null),
            ("exp", json!("1600")),
            ("nbf", json!(2_000)),
        ] {
            let mut changed = claims();
            changed[claim] = value.clone();
            assert!(checked(&changed, 1_001).is_err(), "{claim}: {value}");
        }
        let mut shared = claims();
        shared["aud"] = json!(["them", "us"]);
        shared["azp"] = json!("us");
        assert_eq!(checked(&shared, 1_001), Ok(()));
    }

    #[test]
    fn clocks_may_differ_by_a_minute() {
        assert_eq!(checked(&claims(), 940), Ok(()));
        assert!(checked(&claims(), 939).unwrap_err().contains("clock"));
        assert_eq!(checked(&claims(), 1_659), Ok(()));
        assert!(checked(&claims(), 1_660).unwrap_err().contains("clock"));
    }

    #[test]
    fn userinfo_adds_what_the_token_lacks_and_changes_nothing() {
        let more = json!({ "sub": "7", "groups": ["ops"], "nonce": "other" });
        let all = with_userinfo(claims(), more).unwrap();
        assert_eq!(
            (&all["groups"], &all["nonce"]),
            (&json!(["ops"]), &json!("n"))
        );
        assert!(with_userinfo(claims(), json!({ "sub": "8" })).is_err());
        assert!(with_userinfo(claims(), Value::Null).is_err());
    }
}
