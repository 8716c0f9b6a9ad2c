//! Past calls, decided as things are and as they would be with a draft.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::http::Method;
use model::{AccountId, CallId, CarrierId, Cdr, CustomerId, DraftId, GatewayId};
use routing::{Replay, ReplayDifference, ReplayReport, Table, Verdict, Way};
use serde::{Deserialize, Serialize};
use store::{CdrFilter, CdrStore, Records, StoreError};
use utoipa::ToSchema;

use super::{Overlay, find};
use crate::control::Caller;
use crate::{Control, Problem, access, problem};

/// Which past calls.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReplayWish {
    /// Ended then or later; microseconds since the Unix epoch.
    from_us: Option<u64>,
    /// Ended before; microseconds since the Unix epoch.
    to_us: Option<u64>,
    /// Calls of this account alone.
    account: Option<AccountId>,
    /// Calls of this customer alone.
    customer: Option<CustomerId>,
    /// At most so many, the latest; 1,000 if it is left out.
    #[schema(minimum = 1, maximum = 20_000)]
    limit: Option<u64>,
}

/// What would become of past calls.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct ReplayView {
    /// Calls that were decided twice, or could not be.
    calls: u64,
    /// The oldest of them ended then; microseconds since the Unix epoch.
    back_to_us: Option<u64>,
    /// Whether time was up before all calls that were wanted had been looked at.
    cut_short: bool,
    /// Both decide them alike.
    same: u64,
    /// First sent where they were, but elsewhere if that fails.
    other_fallback: u64,
    /// The draft sends them elsewhere, or as another number.
    elsewhere: u64,
    /// The draft alone refuses them.
    now_refused: u64,
    /// The draft alone lets them through.
    now_admitted: u64,
    /// Of the judged ones, those that would as things are go by another gateway than the one of their
    /// record: routes have changed since, or a gateway was down or full.
    not_as_recorded: u64,
    /// Those that cannot be judged.
    unjudged: Vec<UnjudgedCalls>,
    /// What each gateway gets as things are and would get, if each first attempt succeeds.
    gateways: Vec<GatewayLoad>,
    /// The latest calls that are decided otherwise, 100 at most.
    differences: Vec<ChangedCall>,
}

/// Calls that cannot be judged.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct UnjudgedCalls {
    /// Why.
    why: String,
    calls: u64,
}

/// What a gateway gets.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
struct GatewayLoad {
    carrier: Option<CarrierId>,
    /// The carrier's name.
    carrier_name: String,
    gateway: Option<GatewayId>,
    /// The gateway's name.
    gateway_name: String,
    /// Calls as things are.
    calls: u64,
    /// How long they were answered, in seconds.
    talk_s: u64,
    /// Calls with the draft.
    draft_calls: u64,
    /// How long they were answered, in seconds.
    draft_talk_s: u64,
}

/// A call that is decided otherwise.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ChangedCall {
    call: CallId,
    /// It began; microseconds since the Unix epoch.
    start_us: u64,
    caller: String,
    called: String,
    verdict: CallVerdict,
    /// Where it goes as things are, in the order of the attempts.
    ways: Vec<String>,
    /// Why, in sentences.
    steps: Vec<String>,
    /// Where it would go.
    draft_ways: Vec<String>,
    /// Why, in sentences.
    draft_steps: Vec<String>,
}

/// What a draft does to a call.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum CallVerdict {
    /// The first attempt is the same, later ones are not.
    OtherFallback,
    /// It goes elsewhere, or as another number.
    Elsewhere,
    /// It is refused and was not.
    NowRefused,
    /// It is let through and was not.
    NowAdmitted,
}

/// Decides them, off the runtime's threads; a client that goes away ends it.
pub(crate) async fn replay(
    control: &Control,
    caller: &Caller,
    id: DraftId,
    wish: ReplayWish,
) -> Result<ReplayView, Problem> {
    access::check(caller, &Method::GET, "/v1/cdrs")?;
    let limit = wish.limit.unwrap_or(CALLS_USUAL);
    if !(1..=CALLS_MAX).contains(&limit) {
        let message = format!("1 to {CALLS_MAX} are accepted");
        return Err(Problem::invalid_field("limit", message));
    }
    let turn = control.replay_turn();
    let busy = "other calls are being replayed: try again in a few seconds";
    let turn = turn.ok_or_else(|| Problem::new(&problem::IN_PROGRESS, busy))?;
    let actor = caller.actor();
    let tables = move |records: &dyn Records| -> Result<_, Problem> {
        let set = find(records, id)?;
        set.still_open()?;
        let before = records.snapshot()?;
        let after = Overlay::new(records, &set, actor).snapshot()?;
        Ok((
            Names::of(&before, &after),
            Table::compile(&before),
            Table::compile(&after),
        ))
    };
    let (names, before, after) = control
        .records(move |records| Ok(tables(records)))
        .await??;
    let filter = CdrFilter {
        account: wish.account,
        customer: wish.customer,
        from_us: wish.from_us,
        to_us: wish.to_us,
        ..CdrFilter::default()
    };
    let unwanted = Arc::new(AtomicBool::new(false));
    let _gone = SetWhenDropped(unwanted.clone());
    let replayed = control.cdrs(move |cdrs| {
        let _turn = turn;
        let run = Run::new(
            &before,
            &after,
            usize::try_from(limit).unwrap_or(usize::MAX),
        );
        run.over(cdrs, &filter, &unwanted)
    });
    let (report, mut view, calls) = replayed.await?;
    view.fill(report, &names, &calls);
    Ok(view)
}

/// A replay under way.
struct Run<'t> {
    replay: Replay<'t>,
    view: ReplayView,
    /// Those that may be shown.
    calls: Vec<Cdr>,
    left: usize,
    ends: Instant,
}

