//! Session keys from a master key: RFC 3711 §4.3 with a key derivation rate of 0, so once.

use aes::cipher::{KeyIvInit, StreamCipher};
use aes::{Aes128, Aes256};
use ctr::Ctr128BE;

use super::MasterKey;

/// What a derived key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    RtpCipher = 0,
    RtpAuth = 1,
    RtpSalt = 2,
    RtcpCipher = 3,
    RtcpAuth = 4,
    RtcpSalt = 5,
}

/// Fills `out` with the key for a purpose.
pub(super) fn derive(master: &MasterKey, label: Label, out: &mut [u8]) {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(&master.salt());
    iv[7] ^= label as u8;
    out.fill(0);
    if let Ok(key) = <&[u8; 16]>::try_from(master.key()) {
        Ctr128BE::<Aes128>::new(key.into(), &iv.into()).apply_keystream(out);
    } else if let Ok(key) = <&[u8; 32]>::try_from(master.key()) {
        Ctr128BE::<Aes256>::new(key.into(), &iv.into()).apply_keystream(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::Suite;
    use crate::srtp::tests::hex;

    #[test]
    fn derives_the_keys_of_rfc_3711_b3() {
        let material = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        let master = MasterKey::new(Suite::AesCm128HmacSha1_80, &material).expect("a key");
        let derived = |label, bytes: usize| {
            let mut out = vec![0; bytes];
            derive(&master, label, &mut out);
            out
        };
        assert_eq!(
            derived(Label::RtpCipher, 16),
            hex("C61E7A93744F39EE10734AFE3FF7A087")
        );
        assert_eq!(
            derived(Label::RtpSalt, 14),
            hex("30CBBC08863D8C85D49DB34A9AE1")
        );
        assert_eq!(
            derived(Label::RtpAuth, 94),
            hex(
                "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE \
                 E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25 \
                 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2"
            )
        );
    }
}
