use super::{Validate, is_host, is_host_port};
use crate::{
    Account, AccountId, Carrier, CarrierId, Customer, CustomerAuth, CustomerId, Device, DeviceId,
    DigestSecret, Forking, Gateway, GatewayId, LimitSpec, Number, NumberId, NumberTarget,
    OutboundAuth, Rewrite, Route, RouteId, Settings, TransportSpec, User, UserId,
};

#[test]
fn hosts_are_names_or_addresses() {
    for good in [
        "example.com",
        "gw-1.example.com.",
        "localhost",
        "_sip.example.com",
        "10.0.0.1",
    ] {
        assert!(is_host(good), "{good}");
    }
    for good in ["2001:db8::1", "::1"] {
        assert!(is_host(good), "{good}");
    }
    let long = "a".repeat(64);
    for bad in [
        "",
        ".",
        "10.0.0",
        "10.0.0.256",
        "[::1]",
        "a b",
        "-a.com",
        "a..b",
        "a:5060",
        &long,
    ] {
        assert!(!is_host(bad), "{bad}");
    }
}

#[test]
fn host_and_port_wants_brackets_around_ipv6() {
    for good in [
        "example.com",
        "example.com:5060",
        "10.0.0.1:1",
        "[::1]",
        "[2001:db8::1]:65535",
    ] {
        assert!(is_host_port(good), "{good}");
    }
    for bad in [
        "",
        "example.com:",
        "example.com:0",
        "example.com:65536",
        "::1",
        "[::1",
        "[a]:5",
    ] {
        assert!(!is_host_port(bad), "{bad}");
    }
}

/// Fields that complain about a record.
fn complaints(record: &impl Validate) -> Vec<String> {
    record
        .validate()
        .into_iter()
        .map(|error| error.field)
        .collect()
}

#[test]
fn an_account_needs_a_name_and_sane_limits() {
    assert!(complaints(&account()).is_empty());
    for name in ["", "   ", "a\nb", &"x".repeat(65)] {
        assert_eq!(
            complaints(&Account {
                name: name.into(),
                ..account()
            }),
            ["name"],
            "{name:?}"
        );
    }
    assert!(
        complaints(&Account {
            name: "ä".repeat(64),
            ..account()
        })
        .is_empty()
    );
    let limits = LimitSpec {
        cps: Some(1_000_001),
        channels: Some(u32::MAX),
    };
    assert_eq!(
        complaints(&Account {
            limits,
            ..account()
        }),
        ["limits.cps", "limits.channels"]
    );
    let limits = LimitSpec {
        cps: Some(0),
        channels: Some(0),
    };
    assert!(
        complaints(&Account {
            limits,
            ..account()
        })
        .is_empty(),
        "0 shuts an entity off"
    );
}

#[test]
fn a_user_name_needs_no_escaping_in_a_uri() {
    assert!(complaints(&user()).is_empty());
    for name in [
        "",
        "a b",
        "a@b",
        "a:b",
        "a;b",
        "ä",
        "a\"b",
        "<a>",
        "a/b",
        &"x".repeat(65),
    ] {
        assert_eq!(
            complaints(&User {
                name: name.into(),
                ..user()
            }),
            ["name"],
            "{name:?}"
        );
    }
    for name in ["alice", "100", "+4930123", "a.b-c_d", "*600"] {
        assert!(
            complaints(&User {
                name: name.into(),
                ..user()
            })
            .is_empty(),
            "{name:?}"
        );
    }
}

#[test]
fn a_user_s_other_fields_have_their_ranges() {
    for number in ["", "+", "abc", "12 34", &"1".repeat(33)] {
        let user = User {
            caller_number: Some(number.into()),
            ..user()
        };
        assert_eq!(complaints(&user), ["caller_number"], "{number:?}");
    }
    assert_eq!(
        complaints(&User {
            ring_timeout_s: 4,
            ..user()
        }),
        ["ring_timeout_s"]
    );
    assert_eq!(
        complaints(&User {
            contacts_max: 101,
            ..user()
        }),
        ["contacts_max"]
    );
    assert_eq!(
        complaints(&User {
            display_name: "a\r\nb".into(),
            ..user()
        }),
        ["display_name"]
    );
    let secret = DigestSecret {
        md5: "A".repeat(32),
        sha256: "a".repeat(63),
    };
    assert_eq!(
        complaints(&User { secret, ..user() }),
        ["secret.md5", "secret.sha256"]
    );
}

#[test]
fn a_device_needs_a_name_to_authenticate_by() {
    let device = |auth_name: &str| Device {
        id: DeviceId::from_bits(1),
        user: UserId::from_bits(1),
        name: "desk".into(),
        auth_name: auth_name.into(),
        secret: secret(),
        enabled: true,
    };
    assert!(complaints(&device("desk-1")).is_empty());
    assert_eq!(complaints(&device("desk 1")), ["auth_name"]);
}

