//! Which media server serves a call, and why.
//!
//! The route's media zone is an order; those of customer and carrier say where the two legs
//! begin, so that one of the two is near the path and any third is a detour. Among the zones that
//! are left the one that adds least delay is taken, and in it the server with the fewest sessions
//! for its weight.

use std::cmp::Ordering;
use std::net::IpAddr;

/// What is known of the two legs of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The media zone of the route.
    pub route: Option<String>,
    /// The media zone of the customer, or of the carrier the call comes from.
    pub caller: Option<String>,
    /// The media zone of the carrier, or of the customer, the call goes to.
    pub callee: Option<String>,
    /// Where caller and callee are, as far as it is known.
    pub peers: [Option<IpAddr>; 2],
}

/// One media server, as the choice sees it.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// What people call it.
    pub name: &'a str,
    /// Its zone; empty if it has none.
    pub zone: &'a str,
    /// Its share among equals; 0 is the last resort.
    pub weight: u16,
    /// Sessions it has, of everybody.
    pub sessions: u32,
    /// How busy it is, in thousandths.
    pub load_permille: u16,
    /// What it adds to the way of the media between the two legs, as measured: round trips to
    /// either, added up, in microseconds. `None` if one of them is not known.
    pub added_us: Option<u32>,
    /// Whether a call between the two may go there to find that out.
    pub may_be_tried: bool,
    /// Its round trip to us, who are between the legs, in microseconds.
    pub rtt_us: u32,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which of the candidates; `None` if there was none.
    pub chosen: Option<usize>,
    /// Why, in words.
    pub why: String,
}

/// Zones whose delay differs by less are as near as each other: more would be noise of the
/// measurement, and less than a packet's length is not heard.
pub const ZONE_TIE_US: u32 = 5_000;

