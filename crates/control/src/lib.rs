//! The management API.

mod platform;

pub use platform::{
    Ban, CallFilter, LimitUsage, LimitedKind, ListenerSpec, ListenerStatus, Platform,
    PlatformError, PlatformEvent, Readiness, RegistrationFilter, Reply, RouteQuery,
    SimulatedTarget, Simulation, SimulationOutcome,
};
