//! Any bytes as a URI and as an address.

use sip::{NameAddr, Uri};

pub(crate) fn run(input: &[u8]) {
    if let Ok(uri) = Uri::parse(input) {
        assert!(uri.is_equivalent(&uri));
        let _ = (uri.host_ip(), uri.transport(), uri.user_unescaped());
        assert_eq!(Uri::parse(uri.raw), Ok(uri));
        for (name, value) in uri.params.iter() {
            assert!(name.len() + value.map_or(0, <[u8]>::len) < input.len());
        }
    }
    if let Ok(address) = NameAddr::parse(input) {
        let _ = (address.tag(), address.params.iter().count());
        if let Ok(uri) = address.parsed_uri() {
            let bracketed = [b"<", uri.raw, b">"].concat();
            let again = NameAddr::parse(&bracketed).expect("a good URI in brackets");
            assert_eq!(again.uri, uri.raw);
        }
    }
    // The first two lines as two URIs: equivalence goes both ways.
    let mut lines = input.split(|b| *b == b'\n');
    let (a, b) = (lines.next().unwrap_or(b""), lines.next().unwrap_or(b""));
    if let (Ok(a), Ok(b)) = (Uri::parse(a), Uri::parse(b)) {
        assert_eq!(a.is_equivalent(&b), b.is_equivalent(&a));
    }
}
