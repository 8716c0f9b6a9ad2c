//! Who may use which part of the API: the one place where it is decided.
//!
//! An area is the first part of a path after `/v1/`. A role says what may be done; whoever is
//! confined to an account reaches only the areas that know accounts, and in those only what
//! belongs to theirs ([`Resource::account`](crate::resource::Resource::account)); whoever is confined to
//! zones likewise ([`Resource::zone`](crate::resource::Resource::zone), [`Reach`](crate::reach::Reach));
//! the scopes of a token narrow it further. A path that is in no area of [`AREAS`] is for admins of the
//! whole platform alone.

use axum::http::Method;
use model::Role;
use serde::Serialize;
use utoipa::ToSchema;

use crate::control::Caller;
use crate::{Problem, problem};

/// One part of the API.
struct Area {
    /// The first part of its paths after `/v1/`; or a whole path, which comes before its area.
    name: &'static str,
    /// Who may read it.
    read: Role,
    /// Who may change it.
    change: Role,
    /// What those may do in it who are confined to an account.
    confined: Confined,
    /// What those may do in it who are confined to zones.
    zoned: Confined,
}

/// What is open to those who are confined to an account or to zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Confined {
    /// Nothing: it is the platform's.
    Nothing,
    /// To read what is theirs.
    Read,
    /// To change what is theirs, too.
    Change,
}

/// What somebody may do in an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Use {
    /// Only look.
    Read,
    /// Change something.
    Change,
}

/// An area that somebody may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct OpenArea {
    /// The first part of its paths after `/v1/`.
    area: &'static str,
    /// What they may do there.
    may: Use,
}

/// Refuses a request that the caller has no right to.
pub(crate) fn check(caller: &Caller, method: &Method, path: &str) -> Result<(), Problem> {
    let path = path.strip_prefix("/v1/").unwrap_or(path);
    let name = path.split(['/', ':']).next().unwrap_or_default();
    if name == OWN {
        return Ok(());
    }
    let reads = method == Method::GET || method == Method::HEAD || READS.contains(&path);
    let wanted = if reads { Use::Read } else { Use::Change };
    let named = |wanted: &str| AREAS.iter().find(|area| area.name == wanted);
    let area = named(path).or_else(|| named(name)).unwrap_or(&OTHER);
    if caller.account.is_some() && !area.confined.admits(wanted) {
        let detail = "it is the platform's, and you are confined to an account";
        return Err(Problem::new(&problem::FORBIDDEN, detail));
    }
    if !caller.zones().is_empty() && !area.zoned.admits(wanted) {
        let detail = "it is the platform's, and you are confined to zones";
        return Err(Problem::new(&problem::FORBIDDEN, detail));
    }
    let needed = area.needs(wanted);
    if caller.role < needed {
        let (has, needed) = (role_name(caller.role), role_name(needed));
        let detail = format!("it has the role {has}; {needed} is needed");
        return Err(Problem::new(&problem::FORBIDDEN, detail));
    }
    if !admitted(caller.scopes(), name, wanted) {
        let detail = format!("the scopes of the token do not include {name}");
        return Err(Problem::new(&problem::FORBIDDEN, detail));
    }
    Ok(())
}

/// The areas that the caller may use.
pub(crate) fn open_to(caller: &Caller) -> Vec<OpenArea> {
    let may = |area: &Area, wanted| {
        (caller.account.is_none() || area.confined.admits(wanted))
            && (caller.zones().is_empty() || area.zoned.admits(wanted))
            && caller.role >= area.needs(wanted)
            && admitted(caller.scopes(), area.name, wanted)
    };
    let whole = AREAS.iter().filter(|area| !area.name.contains(['/', ':']));
    let open = whole.filter_map(|area| {
        let most = [Use::Change, Use::Read];
        let may = most.into_iter().find(|wanted| may(area, *wanted))?;
        Some(OpenArea {
            area: area.name,
            may,
        })
    });
    open.collect()
}

/// Scopes that name no area.
pub(crate) fn unknown_scopes(scopes: &[String]) -> Vec<&str> {
    let names = scopes
        .iter()
        .map(|scope| scope.strip_suffix(READ_ONLY).unwrap_or(scope));
    names
        .filter(|name| AREAS.iter().all(|area| area.name != *name))
        .collect()
}

fn admitted(scopes: &[String], area: &str, wanted: Use) -> bool {
    scopes.is_empty()
        || scopes
            .iter()
            .any(|scope| match scope.strip_suffix(READ_ONLY) {
                Some(name) => name == area && wanted == Use::Read,
                None => scope == area,
            })
}

impl Area {
    const fn needs(&self, wanted: Use) -> Role {
        match wanted {
            Use::Read => self.read,
            Use::Change => self.change,
        }
    }
}

