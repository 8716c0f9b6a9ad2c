//! Every record is read from JSON as it was written, and an identifier from its text.

use core::fmt::Debug;

use ipnet::IpNet;
use model::{
    Account, AccountId, AfterUpload, ApiToken, BucketAddressing, CallId, Carrier, CarrierId, Cdr,
    CdrLegMedia, CdrOutcome, Customer, CustomerAuth, CustomerId, Device, DeviceId, DigestOffer,
    DigestSecret, EndedBy, Forking, Gateway, GatewayId, GatewayRegistration, IdError, KeepAlive,
    LimitSpec, MediaMode, MusicOver, Number, NumberId, NumberTarget, OutboundAuth, Overflow,
    RecordingFormat, RecordingStore, Rewrite, Role, Route, RouteId, Settings, TokenId,
    TransportSpec, User, UserId, ZoneId,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    record: &T,
) -> Result<(), TestCaseError> {
    let text = serde_json::to_string(record).expect("records are JSON");
    prop_assert_eq!(&serde_json::from_str::<T>(&text).expect(&text), record);
    let value = serde_json::to_value(record).expect("records are JSON");
    prop_assert_eq!(&serde_json::from_value::<T>(value).expect(&text), record);
    Ok(())
}

proptest! {
    #[test]
    fn identifiers(bits in any::<u128>()) {
        let id = CallId::from_bits(bits);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(id.to_string().parse::<UserId>(), Err(IdError::Prefix { expected: "usr" }));
        survives(&id)?;
    }

    #[test]
    fn identifiers_sort_as_their_texts(one in any::<u128>(), other in any::<u128>()) {
        let (one, other) = (UserId::from_bits(one), UserId::from_bits(other));
        prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
    }

    #[test]
    fn accounts(id in any::<u128>(), name in ".*", enabled: bool, limits in limits()) {
        survives(&Account {
            id: AccountId::from_bits(id),
            music_on_hold: enabled.then(|| name.clone()),
            name,
            enabled,
            limits,
        })?;
    }

    #[test]
    fn users(
        id in any::<u128>(),
        texts in any::<[String; 3]>(),
        caller_number in any::<Option<String>>(),
        numbers in any::<(u16, u16, bool, bool)>(),
        limits in limits(),
    ) {
        let [name, display_name, md5] = texts;
        let (contacts_max, ring_timeout_s, enabled, sequential) = numbers;
        survives(&User {
            id: UserId::from_bits(id),
            account: AccountId::from_bits(id),
            name,
            display_name,
            caller_number,
            secret: DigestSecret { md5, sha256: String::new() },
            enabled,
            contacts_max,
            forking: if sequential { Forking::Sequential } else { Forking::Parallel },
            ring_timeout_s,
            record: enabled,
            dtmf: if enabled { model::DtmfMode::Info } else { model::DtmfMode::Rfc4733 },
            limits,
        })?;
    }

    #[test]
    fn devices(id in any::<u128>(), texts in any::<[String; 3]>(), enabled: bool) {
        let [name, auth_name, sha256] = texts;
        let (user, id) = (UserId::from_bits(!id), DeviceId::from_bits(id));
        let secret = DigestSecret { md5: String::new(), sha256 };
        survives(&Device { id, user, name, auth_name, secret, enabled })?;
    }

    #[test]
    fn numbers(id in any::<u128>(), number in ".*", kind in 0..3, limits in limits()) {
        let target = match kind {
            0 => NumberTarget::User { user: UserId::from_bits(id) },
            1 => NumberTarget::Customer { customer: CustomerId::from_bits(id) },
            _ => NumberTarget::Echo,
        };
        let (account, id) = (AccountId::from_bits(!id), NumberId::from_bits(id));
        survives(&Number { id, account, number, target, enabled: true, limits })?;
    }

    #[test]
    fn customers(
        id in any::<u128>(),
        texts in any::<[String; 3]>(),
        host in any::<Option<String>>(),
        networks in prop::option::of(prop::collection::vec(network(), 0..4)),
        rewrite in rewrite(),
    ) {
        let [name, auth_name, md5] = texts;
        let auth = match networks {
            Some(networks) => CustomerAuth::Address { networks },
            None => CustomerAuth::Digest {
                auth_name,
                secret: DigestSecret { md5, sha256: String::new() },
            },
        };
        survives(&Customer {
            id: CustomerId::from_bits(id),
            account: AccountId::from_bits(id),
            name,
            auth,
            host,
            rewrite,
            media: Some(MediaMode::Bypass),
            media_zone: Some("London".into()),
            enabled: false,
            limits: LimitSpec::default(),
        })?;
    }

    #[test]
    fn carriers_and_routes(
        id in any::<u128>(),
        account in any::<Option<u128>>(),
        texts in any::<[String; 2]>(),
        cost in any::<u64>(),
        rewrite in rewrite(),
        limits in limits(),
    ) {
        let [name, prefix] = texts;
        let carrier = CarrierId::from_bits(id);
        let account = account.map(AccountId::from_bits);
        survives(&Route {
            id: RouteId::from_bits(id),
            account,
            prefix,
            carrier,
            priority: 7,
            cost_per_minute_micros: cost,
            rewrite: rewrite.clone(),
            media_zone: Some("Tokyo".into()),
            enabled: true,
        })?;
        let (media, media_zone, enabled, record) = (None, None, true, true);
        survives(&Carrier { id: carrier, account, name, rewrite, media, media_zone, enabled, record, dtmf: model::DtmfMode::Inband, limits })?;
    }

    #[test]
    fn gateways(
        id in any::<u128>(),
        texts in any::<[String; 4]>(),
        port in any::<Option<u16>>(),
        transport in prop::option::of(transport()),
        numbers in any::<(u16, u16, u16, u32)>(),
        limits in limits(),
    ) {
        let [name, host, username, password] = texts;
        let (priority, weight, ping_interval_s, no_answer_timeout_ms) = numbers;
        survives(&Gateway {
            id: GatewayId::from_bits(id),
            carrier: CarrierId::from_bits(id),
            name,
            host,
            port,
            transport,
            priority,
            weight,
            ping_interval_s,
            no_answer_timeout_ms,
            auth: port.map(|_| OutboundAuth { username, password }),
            registration: port.map(|_| GatewayRegistration {
                user: None,
                domain: Some("example.com".into()),
                contact: Some("[2001:db8::1]:5060".into()),
                expiry_s: 300,
            }),
            inbound: false,
            enabled: true,
            limits,
        })?;
    }

    #[test]
    fn settings(
        domain in ".*",
        peers in any::<Vec<String>>(),
        seconds in any::<[u32; 8]>(),
        short in any::<[u16; 5]>(),
        flag: bool,
        limits in limits(),
        texts in any::<(Option<String>, [String; 3])>(),
    ) {
        let (endpoint, [bucket, region, prefix]) = texts;
        survives(&Settings {
            domain,
            digest: DigestOffer::Both,
            limits,
            overflow: Overflow { peers, retry_after_s: short[0] },
            dispatchers: flag.then(|| "10.0.0.0/8".parse().unwrap()).into_iter().collect(),
            media: if flag { MediaMode::Relay } else { MediaMode::Bypass },
            call_duration_max_s: seconds[0],
            ring_timeout_s: short[1],
            gateway_timeout_ms: seconds[1],
            session_expires_s: seconds[2],
            session_expires_min_s: seconds[3],
            media_timeout_s: seconds[4],
            registration_min_s: seconds[5],
            registration_max_s: seconds[6],
            registration_default_s: seconds[7],
            contacts_max: short[2],
            keep_alive: if flag { KeepAlive::Options } else { KeepAlive::Empty },
            keep_alive_interval_s: short[3],
            verify_bindings: flag,
            music_on_hold: flag.then(|| "/music.wav".to_owned()),
            music_on_hold_over: if flag { MusicOver::Everything } else { MusicOver::Silence },
            cdr_retention_days: short[4],
            recording_format: if flag { RecordingFormat::Wav } else { RecordingFormat::Opus },
            recording_store: RecordingStore {
                endpoint,
                bucket,
                region,
                addressing: if flag { BucketAddressing::Path } else { BucketAddressing::Host },
                prefix,
                after_upload: if flag { AfterUpload::Keep } else { AfterUpload::Delete },
            },
            hep_collector: flag.then(|| "h:9060".to_owned()),
            hep_transport: if flag { model::HepTransport::Tcp } else { model::HepTransport::Udp },
            hep_node_id: seconds[0],
            hep_sip: flag,
            trace: model::TraceSettings {
                mode: if flag { model::TraceMode::Full } else { model::TraceMode::Headers },
                registrations: flag,
                keep_alives: !flag,
                texts: if flag { model::TraceTexts::Keep } else { model::TraceTexts::Hide },
                days: short[0],
                megabytes: seconds[1],
                hep_listen: flag.then(|| "10.0.0.1:9060".parse().unwrap()),
                hep_sources: flag.then(|| "10.0.0.0/8".parse().unwrap()).into_iter().collect(),
            },
            alerts: model::AlertSettings {
                down_s: seconds[2],
                headroom_percent: short[1],
                email: model::AlertEmail { to: vec!["a@example.com".into()], ..Default::default() },
                webhook: flag.then(|| "https://h/".to_owned()),
                ..Default::default()
            },
            acme: model::AcmeSettings {
                directory: flag.then(|| "https://h/dir".to_owned()),
                terms_agreed: flag,
                contact: None,
                http_port: short[1],
                dns: model::AcmeDns {
                    server: flag.then(|| "ns:53".to_owned()),
                    settle_s: short[0],
                    ..Default::default()
                },
            },
            oidc: model::OidcSettings {
                issuer: flag.then(|| "https://h/oidc".to_owned()),
                newcomers: model::Newcomers::Make,
                rules: vec![model::OidcRule {
                    claim: "groups".into(),
                    value: "ops".into(),
                    role: Role::Operator,
                    account: flag.then(|| AccountId::from_bits(short[1].into())),
                    zones: vec![ZoneId::from_bits(short[1].into())],
                }],
                ..model::OidcSettings::default()
            },
        })?;
    }

    #[test]
    fn tokens(id in any::<u128>(), name in ".*", times in any::<(u64, Option<u64>)>()) {
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            survives(&ApiToken {
                id: TokenId::from_bits(id),
                name: name.clone(),
                role,
                created_us: times.0,
                last_used_us: times.1,
                expires_us: times.1.map(|us| us / 2),
                account: times.1.map(|us| AccountId::from_bits(us.into())),
                zones: times.1.map(|us| ZoneId::from_bits(us.into())).into_iter().collect(),
                scopes: vec!["users:read".into()],
            })?;
        }
    }

    #[test]
    fn cdrs(
        id in any::<u128>(),
        texts in any::<[String; 4]>(),
        times in any::<(u64, Option<u64>, Option<u64>, u64)>(),
        media in prop::option::of(media()),
        outcome in outcome(),
    ) {
        let [caller, called, sip_call_id, reason] = texts;
        let (start_us, ring_us, answer_us, end_us) = times;
        survives(&Cdr {
            call: CallId::from_bits(id),
            node: "node-1".into(),
            sequence: end_us,
            account: None,
            from_user: Some(UserId::from_bits(id)),
            to_user: None,
            customer: Some(CustomerId::from_bits(id)),
            number: None,
            carrier: Some(CarrierId::from_bits(id)),
            gateway: Some(GatewayId::from_bits(id)),
            caller,
            called,
            destination: String::new(),
            source: "udp:192.0.2.1:5060".into(),
            sip_call_id,
            sip_call_id_b: String::new(),
            start_us,
            ring_us,
            answer_us,
            end_us,
            outcome,
            status: 487,
            reason,
            ended_by: EndedBy::Caller,
            attempts: 2,
            media_a: media,
            media_b: None,
            recordings: vec!["a-1.wav".into()],
        })?;
    }
}

