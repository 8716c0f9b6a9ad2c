//! A MOS estimate by the E-model, ITU-T G.107, reduced to what a relay sees.
//!
//! R = 93.2 - Id - Ie,eff with everything but delay and loss at the defaults of G.107: no echo,
//! noise or loudness is known here. Id is the two-piece approximation of G.107's delay curve by
//! Cole and Rosenbluth (2001); Ie,eff is G.107 §7.5 for random loss; MOS from R is G.107 §B.

/// What a codec costs, by ITU-T G.113 Appendix I.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Equipment impairment factor at no loss (Ie).
    pub equipment: f32,
    /// Packet-loss robustness (Bpl).
    pub robustness: f32,
}

impl Impairment {
    /// By the encoding name of `a=rtpmap`, whatever its case.
    ///
    /// G.711 is taken with packet-loss concealment, which phones have. Codecs that G.113 does not
    /// list (Opus, G.722 and other wide-band ones, whose scale ends higher than this one) count
    /// as G.711: the estimate then speaks of the network alone.
    #[must_use]
    pub fn of_codec(name: &str) -> Self {
        let known = TABLE.iter().find(|row| row.0.eq_ignore_ascii_case(name));
        let (equipment, robustness) = known.map_or(G711, |row| (row.1, row.2));
        Self {
            equipment,
            robustness,
        }
    }
}

/// The estimate in hundredths, 100 to 450.
///
/// `lost_fraction` is the part of the packets that was lost, 0 to 1; `jitter_us` is added twice
/// to `delay_us`, the one-way delay from mouth to ear, for the buffer that has to absorb it.
#[must_use]
pub fn mos_centi(codec: Impairment, lost_fraction: f32, jitter_us: u32, delay_us: u32) -> u16 {
    let r = r_factor(codec, lost_fraction, jitter_us, delay_us);
    let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
    (mos * 100.0).round().clamp(100.0, 450.0) as u16
}

/// The R that the estimate comes from, 0 to 100.
#[must_use]
pub fn r_factor(codec: Impairment, lost_fraction: f32, jitter_us: u32, delay_us: u32) -> f32 {
    let delay_ms = (delay_us as f32 + 2.0 * jitter_us as f32) / 1_000.0;
    let delay = 0.024 * delay_ms + 0.11 * (delay_ms - KNEE_MS).max(0.0);
    let loss = 100.0 * lost_fraction.clamp(0.0, 1.0);
    let equipment = codec.equipment + (95.0 - codec.equipment) * loss / (loss + codec.robustness);
    (BEST_R - delay - equipment).clamp(0.0, 100.0)
}

/// R of a connection with all parameters at their defaults.
const BEST_R: f32 = 93.2;
/// Beyond this one-way delay conversation suffers.
const KNEE_MS: f32 = 177.3;
/// G.711 with concealment: Ie and Bpl.
const G711: (f32, f32) = (0.0, 25.1);
/// Encoding name, Ie, Bpl.
const TABLE: [(&str, f32, f32); 4] = [
    ("G729", 11.0, 19.0),
    ("G723", 15.0, 16.1),
    ("GSM-EFR", 5.0, 10.0),
    ("AMR", 5.0, 10.0),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clean_line_is_441_and_g729_less() {
        // R = 93.2 is MOS 4.41 by table B.1 of G.107.
        assert_eq!(mos_centi(Impairment::of_codec("PCMA"), 0.0, 0, 0), 441);
        // R = 82.2.
        assert_eq!(mos_centi(Impairment::of_codec("g729"), 0.0, 0, 0), 410);
    }

    #[test]
    fn five_percent_of_loss_costs_g711_sixteen_points_of_r() {
        // Ie,eff = 95 * 5 / (5 + 25.1) = 15.8, so R = 77.4.
        assert_eq!(mos_centi(Impairment::of_codec("PCMU"), 0.05, 0, 0), 392);
    }

    #[test]
    fn delay_counts_fourfold_beyond_the_knee() {
        let at = |ms: u32| mos_centi(Impairment::of_codec("PCMU"), 0.0, 0, ms * 1_000);
        assert!(at(0) - at(150) < 20);
        assert!(at(150) - at(400) > 70);
    }

    proptest! {
        #[test]
        fn stays_on_the_scale_and_never_rises_with_loss(
            loss in 0.0_f32..1.0, more in 0.0_f32..1.0, jitter: u32, delay: u32,
        ) {
            let codec = Impairment::of_codec("PCMU");
            let (low, high) = (loss.min(more), loss.max(more));
            let better = mos_centi(codec, low, jitter, delay);
            let worse = mos_centi(codec, high, jitter, delay);
            prop_assert!((100..=450).contains(&better));
            prop_assert!(worse <= better);
        }
    }
}