#[test]
fn a_number_is_digits_with_or_without_plus() {
    let number = |digits: &str| Number {
        id: NumberId::from_bits(1),
        account: AccountId::from_bits(1),
        number: digits.into(),
        target: NumberTarget::Echo,
        enabled: true,
        limits: LimitSpec::default(),
    };
    for good in ["600", "+4930123456", "4930123456"] {
        assert!(complaints(&number(good)).is_empty(), "{good}");
    }
    for bad in ["", "+", "++49", "49-30", "49+30"] {
        assert_eq!(complaints(&number(bad)), ["number"], "{bad}");
    }
}

#[test]
fn a_customer_s_networks_are_some_but_not_everybody() {
    let customer = |networks: &[&str]| Customer {
        id: CustomerId::from_bits(1),
        account: AccountId::from_bits(1),
        name: "pbx".into(),
        auth: CustomerAuth::Address {
            networks: networks.iter().map(|net| net.parse().unwrap()).collect(),
        },
        host: Some("[2001:db8::1]:5060".into()),
        rewrite: Rewrite::default(),
        media: None,
        media_zone: None,
        enabled: true,
        limits: LimitSpec::default(),
    };
    assert!(complaints(&customer(&["192.0.2.0/24", "2001:db8::/32"])).is_empty());
    assert_eq!(complaints(&customer(&[])), ["auth.networks"]);
    assert_eq!(
        complaints(&customer(&["192.0.2.1/32", "::/0"])),
        ["auth.networks"]
    );
    let by_certificate = |names: &[&str]| Customer {
        auth: CustomerAuth::Certificate {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        },
        ..customer(&[])
    };
    assert!(complaints(&by_certificate(&["pbx.example", "pbx-2.example"])).is_empty());
    for wrong in [
        &[][..],
        &["*.example"],
        &["PBX.example"],
        &["192.0.2.1"],
        &["a.example", "a.example"],
    ] {
        assert_eq!(
            complaints(&by_certificate(wrong)),
            ["auth.names"],
            "{wrong:?}"
        );
    }
    let by_digest = Customer {
        auth: CustomerAuth::Digest {
            auth_name: "a b".into(),
            secret: DigestSecret::default(),
        },
        host: Some("::1".into()),
        ..customer(&[])
    };
    let fields = [
        "auth.auth_name",
        "auth.secret.md5",
        "auth.secret.sha256",
        "host",
    ];
    assert_eq!(complaints(&by_digest), fields);
}

#[test]
fn a_gateway_s_fields_have_their_ranges() {
    assert!(complaints(&gateway()).is_empty());
    assert_eq!(
        complaints(&Gateway {
            host: "[::1]".into(),
            ..gateway()
        }),
        ["host"]
    );
    assert_eq!(
        complaints(&Gateway {
            port: Some(0),
            ..gateway()
        }),
        ["port"]
    );
    assert_eq!(
        complaints(&Gateway {
            ping_interval_s: 1,
            ..gateway()
        }),
        ["ping_interval_s"]
    );
    let impatient = Gateway {
        no_answer_timeout_ms: 100,
        ..gateway()
    };
    assert_eq!(complaints(&impatient), ["no_answer_timeout_ms"]);
    let auth = OutboundAuth {
        username: "a\"b".into(),
        password: String::new(),
    };
    let fields = ["auth.username", "auth.password"];
    assert_eq!(
        complaints(&Gateway {
            auth: Some(auth),
            ..gateway()
        }),
        fields
    );
}

#[test]
fn a_carrier_and_a_route_judge_their_rewriting() {
    let rewrite = Rewrite {
        strip_digits: 33,
        prepend: "0x".into(),
    };
    let carrier = Carrier {
        id: CarrierId::from_bits(1),
        account: None,
        name: String::new(),
        rewrite: rewrite.clone(),
        media: None,
        media_zone: None,
        enabled: true,
        record: false,
        dtmf: crate::DtmfMode::default(),
        limits: LimitSpec::default(),
    };
    assert_eq!(
        complaints(&carrier),
        ["name", "rewrite.strip_digits", "rewrite.prepend"]
    );
    let route = |prefix: &str, rewrite: Rewrite| Route {
        id: RouteId::from_bits(1),
        account: None,
        prefix: prefix.into(),
        carrier: carrier.id,
        priority: 0,
        cost_per_minute_micros: 0,
        rewrite,
        media_zone: None,
        enabled: true,
    };
    assert_eq!(complaints(&route("+49", rewrite))[0], "prefix");
    let good = Rewrite {
        strip_digits: 2,
        prepend: "+00*31#".into(),
    };
    assert!(complaints(&route("", good)).is_empty());
}

