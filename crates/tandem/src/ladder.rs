//! A ladder in the terminal: a column for each address, a line for each message.

use std::fmt::Write as _;

use trace::{Ladder, LineChange, Rung};

/// What is printed beside the arrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Nothing.
    Arrows,
    /// What a description has that is not in the one it was made of.
    Descriptions,
}

/// The lines of a ladder.
pub(crate) fn lines(ladder: &Ladder, detail: Detail) -> String {
    let mut out = String::new();
    let Some(first) = ladder.rungs.first() else {
        return "No message of it is kept.\n".to_owned();
    };
    heads(ladder, &mut out);
    let mut before_us = first.at_us;
    for rung in &ladder.rungs {
        let since_s = rung.at_us.saturating_sub(first.at_us) as f64 / 1e6;
        let step_s = rung.at_us.saturating_sub(before_us) as f64 / 1e6;
        before_us = rung.at_us;
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{since_s:9.3} {:>8}  {}",
            format!("+{step_s:.3}"),
            arrow(ladder, rung)
        );
        if detail == Detail::Descriptions {
            for line in rung
                .sdp_changes
                .iter()
                .filter(|l| l.change != LineChange::Same)
            {
                let sign = if line.change == LineChange::New {
                    '+'
                } else {
                    '-'
                };
                let _ = writeln!(out, "{:22}{sign} {}", "", line.text);
            }
        }
    }
    if ladder.is_cut {
        let _ = writeln!(
            out,
            "There are more messages than these {}.",
            ladder.rungs.len()
        );
    }
    for (at, leg) in ladder.legs.iter().enumerate() {
        let name = if at == 0 {
            "caller".to_owned()
        } else {
            format!("leg {at}")
        };
        let delay =
            |us: Option<u64>| us.map_or("-".to_owned(), |us| format!("{:.3} s", us as f64 / 1e6));
        let _ = writeln!(
            out,
            "{name}: Call-ID {}, ringing after {}, answered after {}, {} sent again",
            leg.sip_call_id,
            delay(leg.ring_delay_us),
            delay(leg.answer_delay_us),
            leg.repeats,
        );
    }
    out
}

/// The addresses above their columns, and what they call themselves.
fn heads(ladder: &Ladder, out: &mut String) {
    let addresses = ladder.lanes.iter().map(|lane| lane.address.to_string());
    let agents = ladder.lanes.iter().map(|lane| match lane.is_ours {
        true if !lane.node.is_empty() => lane.node.clone(),
        true => "Tandem".to_owned(),
        false => lane.agent.clone(),
    });
    for texts in [addresses.collect::<Vec<_>>(), agents.collect()] {
        let mut line = vec![' '; width(ladder)];
        for (at, text) in texts.iter().enumerate() {
            let text: Vec<char> = text.chars().take(SPAN - 1).collect();
            let begin = (MARGIN + at * SPAN).saturating_sub(text.len() / 2);
            write(&mut line, begin, &text);
        }
        let _ = writeln!(out, "{:19} {}", "", String::from_iter(line).trim_end());
    }
}

fn arrow(ladder: &Ladder, rung: &Rung) -> String {
    let mut line = vec![' '; width(ladder)];
    for at in 0..ladder.lanes.len() {
        line[MARGIN + at * SPAN] = '│';
    }
    let mut title = rung.title.clone();
    if rung.has_sdp {
        title.push_str(" (SDP)");
    }
    if rung.repeats.is_some() {
        title.push_str(" again");
    }
    let (from, to) = (MARGIN + rung.from * SPAN, MARGIN + rung.to * SPAN);
    if from == to {
        let text: Vec<char> = format!("⟲ {title}").chars().collect();
        write(&mut line, from + 1, &text);
        return String::from_iter(line).trim_end().to_owned();
    }
    let (left, right) = (from.min(to) + 1, from.max(to));
    line[left..right].fill('─');
    match from < to {
        true => line[right - 1] = '>',
        false => line[left] = '<',
    }
    let room = right - left - 4;
    let text: Vec<char> = format!(" {title} ").chars().take(room).collect();
    write(&mut line, left + (right - left - text.len()) / 2, &text);
    String::from_iter(line).trim_end().to_owned()
}

fn write(line: &mut [char], begin: usize, text: &[char]) {
    for (to, from) in line.iter_mut().skip(begin).zip(text) {
        *to = *from;
    }
}

fn width(ladder: &Ladder) -> usize {
    2 * MARGIN + SPAN * ladder.lanes.len().saturating_sub(1) + 1
}

/// From a column to the next.
const SPAN: usize = 30;
/// Before the first column and after the last, for its heading.
const MARGIN: usize = 12;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arrows_go_from_column_to_column() {
        let rung = |at_us: u64, from: usize, to: usize, title: &str, repeats: Option<usize>| {
            json!({
                "id": "0-0", "at_us": at_us, "from": from, "to": to, "transport": "udp",
                "direction": "sent", "seen_by": null, "leg": 0, "title": title, "method": "INVITE",
                "status": null, "cseq": 1, "bytes": 1, "repeats": repeats, "has_sdp": true,
                "sdp_from": null, "sdp_changes": [{ "change": "new", "text": "a=x" }],
            })
        };
        let lane = |address: &str, is_ours: bool| json!({ "address": address, "is_ours": is_ours, "agent": "phone" });
        let ladder: Ladder = serde_json::from_value(json!({
            "lanes": [lane("192.0.2.1:5060", false), lane("192.0.2.2:5060", true)],
            "legs": [{ "sip_call_id": "id@a", "repeats": 1, "ring_delay_us": 1_500_000, "answer_delay_us": null, "session_expires": null }],
            "rungs": [rung(1_000_000, 0, 1, "INVITE", None), rung(1_500_000, 1, 0, "200 OK", Some(0))],
            "is_cut": false,
        }))
        .expect("a ladder");
        let text = lines(&ladder, Detail::Descriptions);
        let expected = [
            "                         192.0.2.1:5060                192.0.2.2:5060",
            "                              phone                        Tandem",
            "    0.000   +0.000              │─────── INVITE (SDP) ───────>│",
            "                      + a=x",
            "    0.500   +0.500              │<─── 200 OK (SDP) again ─────│",
            "                      + a=x",
            "caller: Call-ID id@a, ringing after 1.500 s, answered after -, 1 sent again",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{text}");
    }
}
