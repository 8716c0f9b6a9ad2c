//! The order of SRV records, RFC 2782.

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Srv {
    pub(crate) priority: u16,
    pub(crate) weight: u16,
    pub(crate) port: u16,
    /// With its final dot; the root alone means that the service is not offered.
    pub(crate) target: String,
}

/// Puts records in the order in which they are to be tried: by priority, and within one priority
/// drawn in proportion to their weights. Those that say that there is no service are left out.
pub(crate) fn order(mut records: Vec<Srv>, draw: &mut Draw) -> Vec<Srv> {
    records.retain(|record| record.target != ".");
    // By name last, so that one seed gives one order whatever the name server's.
    records.sort_by(|a, b| {
        (a.priority, a.weight, &a.target, a.port).cmp(&(b.priority, b.weight, &b.target, b.port))
    });
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let same = records
            .iter()
            .take_while(|record| record.priority == priority);
        let total: u32 = same.map(|record| u32::from(record.weight)).sum();
        // Those of weight 0 stand first, so that they are drawn now and then.
        let drawn = draw.up_to(total);
        let mut sum = 0;
        let chosen = records
            .iter()
            .position(|record| {
                sum += u32::from(record.weight);
                sum >= drawn
            })
            .unwrap_or(0);
        ordered.push(records.remove(chosen));
    }
    ordered
}

/// A source of numbers that look random and are given by their seed (SplitMix64, Steele et al.,
/// 2014). Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another source, given by this one.
    pub(crate) const fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// From 0 to `max`, both included.
    const fn up_to(&mut self, max: u32) -> u32 {
        let range = max as u64 + 1;
        // The bias is below one in 2^31.
        ((self.next() as u128 * range as u128) >> 64) as u32
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv {
            priority,
            weight,
            port: 5060,
            target: target.to_owned(),
        }
    }

    fn names(records: Vec<Srv>) -> Vec<String> {
        records.into_iter().map(|record| record.target).collect()
    }

    #[test]
    fn priorities_come_in_order_whatever_the_weights() {
        let records = vec![srv(20, 9, "c."), srv(10, 0, "b."), srv(5, 1, "a.")];
        for seed in 0..50 {
            let ordered = order(records.clone(), &mut Draw::new(seed));
            assert_eq!(names(ordered), ["a.", "b.", "c."]);
        }
    }

    #[test]
    fn weights_decide_in_proportion_and_zero_is_drawn_seldom() {
        let records = vec![srv(1, 75, "a."), srv(1, 25, "b."), srv(1, 0, "zero.")];
        let mut draw = Draw::new(7);
        let mut firsts = [0; 3];
        for _ in 0..10_000 {
            let ordered = names(order(records.clone(), &mut draw));
            assert_eq!(ordered.len(), 3);
            let first = ["a.", "b.", "zero."].iter().position(|n| ordered[0] == *n);
            firsts[first.unwrap()] += 1;
        }
        assert!((7_200..7_700).contains(&firsts[0]), "{firsts:?}");
        assert!((2_200..2_700).contains(&firsts[1]), "{firsts:?}");
        assert!((50..200).contains(&firsts[2]), "{firsts:?}");
    }

    #[test]
    fn one_seed_gives_one_order_whatever_came_first() {
        let records: Vec<Srv> = (0..8).map(|i| srv(1, 10, &format!("{i}."))).collect();
        let reversed = records.iter().rev().cloned().collect();
        let ordered = order(records, &mut Draw::new(3));
        assert_eq!(ordered, order(reversed, &mut Draw::new(3)));
    }

    #[test]
    fn a_root_target_means_no_service() {
        assert_eq!(order(vec![srv(0, 0, ".")], &mut Draw::new(0)), []);
    }
}
