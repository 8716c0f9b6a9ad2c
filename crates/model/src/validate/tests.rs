use super::{is_host, is_host_port};

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