#[test]
fn settings_keep_to_their_ranges_and_to_each_other() {
    let judged = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        complaints(&settings)
    };
    assert!(judged(|_| {}).is_empty(), "the defaults are valid");
    assert!(judged(|s| (s.session_expires_s, s.media_timeout_s) = (0, 0)).is_empty());
    assert_eq!(judged(|s| s.domain = String::new()), ["domain"]);
    assert_eq!(
        judged(|s| s.overflow.peers = vec!["10.0.0.1:5060".into(), "a b".into()]),
        ["overflow.peers"]
    );
    assert_eq!(
        judged(|s| s.overflow.peers = vec!["10.0.0.1".into(); 17]),
        ["overflow.peers"]
    );
    assert_eq!(
        judged(|s| s.overflow.retry_after_s = 3_601),
        ["overflow.retry_after_s"]
    );
    assert_eq!(
        judged(|s| s.call_duration_max_s = 0),
        ["call_duration_max_s"]
    );
    assert_eq!(
        judged(|s| s.dispatchers = vec!["0.0.0.0/0".parse().unwrap()]),
        ["dispatchers"]
    );
    assert_eq!(judged(|s| s.ring_timeout_s = 601), ["ring_timeout_s"]);
    assert_eq!(
        judged(|s| s.gateway_timeout_ms = 10),
        ["gateway_timeout_ms"]
    );
    assert_eq!(judged(|s| s.contacts_max = 0), ["contacts_max"]);
    assert_eq!(judged(|s| s.media_timeout_s = 4), ["media_timeout_s"]);
    assert_eq!(
        judged(|s| s.keep_alive_interval_s = 1),
        ["keep_alive_interval_s"]
    );
    assert_eq!(
        judged(|s| s.session_expires_min_s = 89),
        ["session_expires_min_s"]
    );
    assert_eq!(judged(|s| s.session_expires_s = 89), ["session_expires_s"]);
    assert_eq!(
        judged(|s| s.session_expires_min_s = 1_801),
        ["session_expires_s"]
    );
    assert_eq!(judged(|s| s.registration_min_s = 0), ["registration_min_s"]);
    assert_eq!(
        judged(|s| s.registration_default_s = 59),
        ["registration_default_s"]
    );
    assert_eq!(
        judged(|s| s.registration_default_s = 3_601),
        ["registration_default_s"]
    );
}

#[test]
fn a_complaint_says_what_would_be_accepted() {
    let errors = Settings {
        session_expires_s: 89,
        ..Settings::default()
    }
    .validate();
    assert_eq!(
        errors[0].message,
        "90 to 86400 is accepted, and 0, which switches session timers off"
    );
}

fn account() -> Account {
    Account {
        id: AccountId::from_bits(1),
        name: "main".into(),
        enabled: true,
        music_on_hold: None,
        limits: LimitSpec::default(),
    }
}

fn user() -> User {
    User {
        id: UserId::from_bits(1),
        account: AccountId::from_bits(1),
        name: "alice".into(),
        display_name: String::new(),
        caller_number: None,
        secret: secret(),
        enabled: true,
        contacts_max: 0,
        forking: Forking::Parallel,
        ring_timeout_s: 0,
        record: false,
        dtmf: crate::DtmfMode::default(),
        limits: LimitSpec::default(),
    }
}

#[test]
fn a_media_server_is_controlled_at_an_address_with_a_port() {
    let server = |control: &str| crate::MediaServer {
        id: crate::MediaServerId::from_bits(1),
        name: "m1".into(),
        control: control.into(),
        aliases: vec!["rtp1.example.net".into(), "192.0.2.7".into()],
        zone: String::new(),
        weight: 1,
        enabled: true,
        draining: false,
        public_address: Some("192.0.2.8".parse().unwrap()),
    };
    for good in [
        "udp:192.0.2.1:2223",
        "udp:[2001:db8::1]:2223",
        "udp:m1.example.net:9",
    ] {
        assert!(complaints(&server(good)).is_empty(), "{good}");
    }
    for bad in [
        "192.0.2.1:2223",
        "tcp:192.0.2.1:2223",
        "udp:192.0.2.1",
        "udp:[2001:db8::1]",
        "udp:m1:",
        "udp:m1:0",
        "udp:",
    ] {
        assert_eq!(complaints(&server(bad)), ["control"], "{bad}");
    }
    let server = crate::MediaServer {
        aliases: vec!["not a host".into()],
        public_address: Some("0.0.0.0".parse().unwrap()),
        ..server("udp:192.0.2.1:2223")
    };
    assert_eq!(complaints(&server), ["aliases", "public_address"]);
}

fn gateway() -> Gateway {
    Gateway {
        id: GatewayId::from_bits(1),
        carrier: CarrierId::from_bits(1),
        name: "gw".into(),
        host: "2001:db8::1".into(),
        port: Some(65_535),
        transport: Some(TransportSpec::Tls),
        priority: 0,
        weight: 0,
        ping_interval_s: 0,
        no_answer_timeout_ms: 0,
        auth: None,
        registration: None,
        inbound: true,
        enabled: true,
        limits: LimitSpec::default(),
    }
}

fn secret() -> DigestSecret {
    DigestSecret {
        md5: "0".repeat(32),
        sha256: "f".repeat(64),
    }
}