#[test]
fn what_may_be_left_out_has_its_default() {
    let account: Account =
        serde_json::from_str(r#"{"id": "acc_01J8ZC7E3V4Q9K2M5N6P7R8S9T", "name": "main"}"#)
            .unwrap();
    assert!(account.enabled);
    assert_eq!(account.limits, LimitSpec::default());
    let settings: Settings = serde_json::from_str(r#"{"ring_timeout_s": 20}"#).unwrap();
    assert_eq!(
        settings,
        Settings {
            ring_timeout_s: 20,
            ..Settings::default()
        }
    );
}

#[test]
fn texts_that_are_no_identifiers_are_refused() {
    for (text, error) in [
        ("", IdError::Prefix { expected: "usr" }),
        (
            "01J8ZC7E3V4Q9K2M5N6P7R8S9T",
            IdError::Prefix { expected: "usr" },
        ),
        ("usr_", IdError::Malformed),
        ("usr_01J8", IdError::Malformed),
        ("usr_01J8ZC7E3V4Q9K2M5N6P7R8S9T0", IdError::Malformed),
        ("usr_81J8ZC7E3V4Q9K2M5N6P7R8S9T", IdError::Malformed),
        ("usr_01J8ZC7E3V4Q9K2M5N6P7R8S9!", IdError::Malformed),
    ] {
        assert_eq!(text.parse::<UserId>(), Err(error), "{text}");
    }
}

fn limits() -> impl Strategy<Value = LimitSpec> {
    any::<(Option<u32>, Option<u32>)>().prop_map(|(cps, channels)| LimitSpec { cps, channels })
}

fn rewrite() -> impl Strategy<Value = Rewrite> {
    (any::<u8>(), ".*").prop_map(|(strip_digits, prepend)| Rewrite {
        strip_digits,
        prepend,
    })
}

fn network() -> impl Strategy<Value = IpNet> {
    (any::<core::net::IpAddr>(), 0..=32u8)
        .prop_map(|(address, len)| IpNet::new(address, len).expect("32 suits both families"))
}

fn transport() -> impl Strategy<Value = TransportSpec> {
    prop::sample::select(vec![
        TransportSpec::Udp,
        TransportSpec::Tcp,
        TransportSpec::Tls,
        TransportSpec::Ws,
        TransportSpec::Wss,
    ])
}

fn outcome() -> impl Strategy<Value = CdrOutcome> {
    prop::sample::select(vec![
        CdrOutcome::Answered,
        CdrOutcome::Busy,
        CdrOutcome::NoAnswer,
        CdrOutcome::Cancelled,
        CdrOutcome::Failed,
    ])
}

fn media() -> impl Strategy<Value = CdrLegMedia> {
    (".*", any::<[u64; 3]>(), any::<u32>(), any::<u16>()).prop_map(
        |(codec, [packets, bytes, lost], jitter_us, mos_centi)| CdrLegMedia {
            codec,
            packets,
            bytes,
            lost,
            jitter_us,
            mos_centi,
            rtt_us: (packets > bytes).then_some(jitter_us),
            mos_course_centi: vec![mos_centi],
            ..CdrLegMedia::default()
        },
    )
}
