//! The suites, by the names of SDP (RFC 4568 §6.2, RFC 7714 §14.2), and master keys.

use core::fmt;

/// What packets are protected with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES in counter mode with 128 bits, HMAC-SHA1 cut to 80 bits.
    AesCm128HmacSha1_80,
    /// The same, with RTP's tag cut to 32 bits; RTCP keeps 80 (RFC 3711 §5.2, RFC 4568 §6.2.2).
    AesCm128HmacSha1_32,
    /// AES-GCM with 128 bits.
    AeadAes128Gcm,
    /// AES-GCM with 256 bits.
    AeadAes256Gcm,
}

impl Suite {
    /// Each once; best known first.
    pub const ALL: [Self; 4] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// The name in `a=crypto`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of a name in `a=crypto`, whatever the case.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let is = |suite: &Self| name.eq_ignore_ascii_case(suite.name().as_bytes());
        Self::ALL.into_iter().find(is)
    }

    /// Length of the master key.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
        }
    }

    /// Length of the master salt.
    #[must_use]
    pub const fn salt_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Length of both, as they stand behind each other in `a=crypto`.
    #[must_use]
    pub const fn material_bytes(self) -> usize {
        self.key_bytes() + self.salt_bytes()
    }
}

/// A master key with its salt, and what it is used for. It is never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    /// Key, then salt, then zeros.
    material: [u8; MATERIAL_BYTES_MAX],
}

impl MasterKey {
    /// A key from its bytes, the salt behind the key; `None` if they are not as many as the
    /// suite wants.
    #[must_use]
    pub fn new(suite: Suite, material: &[u8]) -> Option<Self> {
        if material.len() != suite.material_bytes() {
            return None;
        }
        let mut bytes = [0; MATERIAL_BYTES_MAX];
        bytes[..material.len()].copy_from_slice(material);
        Some(Self {
            suite,
            material: bytes,
        })
    }

    /// What it is used for.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The key and the salt behind it.
    #[must_use]
    pub fn material(&self) -> &[u8] {
        &self.material[..self.suite.material_bytes()]
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.material[..self.suite.key_bytes()]
    }

    /// The salt in 112 bits; a shorter one has zeros behind it (RFC 7714 §11).
    pub(super) fn salt(&self) -> [u8; 14] {
        let mut salt = [0; 14];
        let own = &self.material()[self.suite.key_bytes()..];
        salt[..own.len()].copy_from_slice(own);
        salt
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

const MATERIAL_BYTES_MAX: usize = 46;
