//! A target as the operator describes it.

/// Names a target within a balancer; never given twice, so that a call remembers the target it
/// went to and not one that came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub u32);

/// What the operator says of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    /// Its name, unique in the set. Hashes go by it: a target that comes back under its name
    /// gets its share of keys back.
    pub name: Box<str>,
    /// Its share among those of its priority, 1 to 1,000.
    pub weight: u16,
    /// Whose turn it is: those of the lowest number are used until all of them are full or down.
    pub priority: u16,
    /// Calls at a time; beyond, it is full.
    pub calls_max: Option<u32>,
    /// New calls per second; beyond, it is full for the rest of the second.
    pub cps_max: Option<u32>,
    /// Whether it takes new calls.
    pub admission: Admission,
}

/// Whether a target takes new calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It does.
    Open,
    /// It does not; the calls it has go on.
    Draining,
}

impl TargetSpec {
    /// One of weight 1 without limits.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            weight: 1,
            priority: 0,
            calls_max: None,
            cps_max: None,
            admission: Admission::Open,
        }
    }
}
