//! Overload control as Via parameters carry it (RFC 7339 §4).

use std::time::Duration;

use balancer::{Loss, OVERLOAD_VALIDITY};
use sip::Via;

/// What a target says in the Via we gave it; `None` if it says nothing, or speaks an algorithm
/// we did not offer.
pub(crate) fn wish(via: &Via<'_>) -> Option<Loss> {
    let percent: u32 = via.params.value("oc").and_then(sip::lex::number)?;
    if let Some(algorithm) = via.params.value("oc-algo")
        && !sip::lex::unquote(algorithm).eq_ignore_ascii_case(b"loss")
    {
        return None;
    }
    let validity = via.params.value("oc-validity");
    let validity = validity.and_then(sip::lex::number::<u32>);
    let sequence = via.params.value("oc-seq");
    Some(Loss {
        percent: percent.min(100) as u8,
        validity: validity.map_or(OVERLOAD_VALIDITY, |ms| Duration::from_millis(ms.into())),
        sequence: sequence.and_then(thousandths).unwrap_or(0),
    })
}

/// A decimal number with a fraction, in thousandths: `1282321615.782`.
fn thousandths(text: &[u8]) -> Option<u64> {
    let dot = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
    let whole: u64 = sip::lex::number(&text[..dot])?;
    let fraction = text.get(dot + 1..).unwrap_or_default();
    let mut sum = whole.checked_mul(1_000)?;
    for (digit, place) in fraction.iter().zip([100, 10, 1]) {
        let digit = u64::from(digit.checked_sub(b'0').filter(|d| *d < 10)?);
        sum = sum.checked_add(digit * place)?;
    }
    Some(sum)
}

/// Whether whoever wrote a Via understands such wishes: an `oc` without value (RFC 7339 §4.1).
pub(crate) fn is_understood(via: &Via<'_>) -> bool {
    via.params.find("oc") == Some(None)
}

/// What we say to the one who understands, behind its Via value.
pub(crate) fn parameters(percent: u8, now: clock::Time) -> String {
    let validity_ms = OVERLOAD_VALIDITY.as_millis();
    let (seconds, ms) = (now.as_secs(), now.as_millis() % 1_000);
    format!(";oc={percent};oc-algo=\"loss\";oc-validity={validity_ms};oc-seq={seconds}.{ms:03}")
}

/// What we say of ourselves in our Via.
pub(crate) const OFFER: &[u8] = b";oc;oc-algo=\"loss\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_with_its_validity_and_sequence() {
        let via = |text: &'static str| Via::parse(text.as_bytes()).expect("a Via");
        let said = wish(&via(
            "SIP/2.0/UDP a;branch=b;oc=20;oc-algo=\"loss\";oc-validity=1500;oc-seq=1282321615.782",
        ));
        let wanted = Loss {
            percent: 20,
            validity: Duration::from_millis(1_500),
            sequence: 1_282_321_615_782,
        };
        assert_eq!(said, Some(wanted));
        assert_eq!(
            wish(&via("SIP/2.0/UDP a;branch=b;oc;oc-algo=\"loss\"")),
            None
        );
        assert_eq!(wish(&via("SIP/2.0/UDP a;oc=20;oc-algo=\"rate\"")), None);
        assert_eq!(wish(&via("SIP/2.0/UDP a;oc=7")).map(|l| l.percent), Some(7));
        let endless = wish(&via("SIP/2.0/UDP a;oc=7;oc-seq=18446744073709551.999"));
        assert_eq!(endless.map(|l| l.sequence), Some(0));
        assert!(is_understood(&via(
            "SIP/2.0/UDP a;branch=b;oc;oc-algo=\"loss\""
        )));
        assert!(!is_understood(&via("SIP/2.0/UDP a;branch=b;oc=0")));
    }
}