/// Chooses among candidates that are up.
#[must_use]
pub fn choose(place: &Place, candidates: &[Candidate<'_>]) -> Choice {
    if candidates.is_empty() {
        return Choice {
            chosen: None,
            why: "no media server is up".into(),
        };
    }
    let (wanted, by_whom) = wanted_zones(place);
    let inside = |c: &Candidate<'_>| wanted.contains(&c.zone);
    let mut all: Vec<usize> = (0..candidates.len()).collect();
    let why_zone = if wanted.is_empty() {
        None
    } else if candidates.iter().any(inside) {
        all.retain(|i| inside(&candidates[*i]));
        Some(format!("{by_whom} {}", wanted.join(" or ")))
    } else {
        let zones = wanted.join(" or ");
        Some(format!("no media server of zone {zones} is up"))
    };
    let why_near = nearest_zones(candidates, &mut all);
    let best = all.iter().copied().min_by(|a, b| {
        let (a, b) = (&candidates[*a], &candidates[*b]);
        by_load(a, b).then_with(|| a.name.cmp(b.name))
    });
    let server = best.map(|best| &candidates[best]);
    let mut why = String::new();
    if let Some(server) = server {
        why = format!("media server {}", server.name);
        if !server.zone.is_empty() {
            why += &format!(" of zone {}", server.zone);
        }
        let because = why_zone.into_iter().chain(why_near);
        let mut because: Vec<String> = because.collect();
        if all.len() > 1 {
            because.push(format!(
                "{} sessions, the fewest of {} for its weight",
                server.sessions,
                all.len()
            ));
        }
        if !because.is_empty() {
            why += &format!(": {}", because.join(", "));
        }
    }
    Choice { chosen: best, why }
}

/// The zones that the records ask for, and who asks.
fn wanted_zones(place: &Place) -> (Vec<&str>, &'static str) {
    match (&place.route, &place.caller, &place.callee) {
        (Some(route), ..) => (vec![route], "the route wants"),
        (None, Some(caller), Some(callee)) if caller != callee => {
            (vec![caller, callee], "near the caller or the callee, in")
        }
        (None, Some(caller), _) => (vec![caller], "near the caller, in"),
        (None, None, Some(callee)) => (vec![callee], "near the callee, in"),
        (None, None, None) => (Vec::new(), ""),
    }
}

/// Keeps the servers of the zones that add least delay; says so if any was left out.
fn nearest_zones(candidates: &[Candidate<'_>], all: &mut Vec<usize>) -> Option<String> {
    let several = all
        .iter()
        .any(|i| candidates[*i].zone != candidates[all[0]].zone);
    if !several {
        return None;
    }
    // Measured delays and our own round trips are not compared with each other.
    let measured = all.iter().any(|i| candidates[*i].added_us.is_some());
    let known = |zone: &str| {
        let mut servers = all.iter().map(|i| &candidates[*i]);
        servers.any(|c| c.zone == zone && c.added_us.is_some())
    };
    // A server further from us than a measured one by more than that adds cannot add less: no
    // side of a triangle is longer than the two others.
    let reach = all.iter().filter_map(|i| {
        let server = &candidates[*i];
        Some(server.rtt_us.saturating_add(server.added_us?))
    });
    let reach = reach.min().unwrap_or(0);
    let untried = |i: &usize| {
        let server = &candidates[*i];
        server.may_be_tried && !known(server.zone) && server.rtt_us < reach
    };
    if measured && all.iter().any(untried) {
        *all = all.iter().copied().filter(untried).collect();
        return Some("to find out how far it is from both legs".to_owned());
    }
    let delay = |zone: &str| {
        let servers = all.iter().map(|i| &candidates[*i]);
        servers
            .filter(|c| c.zone == zone)
            .filter_map(|c| if measured { c.added_us } else { Some(c.rtt_us) })
            .min()
    };
    let least = all
        .iter()
        .filter_map(|i| delay(candidates[*i].zone))
        .min()?;
    let near: Vec<usize> = all
        .iter()
        .copied()
        .filter(|i| delay(candidates[*i].zone).is_some_and(|d| d <= least + ZONE_TIE_US))
        .collect();
    if near.len() == all.len() {
        return None;
    }
    *all = near;
    let (whole, part) = (least / 1_000, least % 1_000 / 100);
    Some(if measured {
        format!("least added delay, {whole}.{part} ms over both legs")
    } else {
        format!("nearest to us, {whole}.{part} ms")
    })
}

/// Fewest sessions for the weight first; weight 0 last.
fn by_load(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    let share = |c: &Candidate<'_>, other: u16| u64::from(c.sessions) * u64::from(other.max(1));
    (a.weight == 0)
        .cmp(&(b.weight == 0))
        .then_with(|| share(a, b.weight).cmp(&share(b, a.weight)))
        .then_with(|| a.load_permille.cmp(&b.load_permille))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server<'a>(name: &'a str, zone: &'a str, sessions: u32) -> Candidate<'a> {
        Candidate {
            name,
            zone,
            weight: 1,
            sessions,
            load_permille: 0,
            added_us: None,
            may_be_tried: false,
            rtt_us: 1_000,
        }
    }

    fn place(route: &str, caller: &str, callee: &str) -> Place {
        let zone = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
        Place {
            route: zone(route),
            caller: zone(caller),
            callee: zone(callee),
            peers: [None; 2],
        }
    }

    fn chosen<'a>(place: &Place, candidates: &[Candidate<'a>]) -> &'a str {
        let choice = choose(place, candidates);
        choice.chosen.map_or("", |i| candidates[i].name)
    }

    #[test]
    fn the_routes_zone_is_an_order_and_the_legs_zones_a_wish() {
        let all = [
            server("l1", "London", 9),
            server("n1", "New York", 5),
            server("t1", "Tokyo", 0),
        ];
        assert_eq!(chosen(&place("", "", ""), &all), "t1");
        assert_eq!(chosen(&place("London", "Tokyo", "New York"), &all), "l1");
        assert_eq!(chosen(&place("", "London", ""), &all), "l1");
        assert_eq!(chosen(&place("", "", "New York"), &all), "n1");
        let choice = choose(&place("London", "", ""), &all);
        assert_eq!(
            choice.why,
            "media server l1 of zone London: the route wants London"
        );
        let choice = choose(&place("Paris", "", ""), &all);
        assert_eq!(choice.chosen, Some(2));
        assert!(choice.why.contains("no media server of zone Paris is up"));
        assert_eq!(choose(&place("", "", ""), &[]).chosen, None);
    }

    #[test]
    fn of_a_matrix_of_delays_the_minimum_is_picked_and_never_a_third_region() {
        let mut all = [
            server("l1", "London", 9),
            server("n1", "New York", 9),
            server("t1", "Tokyo", 0),
        ];
        for (us, server) in [80_000, 70_000, 10_000].into_iter().zip(&mut all) {
            server.added_us = Some(us);
        }
        let both = place("", "London", "New York");
        assert_eq!(chosen(&both, &all), "n1", "Tokyo is near neither");
        assert_eq!(chosen(&place("", "", ""), &all), "t1");
        all[0].added_us = Some(73_000);
        all[0].sessions = 3;
        assert_eq!(chosen(&both, &all), "l1", "3 ms are not heard, load is");
        all[1].added_us = None;
        all[0].sessions = 30;
        assert_eq!(
            chosen(&both, &all),
            "l1",
            "what is not measured is not believed near"
        );
    }

    #[test]
    fn what_is_not_measured_is_tried_once_among_the_zones_that_are_wanted() {
        let mut all = [
            server("l1", "London", 9),
            server("n1", "New York", 9),
            server("t1", "Tokyo", 0),
        ];
        let both = place("", "London", "New York");
        all[0].added_us = Some(80_000);
        all[1].may_be_tried = true;
        all[2].may_be_tried = true;
        assert_eq!(chosen(&both, &all), "n1", "Tokyo is not tried");
        all[1].rtt_us = 81_000;
        assert_eq!(chosen(&both, &all), "l1", "too far to be worth a trial");
        all[1].rtt_us = 80_999;
        assert_eq!(chosen(&both, &all), "n1");
        all[1].may_be_tried = false;
        assert_eq!(chosen(&both, &all), "l1", "it was tried");
        all[1].added_us = Some(10_000);
        assert_eq!(chosen(&both, &all), "n1");
    }

    #[test]
    fn without_measurement_the_zone_nearest_to_us_is_taken() {
        let mut all = [server("far", "Tokyo", 0), server("near", "London", 50)];
        all[0].rtt_us = 200_000;
        assert_eq!(chosen(&Place::default(), &all), "near");
    }

    #[test]
    fn in_a_zone_sessions_are_shared_by_weight() {
        let mut all = [server("a", "", 0), server("b", "", 0), server("c", "", 0)];
        all[1].weight = 3;
        all[2].weight = 0;
        for _ in 0..400 {
            let at = choose(&Place::default(), &all).chosen.unwrap();
            all[at].sessions += 1;
        }
        assert_eq!(all.map(|s| s.sessions), [100, 300, 0]);
    }
}
