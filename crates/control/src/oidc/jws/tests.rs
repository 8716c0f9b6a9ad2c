use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use serde_json::json;

use super::*;

/// The example of RFC 8037 Appendix A.4.
const ED25519_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const ED25519_TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
    hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with what `sign` makes of it.
fn token(header: &Value, payload: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let [header, payload] = [header, payload].map(|part| base64(part.to_string().as_bytes()));
    let message = format!("{header}.{payload}");
    let signature = base64(&sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// A key on P-256, and how it signs.
fn on_p256(kid: &str) -> (Value, impl Fn(&[u8]) -> Vec<u8>) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let key = json!({ "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig",
        "x": base64(&point[1..33]), "y": base64(&point[33..]) });
    let sign = move |message: &[u8]| {
        let signature = pair.sign(&SystemRandom::new(), message).unwrap();
        signature.as_ref().to_vec()
    };
    (key, sign)
}

#[test]
fn the_example_of_rfc_8037_is_signed() {
    let published = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": ED25519_KEY }] });
    // What it says is text and no JSON; it is read after the signature holds.
    assert_eq!(
        verify(ED25519_TOKEN, &keys(&published)),
        Err(Fault::Malformed)
    );
    let damaged = ED25519_TOKEN.replace("hgyY", "hgyZ");
    assert_eq!(verify(&damaged, &keys(&published)), Err(Fault::NoKey));
}

#[test]
fn a_token_is_believed_by_its_key_alone() {
    let (key, sign) = on_p256("a");
    let (other, _) = on_p256("a");
    let header = json!({ "alg": "ES256", "kid": "a" });
    let said = json!({ "sub": "ann" });
    let signed = token(&header, &said, &sign);
    let with = |key: &Value| verify(&signed, &keys(&json!({ "keys": [key] })));
    assert_eq!(with(&key), Ok(said.clone()));
    assert_eq!(with(&other), Err(Fault::NoKey));
    // Another that is called the same stands before it.
    let both = json!({ "keys": [{ "kty": "nonsense" }, 7, other, key] });
    assert_eq!(verify(&signed, &keys(&both)), Ok(said.clone()));
    for (field, value) in [
        ("kid", json!("b")),
        ("use", json!("enc")),
        ("alg", json!("RS256")),
        ("crv", json!("P-384")),
        ("y", json!("")),
    ] {
        let mut changed = key.clone();
        changed[field] = value;
        assert_eq!(with(&changed), Err(Fault::NoKey), "{field}");
    }
    let [_, payload, signature] = signed.split('.').collect::<Vec<_>>()[..] else {
        panic!("{signed}")
    };
    let other_header = base64(br#"{"alg":"ES256","kid":"a","x":1}"#);
    let moved = format!("{other_header}.{payload}.{signature}");
    let key = keys(&json!({ "keys": [key] }));
    assert_eq!(verify(&moved, &key), Err(Fault::NoKey));
}

#[test]
fn a_token_does_not_choose_what_its_key_is_taken_for() {
    let (key, sign) = on_p256("a");
    let key = keys(&json!({ "keys": [key] }));
    let said = json!({ "sub": "ann" });
    for alg in ["none", "HS256", "ES384", ""] {
        let forged = token(&json!({ "alg": alg, "kid": "a" }), &said, &sign);
        assert_eq!(verify(&forged, &key), Err(Fault::Algorithm), "{alg}");
    }
    let unsigned = token(&json!({ "alg": "ES256" }), &said, |_| Vec::new());
    assert_eq!(verify(&unsigned, &key), Err(Fault::NoKey));
    let more = json!({ "alg": "ES256", "crit": ["exp"] });
    assert_eq!(
        verify(&token(&more, &said, &sign), &key),
        Err(Fault::Malformed)
    );
    for nonsense in ["", ".", "..", "a.b.c", "e30.e30.", "e30.e30.e30.e30"] {
        assert!(verify(nonsense, &key).is_err(), "{nonsense}");
    }
}

#[test]
fn ed25519_signs_claims() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA",
        "x": base64(pair.public_key().as_ref()) });
    let said = json!({ "sub": "ann" });
    let sign = |message: &[u8]| pair.sign(message).as_ref().to_vec();
    let signed = token(&json!({ "alg": "EdDSA", "kid": "any" }), &said, sign);
    assert_eq!(verify(&signed, &keys(&json!({ "keys": [key] }))), Ok(said));
}

/// The example of RFC 7515 Appendix A.2.
#[test]
fn the_example_of_rfc_7515_is_signed() {
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let key = keys(&json!({ "keys": [{ "kty": "RSA", "n": n, "e": "AQAB" }] }));
    assert_eq!(verify(signed, &key).unwrap()["iss"], "joe");
    let forged = signed.replace("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJqb2Ei");
    assert_eq!(verify(&forged, &key), Err(Fault::NoKey));
}
