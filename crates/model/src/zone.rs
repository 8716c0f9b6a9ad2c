//! Zones and clusters: where servers stand, and which belong together.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::validate::Checks;
use crate::{ClusterId, FieldError, LimitSpec, Validate, ZoneId};

/// A region of one or more data centres.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Zone {
    /// Which it is.
    pub id: ZoneId,
    /// What people call it, and what servers, media servers and routes name it by; no two zones have the
    /// same name.
    pub name: String,
    /// Where it is on the map: degrees north of the equator, those south negative.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = -90.0, maximum = 90.0)]
    pub latitude: Option<Degrees>,
    /// Degrees east of Greenwich, those west negative.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = -180.0, maximum = 180.0)]
    pub longitude: Option<Degrees>,
}

impl Validate for Zone {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        let within = |degrees: Option<Degrees>, most: i32| {
            degrees.is_none_or(|Degrees(micro)| micro.abs() <= most * 1_000_000)
        };
        checks.require(
            within(self.latitude, 90),
            "latitude",
            "-90 to 90 degrees are accepted",
        );
        checks.require(
            within(self.longitude, 180),
            "longitude",
            "-180 to 180 degrees are accepted",
        );
        checks.require(
            self.latitude.is_some() == self.longitude.is_some(),
            "longitude",
            "a place on the map has a latitude and a longitude: give both or neither",
        );
        checks.done()
    }
}

/// Servers that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cluster {
    /// Which it is.
    pub id: ClusterId,
    /// What people call it, and what servers name it by; no two clusters have the same name.
    pub name: String,
    /// What all its servers together may carry. Servers with a live store in common share it by demand;
    /// without one each has an equal part.
    #[serde(default)]
    pub limits: LimitSpec,
}

impl Validate for Cluster {
    fn validate(&self) -> Vec<FieldError> {
        let mut checks = Checks::default();
        checks.name("name", &self.name);
        checks.nested("limits", &self.limits);
        checks.done()
    }
}

/// An angle, in millionths of a degree; in JSON a number of degrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Degrees(pub i32);

impl From<Degrees> for f64 {
    fn from(degrees: Degrees) -> Self {
        Self::from(degrees.0) / 1e6
    }
}

impl Serialize for Degrees {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((*self).into())
    }
}

impl<'de> Deserialize<'de> for Degrees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let degrees = f64::deserialize(deserializer)?;
        if !(-360.0..=360.0).contains(&degrees) {
            let message = "a number of degrees is accepted";
            return Err(serde::de::Error::custom(message));
        }
        Ok(Self((degrees * 1e6).round() as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(latitude: Option<i32>, longitude: Option<i32>) -> Zone {
        Zone {
            id: ZoneId::from_parts(1, 1),
            name: "Amsterdam".into(),
            latitude: latitude.map(Degrees),
            longitude: longitude.map(Degrees),
        }
    }

    #[test]
    fn degrees_come_back_as_they_were_given() {
        let json = r#"{"id":"zone_00000000010000000000000001","name":"A","latitude":52.37,"longitude":-4.9}"#;
        let zone: Zone = serde_json::from_str(json).unwrap();
        assert_eq!(zone.latitude, Some(Degrees(52_370_000)));
        let again = serde_json::to_value(&zone).unwrap();
        assert_eq!(again["longitude"], -4.9);
        assert!(serde_json::from_str::<Degrees>("1e9").is_err());
        assert!(serde_json::from_str::<Degrees>("\"52\"").is_err());
    }

    #[test]
    fn a_place_is_on_the_globe_or_nowhere() {
        assert_eq!(zone(None, None).validate(), []);
        assert_eq!(zone(Some(90_000_000), Some(-180_000_000)).validate(), []);
        for (latitude, longitude, field) in [
            (Some(90_000_001), Some(0), "latitude"),
            (Some(0), Some(180_000_001), "longitude"),
            (Some(0), None, "longitude"),
        ] {
            let wrong = zone(latitude, longitude).validate();
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert_eq!(wrong[0].field, field);
        }
    }
}
