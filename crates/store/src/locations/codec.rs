//! Changes and nodes as bytes.

use super::{Location, LocationChange, LocationEnd, LocationEndKind, LocationNode};

/// What stands on a shelf, and what is told to others.
pub(super) fn encode(change: &LocationChange) -> Vec<u8> {
    let mut out = Vec::new();
    match change {
        LocationChange::Saved(location) => {
            out.push(SAVED);
            out.extend_from_slice(&location.key);
            out.extend_from_slice(&location.version.to_be_bytes());
            out.extend_from_slice(&location.expires_us.to_be_bytes());
            out.extend_from_slice(&(location.aor.len() as u32).to_be_bytes());
            out.extend_from_slice(location.aor.as_bytes());
            out.extend_from_slice(&location.body);
        }
        LocationChange::Ended(end) => {
            out.push(match end.kind {
                LocationEndKind::Ended | LocationEndKind::Yielded => ENDED,
                LocationEndKind::Removed => REMOVED,
            });
            out.extend_from_slice(&end.key);
            out.extend_from_slice(&end.version.to_be_bytes());
            out.extend_from_slice(&end.until_us.to_be_bytes());
        }
    }
    out
}

/// `None` for what no node of this version writes.
pub(super) fn decode(bytes: &[u8]) -> Option<LocationChange> {
    let (kind, rest) = bytes.split_first()?;
    let (key, rest) = rest.split_first_chunk::<8>()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (until, rest) = rest.split_first_chunk()?;
    let (version, until_us) = (u64::from_be_bytes(*version), u64::from_be_bytes(*until));
    match *kind {
        SAVED => {
            let (len, rest) = rest.split_first_chunk()?;
            let (aor, body) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
            Some(LocationChange::Saved(Location {
                key: *key,
                version,
                expires_us: until_us,
                aor: String::from_utf8(aor.to_vec()).ok()?,
                body: body.to_vec(),
            }))
        }
        ENDED | REMOVED if rest.is_empty() => Some(LocationChange::Ended(LocationEnd {
            key: *key,
            version,
            until_us,
            kind: match *kind {
                ENDED => LocationEndKind::Ended,
                _ => LocationEndKind::Removed,
            },
        })),
        _ => None,
    }
}

/// `place udp tcp filled key_print`, with `-` for what is not there.
pub(super) fn describe(node: &LocationNode) -> String {
    let text = |address: Option<std::net::SocketAddr>| {
        address.map_or_else(|| NONE.to_owned(), |address| address.to_string())
    };
    let named = |text: &str| match text {
        "" => NONE.to_owned(),
        name => name.to_owned(),
    };
    let (udp, tcp) = (text(node.udp), text(node.tcp));
    let (filled, key_print) = (named(&node.filled), named(&node.key_print));
    format!("{} {udp} {tcp} {filled} {key_print}", node.place)
}

/// Reads [`describe`]'s text.
pub(super) fn read_node(id: &str, text: &str) -> Option<LocationNode> {
    let mut parts = text.split(' ');
    let place = parts.next()?.parse().ok()?;
    let udp = parts.next()?.parse().ok();
    let tcp = parts.next()?.parse().ok();
    let named = |text: &str| match text {
        NONE => String::new(),
        name => name.to_owned(),
    };
    let filled = named(parts.next()?);
    let key_print = named(parts.next()?);
    Some(LocationNode {
        id: id.to_owned(),
        place,
        udp,
        tcp,
        filled,
        key_print,
    })
}

const SAVED: u8 = 1;
const ENDED: u8 = 2;
const REMOVED: u8 = 3;
const NONE: &str = "-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_comes_back_as_it_was_and_a_cut_one_not_at_all() {
        let location = Location {
            key: [7; 8],
            version: 9,
            expires_us: 10,
            aor: "alice@example.com".into(),
            body: vec![1, 2, 3],
        };
        let end = LocationEnd {
            key: [7; 8],
            version: 9,
            until_us: 10,
            kind: LocationEndKind::Removed,
        };
        let ended = LocationEnd {
            kind: LocationEndKind::Ended,
            ..end
        };
        let ends = [end, ended].map(LocationChange::Ended);
        for change in ends.into_iter().chain([LocationChange::Saved(location)]) {
            let bytes = encode(&change);
            assert_eq!(decode(&bytes), Some(change.clone()));
            for len in 0..25 {
                assert_eq!(decode(&bytes[..len]), None, "{len} bytes of {change:?}");
            }
        }
        assert_eq!(decode(&[9; 40]), None);
    }

    #[test]
    fn a_node_comes_back_as_it_was() {
        for filled in ["", "era"] {
            let node = LocationNode {
                id: "n-1".into(),
                place: ([127, 0, 0, 1], 80).into(),
                udp: None,
                tcp: Some(([127, 0, 0, 1], 5060).into()),
                filled: filled.into(),
                key_print: filled.into(),
            };
            assert_eq!(read_node("n-1", &describe(&node)), Some(node));
        }
        assert_eq!(read_node("n-1", "nonsense"), None);
    }
}
