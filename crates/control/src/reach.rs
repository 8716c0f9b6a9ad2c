//! What is within the zones that somebody is confined to.
//!
//! A server, a media server and all that happens at a server are in the zone of their record. What is
//! in no zone, and what is not known to be in one, is out of reach.

use std::collections::HashSet;

use model::{ServerId, Zone, ZoneId};
use store::Records;

use crate::{Control, Problem, problem};

/// What somebody reaches.
#[derive(Clone, Debug, Default)]
pub(crate) enum Reach {
    /// They are confined to no zones.
    #[default]
    Everywhere,
    /// What is in their zones.
    Within {
        /// The names of those; empty: their zones are gone.
        zones: HashSet<String>,
        /// The servers that stand there.
        servers: HashSet<ServerId>,
    },
}

impl Reach {
    /// Whether they are confined to zones.
    pub(crate) const fn is_confined(&self) -> bool {
        matches!(self, Self::Within { .. })
    }

    /// Whether a zone of this name is theirs.
    pub(crate) fn has_zone(&self, name: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Within { zones, .. } => !name.is_empty() && zones.contains(name),
        }
    }

    /// Whether a record in this zone is theirs; `None`: it is in none.
    pub(crate) fn has(&self, zone: Option<&str>) -> bool {
        match zone {
            Some(zone) => self.has_zone(zone),
            None => !self.is_confined(),
        }
    }

    /// Whether a server is theirs; `None`: it is not known which it is.
    pub(crate) fn has_server(&self, server: Option<ServerId>) -> bool {
        match (self, server) {
            (Self::Everywhere, _) => true,
            (Self::Within { .. }, None) => false,
            (Self::Within { servers, .. }, Some(server)) => servers.contains(&server),
        }
    }

    /// Refuses what is asked about a server that is not theirs.
    pub(crate) fn check_server(&self, server: Option<ServerId>) -> Result<(), Problem> {
        match server {
            Some(server) if !self.has_server(Some(server)) => {
                let detail = format!("{server} is in none of the zones that you are confined to");
                Err(Problem::new(&problem::FORBIDDEN, detail))
            }
            _ => Ok(()),
        }
    }
}

impl Control {
    /// What is within these zones; without any, everything.
    pub(crate) async fn reach(&self, zones: &[ZoneId]) -> Result<Reach, Problem> {
        if zones.is_empty() {
            return Ok(Reach::Everywhere);
        }
        let newest = self.newest_snapshot().await?;
        let snapshot = newest.borrow().clone();
        let own = snapshot
            .zones
            .iter()
            .filter(|zone| zones.contains(&zone.id));
        let names: HashSet<String> = own.map(|zone| zone.name.clone()).collect();
        let servers = snapshot.servers.iter();
        let servers = servers.filter(|server| names.contains(&server.zone));
        Ok(Reach::Within {
            servers: servers.map(|server| server.id).collect(),
            zones: names,
        })
    }
}

/// Refuses zones that there are not.
pub(crate) fn check_zones(
    records: &dyn Records,
    zones: &[ZoneId],
) -> Result<(), store::StoreError> {
    zones
        .iter()
        .try_for_each(|zone| records.read::<Zone>(*zone).map(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_no_known_zone_is_out_of_reach() {
        let (near, far) = (ServerId::from_parts(1, 1), ServerId::from_parts(2, 1));
        let reach = Reach::Within {
            zones: HashSet::from(["berlin".to_owned(), String::new()]),
            servers: HashSet::from([near]),
        };
        assert!(reach.has_zone("berlin") && reach.has_server(Some(near)));
        assert!(!reach.has_zone("paris") && !reach.has_server(Some(far)));
        assert!(!reach.has_zone("") && !reach.has(None) && !reach.has_server(None));
        assert!(reach.check_server(Some(far)).is_err() && reach.check_server(None).is_ok());
        let all = Reach::Everywhere;
        assert!(all.has(None) && all.has_server(None) && all.has_zone(""));
        assert!(all.check_server(Some(far)).is_ok());
    }
}
