use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};

use super::*;

/// 2030-01-01.
const NOW_US: u64 = 1_893_456_000_000_000;

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A chain of two and the key of its first, with what a test changes.
fn pair(change: impl FnOnce(&mut CertificateParams)) -> (String, String, String) {
    let issuer = authority("an authority");
    let mut params = CertificateParams::new(vec!["sip.example.com".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "own");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let own = params.signed_by(&key, &issuer).unwrap().pem();
    (own, issuer.pem(), key.serialize_pem())
}

fn server(chain: &str, key: &str) -> Result<CertificateFacts, PairError> {
    inspect(chain, key, CertificateKind::Server, NOW_US)
}

#[test]
fn a_chain_that_fits_its_key_says_what_it_is_for() {
    let (own, issuer, key) = pair(|params| {
        params.not_before = date_time_ymd(2029, 12, 1);
        params.not_after = date_time_ymd(2030, 3, 1);
    });
    let facts = server(&format!("{own}{issuer}"), &key).unwrap();
    assert_eq!(facts.names, ["sip.example.com"]);
    assert!(facts.issuer.contains("CN=an authority"), "{}", facts.issuer);
    assert_eq!(
        facts.not_after_us - facts.not_before_us,
        90 * 86_400_000_000
    );
    assert_eq!(facts.fingerprint.len(), 64);
}

#[test]
fn a_key_of_another_certificate_is_told_from_one_of_the_chain() {
    let (own, issuer, key) = pair(|_| {});
    let (_, _, other) = pair(|_| {});
    assert_eq!(server(&own, &other), Err(PairError::KeyMismatch));
    let turned = format!("{issuer}{own}");
    assert_eq!(
        server(&turned, &key),
        Err(PairError::KeyOfOther { place: 2 })
    );
}

#[test]
fn a_chain_with_a_gap_is_refused_with_the_name_of_who_is_missing() {
    let (own, _, key) = pair(|_| {});
    let stranger = authority("a stranger").pem();
    let refused = server(&format!("{own}{stranger}"), &key).unwrap_err();
    let said = refused.to_string();
    assert!(said.contains("issued by CN=an authority"), "{said}");
    assert!(said.contains("is of CN=a stranger"), "{said}");
}

#[test]
fn what_is_over_or_has_not_begun_is_refused() {
    let (over, _, key) = pair(|params| params.not_after = date_time_ymd(2029, 12, 31));
    assert!(matches!(server(&over, &key), Err(PairError::Expired(_))));
    let (early, _, key) = pair(|params| params.not_before = date_time_ymd(2030, 1, 2));
    assert!(matches!(server(&early, &key), Err(PairError::NotYet(_))));
}

#[test]
fn it_is_only_used_for_what_it_was_issued_for() {
    let (own, _, key) = pair(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let refused = server(&own, &key).unwrap_err();
    assert!(refused.to_string().contains("kind client"), "{refused}");
    inspect(&own, &key, CertificateKind::Client, NOW_US).unwrap();
    let (nameless, _, key) = pair(|params| params.subject_alt_names.clear());
    assert_eq!(server(&nameless, &key), Err(PairError::NoNames));
    inspect(&nameless, &key, CertificateKind::Client, NOW_US).unwrap();
}

#[test]
fn what_is_no_pem_is_refused_by_field() {
    let (own, _, key) = pair(|_| {});
    assert_eq!(server("nonsense", &key), Err(PairError::NoCertificate));
    assert_eq!(server(&own, "nonsense"), Err(PairError::NoKey));
    assert_eq!(server(&own, &own), Err(PairError::NoKey));
    let sealed =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let refused = server(&own, sealed).unwrap_err();
    assert_eq!(
        (refused.field(), &refused),
        ("key", &PairError::EncryptedKey)
    );
    let (head, _) = own.split_at(own.len() / 2);
    assert_eq!(server(head, &key).unwrap_err().field(), "chain");
    let many = own.repeat(CHAIN_MAX + 1);
    assert_eq!(server(&many, &key), Err(PairError::TooLong));
}
