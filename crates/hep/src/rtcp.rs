//! RTCP as JSON, in the words that capture agents use for it.

use rtp::{Compound, ExtendedBlock, ReportBlock, ReportBlocks, RtcpPacket, VoipMetrics};
use serde_json::{Map, Value, json};

/// The reports of a datagram of RTCP; `None` if there are none in it, or it is encrypted.
#[must_use]
pub fn rtcp_json(bytes: &[u8]) -> Option<String> {
    let compound = Compound::parse(bytes).ok()?;
    let mut out = Map::new();
    for packet in compound.packets() {
        match packet {
            RtcpPacket::SenderReport {
                ssrc,
                report,
                blocks,
            } => {
                let sent = json!({
                    "ntp_timestamp_sec": report.ntp >> 32,
                    "ntp_timestamp_usec": micros(report.ntp),
                    "rtp_timestamp": report.timestamp,
                    "packets": report.packets,
                    "octets": report.bytes,
                });
                out.insert("sender_information".to_owned(), sent);
                note_blocks(&mut out, SENDER_REPORT, ssrc, blocks);
            }
            RtcpPacket::ReceiverReport { ssrc, blocks } => {
                note_blocks(&mut out, RECEIVER_REPORT, ssrc, blocks);
            }
            RtcpPacket::SourceDescription { cname } if !cname.is_empty() => {
                let text = String::from_utf8_lossy(cname);
                let items = json!([{ "type": 1, "text": text }]);
                out.insert("sdes_information".to_owned(), items);
                out.insert("sdes_report_count".to_owned(), json!(1));
            }
            RtcpPacket::ExtendedReport { blocks, .. } => {
                for block in blocks.iter() {
                    if let ExtendedBlock::VoipMetrics(metrics) = block {
                        out.insert("report_blocks_xr".to_owned(), extended(&metrics));
                    }
                }
            }
            _ => {}
        }
    }
    out.contains_key("ssrc")
        .then(|| Value::Object(out).to_string())
}

fn note_blocks(out: &mut Map<String, Value>, kind: u8, ssrc: u32, blocks: ReportBlocks<'_>) {
    let blocks: Vec<Value> = blocks.iter().map(|block| received(&block)).collect();
    out.insert("type".to_owned(), json!(kind));
    out.insert("ssrc".to_owned(), json!(ssrc));
    out.insert("report_count".to_owned(), json!(blocks.len()));
    out.insert("report_blocks".to_owned(), Value::Array(blocks));
}

fn received(block: &ReportBlock) -> Value {
    json!({
        "source_ssrc": block.ssrc,
        "fraction_lost": block.fraction_lost,
        "packets_lost": block.lost,
        "highest_seq_no": block.highest_sequence,
        "ia_jitter": block.jitter,
        "lsr": block.last_sr,
        "dlsr": block.delay_since_last_sr,
    })
}

fn extended(metrics: &VoipMetrics) -> Value {
    json!({
        "type": VOIP_METRICS,
        "id": metrics.ssrc,
        "fraction_lost": metrics.loss_rate,
        "fraction_discard": metrics.discard_rate,
        "burst_density": metrics.burst_density,
        "gap_density": metrics.gap_density,
        "burst_duration": metrics.burst_ms,
        "gap_duration": metrics.gap_ms,
        "round_trip_delay": metrics.round_trip_ms,
        "end_system_delay": metrics.end_system_ms,
        "r_factor": metrics.r_factor,
        "mos_lq": metrics.mos_lq_centi.map(|mos| f64::from(mos) / 100.0),
        "mos_cq": metrics.mos_cq_centi.map(|mos| f64::from(mos) / 100.0),
    })
}

/// The lower half of an NTP time in microseconds.
fn micros(ntp: u64) -> u64 {
    ((ntp & 0xffff_ffff) * 1_000_000) >> 32
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
/// RFC 3611 §4.7.
const VOIP_METRICS: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use rtp::{CompoundWriter, SenderReport};

    fn block() -> ReportBlock {
        ReportBlock {
            ssrc: 9,
            fraction_lost: 3,
            lost: 12,
            highest_sequence: 70_000,
            jitter: 80,
            last_sr: 5,
            delay_since_last_sr: 6,
        }
    }

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_str(&rtcp_json(bytes).expect("a report")).expect("JSON")
    }

    #[test]
    fn a_senders_report_has_both_halves() {
        let report = SenderReport {
            ntp: 7 << 32 | 1 << 31,
            timestamp: 160,
            packets: 10,
            bytes: 1_600,
        };
        let mut out = Vec::new();
        CompoundWriter::new(&mut out, 4, Some(&report), &[block()])
            .cname(4, b"a@b")
            .finish();
        let json = read(&out);
        assert_eq!(
            (json["type"].as_u64(), json["ssrc"].as_u64()),
            (Some(200), Some(4))
        );
        assert_eq!(json["sender_information"]["packets"], 10);
        assert_eq!(json["sender_information"]["ntp_timestamp_usec"], 500_000);
        assert_eq!(json["report_blocks"][0]["packets_lost"], 12);
        assert_eq!(json["report_blocks"][0]["ia_jitter"], 80);
        assert_eq!(json["sdes_information"][0]["text"], "a@b");
    }

    #[test]
    fn metrics_go_beside_the_blocks_they_complete() {
        let metrics = VoipMetrics {
            ssrc: 9,
            round_trip_ms: 40,
            mos_cq_centi: Some(410),
            ..VoipMetrics::default()
        };
        let mut out = Vec::new();
        CompoundWriter::new(&mut out, 4, None, &[block()])
            .voip_metrics(4, &metrics)
            .finish();
        let json = read(&out);
        assert_eq!(json["type"], 201);
        assert_eq!(json["report_blocks_xr"]["round_trip_delay"], 40);
        assert_eq!(json["report_blocks_xr"]["mos_cq"], 4.1);
    }

    #[test]
    fn what_is_no_report_is_not_told() {
        assert_eq!(rtcp_json(&[0x80, 203, 0, 1, 0, 0, 0, 9]), None, "BYE alone");
        assert_eq!(rtcp_json(b"noise"), None);
    }
}