impl<'t> Run<'t> {
    fn new(before: &'t Table, after: &'t Table, limit: usize) -> Self {
        Self {
            replay: Replay::new(before, after, DIFFERENCES_MAX),
            view: ReplayView::default(),
            calls: Vec::new(),
            left: limit,
            ends: Instant::now() + PATIENCE,
        }
    }

    fn over(
        mut self,
        cdrs: &dyn CdrStore,
        filter: &CdrFilter,
        unwanted: &AtomicBool,
    ) -> Result<(ReplayReport, ReplayView, Vec<Cdr>), StoreError> {
        cdrs.export(filter, &mut |batch| {
            for cdr in batch {
                if self.left == 0 {
                    return ControlFlow::Break(());
                }
                self.left -= 1;
                self.view.calls += 1;
                self.view.back_to_us = Some(cdr.end_us);
                if self.replay.handle_call(&cdr) {
                    self.calls.push(cdr);
                }
            }
            if self.left == 0 || unwanted.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            if Instant::now() >= self.ends {
                self.view.cut_short = true;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok((self.replay.into_report(), self.view, self.calls))
    }
}

struct SetWhenDropped(Arc<AtomicBool>);

impl Drop for SetWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What carriers and gateways are called, in force or in the draft.
struct Names(Vec<(String, String)>);

impl Names {
    fn of(before: &model::Snapshot, after: &model::Snapshot) -> Self {
        let mut names = Vec::new();
        for snapshot in [after, before] {
            let carriers = snapshot.carriers.iter();
            names.extend(carriers.map(|carrier| (carrier.id.to_string(), carrier.name.clone())));
            let gateways = snapshot.gateways.iter();
            names.extend(gateways.map(|gateway| (gateway.id.to_string(), gateway.name.clone())));
            let customers = snapshot.customers.iter();
            names.extend(customers.map(|one| (one.id.to_string(), one.name.clone())));
        }
        Self(names)
    }

    fn name(&self, id: &impl ToString) -> String {
        let id = id.to_string();
        let named = self.0.iter().find(|(known, _)| *known == id);
        named.map_or(id, |(_, name)| name.clone())
    }

    fn way(&self, way: &Way) -> String {
        match way {
            Way::User(user) => format!("user {user}"),
            Way::Customer {
                customer,
                host,
                destination,
            } => format!("customer {}: {destination}@{host}", self.name(customer)),
            Way::Gateway {
                carrier,
                gateway,
                destination,
                caller,
            } => {
                let (carrier, gateway) = (self.name(carrier), self.name(gateway));
                format!("{carrier} by {gateway}: {destination}, caller {caller}")
            }
            Way::Service(service) => service.to_string(),
            Way::Challenged => "refused: the caller is not recognised".to_owned(),
            Way::Refused(refusal) => format!("refused: {refusal}"),
        }
    }
}

impl ReplayView {
    fn fill(&mut self, report: ReplayReport, names: &Names, calls: &[Cdr]) {
        self.same = report.same;
        self.other_fallback = report.other_fallback;
        self.elsewhere = report.elsewhere;
        self.now_refused = report.now_refused;
        self.now_admitted = report.now_admitted;
        self.not_as_recorded = report.not_as_recorded;
        let unjudged = report.unjudged.iter();
        let unjudged = unjudged.map(|(why, calls)| UnjudgedCalls {
            why: why.to_string(),
            calls: *calls,
        });
        self.unjudged = unjudged.collect();
        let mut known: Vec<_> = report.before.keys().chain(report.after.keys()).collect();
        known.sort_unstable();
        known.dedup();
        let load = |key: &(CarrierId, GatewayId)| {
            let before = report.before.get(key).copied().unwrap_or_default();
            let after = report.after.get(key).copied().unwrap_or_default();
            GatewayLoad {
                carrier: Some(key.0),
                carrier_name: names.name(&key.0),
                gateway: Some(key.1),
                gateway_name: names.name(&key.1),
                calls: before.calls,
                talk_s: before.talk_us / MICROS,
                draft_calls: after.calls,
                draft_talk_s: after.talk_us / MICROS,
            }
        };
        self.gateways = known.into_iter().map(load).collect();
        let differences = report.differences.into_iter().zip(calls);
        self.differences = differences
            .filter_map(|(difference, cdr)| changed(difference, cdr, names))
            .collect();
    }
}

fn changed(difference: ReplayDifference, cdr: &Cdr, names: &Names) -> Option<ChangedCall> {
    let ways = |ways: &[Way]| ways.iter().map(|way| names.way(way)).collect();
    Some(ChangedCall {
        call: difference.call,
        start_us: cdr.start_us,
        caller: cdr.caller.clone(),
        called: cdr.called.clone(),
        verdict: match difference.verdict {
            Verdict::Same => return None,
            Verdict::OtherFallback => CallVerdict::OtherFallback,
            Verdict::Elsewhere => CallVerdict::Elsewhere,
            Verdict::NowRefused => CallVerdict::NowRefused,
            Verdict::NowAdmitted => CallVerdict::NowAdmitted,
        },
        ways: ways(&difference.before.ways),
        steps: difference.before.steps,
        draft_ways: ways(&difference.after.ways),
        draft_steps: difference.after.steps,
    })
}

/// Calls that are replayed if nobody says how many.
const CALLS_USUAL: u64 = 1_000;
/// Calls that are replayed at most.
const CALLS_MAX: u64 = 20_000;
/// Calls that are shown one by one at most.
const DIFFERENCES_MAX: usize = 100;
/// How long a replay may take.
const PATIENCE: Duration = Duration::from_secs(10);
const MICROS: u64 = 1_000_000;