impl Confined {
    const fn admits(self, wanted: Use) -> bool {
        match (self, wanted) {
            (Self::Nothing, _) | (Self::Read, Use::Change) => false,
            (Self::Read, Use::Read) | (Self::Change, _) => true,
        }
    }
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

const fn area(
    name: &'static str,
    read: Role,
    change: Role,
    confined: Confined,
    zoned: Confined,
) -> Area {
    Area {
        name,
        read,
        change,
        confined,
        zoned,
    }
}

/// One's own session, password and second factor: open to whoever is known.
const OWN: &str = "session";
/// Questions that are asked by POST.
const READS: [&str; 1] = ["routes/simulate"];
/// What stands behind a scope that is for reading alone.
const READ_ONLY: &str = ":read";
/// What is in no area.
const OTHER: Area = area(
    "",
    Role::Admin,
    Role::Admin,
    Confined::Nothing,
    Confined::Nothing,
);
/// All areas.
static AREAS: [Area; 63] = {
    use Confined::{Change, Nothing, Read};
    use Role::{Admin, Operator, Viewer};
    [
        area("accounts", Viewer, Operator, Read, Nothing),
        area("alerts", Viewer, Operator, Nothing, Nothing),
        area("array", Viewer, Operator, Nothing, Nothing),
        area("audit", Admin, Admin, Nothing, Nothing),
        area("bans", Viewer, Operator, Nothing, Nothing),
        area("calls", Viewer, Operator, Change, Change),
        area("calls/{id}/ladder", Viewer, Operator, Nothing, Nothing),
        area("carriers", Viewer, Operator, Nothing, Nothing),
        area("cdrs", Viewer, Operator, Read, Nothing),
        area("cdrs/exports", Viewer, Viewer, Change, Nothing),
        area("cdrs/exports/{id}", Viewer, Viewer, Change, Nothing),
        area("cdrs/exports/{id}/file", Viewer, Viewer, Change, Nothing),
        area("certificates", Viewer, Admin, Nothing, Nothing),
        area("cluster-health", Viewer, Operator, Nothing, Nothing),
        area("clusters", Viewer, Admin, Nothing, Nothing),
        area("customers", Viewer, Operator, Nothing, Nothing),
        area("devices", Viewer, Operator, Change, Nothing),
        area("drafts", Viewer, Operator, Nothing, Nothing),
        area("drafts/{id}/replay", Viewer, Viewer, Nothing, Nothing),
        area("duties", Viewer, Operator, Nothing, Nothing),
        area("events", Viewer, Operator, Nothing, Read),
        area("gateway-health", Viewer, Operator, Nothing, Nothing),
        area("gateways", Viewer, Operator, Nothing, Nothing),
        area("history", Viewer, Operator, Nothing, Read),
        area("join-tokens", Admin, Admin, Nothing, Nothing),
        area("limits", Viewer, Operator, Nothing, Nothing),
        area("listeners", Viewer, Admin, Nothing, Nothing),
        area("media-server-health", Viewer, Operator, Nothing, Read),
        area("media-servers", Viewer, Operator, Nothing, Read),
        area("metrics", Viewer, Viewer, Nothing, Nothing),
        area("numbers", Viewer, Operator, Read, Nothing),
        area("people", Admin, Admin, Change, Nothing),
        area("posture", Viewer, Operator, Nothing, Nothing),
        area("presented-certificates", Viewer, Admin, Nothing, Nothing),
        area("recordings", Viewer, Operator, Nothing, Nothing),
        area("registrations", Viewer, Operator, Read, Nothing),
        area("registrations/{id}", Viewer, Operator, Nothing, Nothing),
        area("routes", Viewer, Operator, Nothing, Nothing),
        area("server-health", Viewer, Operator, Nothing, Read),
        area("servers", Viewer, Admin, Nothing, Read),
        area("servers/{id}/drain", Viewer, Operator, Nothing, Change),
        area("servers/{id}/flush", Viewer, Operator, Nothing, Change),
        area("servers/{id}/log", Operator, Operator, Nothing, Nothing),
        area(
            "servers/{id}/registrations",
            Viewer,
            Operator,
            Nothing,
            Nothing,
        ),
        area("servers/{id}/resize", Viewer, Operator, Nothing, Change),
        area("servers/{id}/restart", Viewer, Operator, Nothing, Change),
        area("servers/{id}/resume", Viewer, Operator, Nothing, Change),
        area("servers/{id}/start", Viewer, Operator, Nothing, Change),
        area("servers/{id}/stop", Viewer, Operator, Nothing, Change),
        area(
            "servers/{id}/targets/{target}",
            Viewer,
            Operator,
            Nothing,
            Nothing,
        ),
        area(
            "servers/{id}/targets/{target}/drain",
            Viewer,
            Operator,
            Nothing,
            Nothing,
        ),
        area(
            "servers/{id}/targets/{target}/resume",
            Viewer,
            Operator,
            Nothing,
            Nothing,
        ),
        area("servers/{id}/update", Viewer, Operator, Nothing, Change),
        area("sessions", Viewer, Viewer, Change, Change),
        area("settings", Viewer, Admin, Nothing, Nothing),
        area("tasks", Viewer, Operator, Nothing, Read),
        area("tasks/{id}/cancel", Viewer, Operator, Nothing, Change),
        area("tokens", Admin, Admin, Nothing, Nothing),
        area("traces", Viewer, Operator, Nothing, Nothing),
        area("users", Viewer, Operator, Change, Nothing),
        area("users:batch", Viewer, Operator, Nothing, Nothing),
        area("zone-health", Viewer, Operator, Nothing, Read),
        area("zones", Viewer, Admin, Nothing, Read),
    ]
};
