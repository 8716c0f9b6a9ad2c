//! `/v1/history`: what was measured, over time.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Extension, State};
use model::{HISTORY_US, SAMPLE_US, ServerId};
use serde::{Deserialize, Serialize};
use store::Span;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::{Caller, now};
use crate::extract::Params;
use crate::history::Figure;
use crate::{Control, Problem, problem};

pub(crate) fn routes() -> OpenApiRouter<Control> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Which history is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HistoryParams {
    /// Of this server; if it is left out, of all together.
    server: Option<ServerId>,
    /// Which figures, with commas between them; all if it is left out.
    figures: Option<String>,
    /// From the step on that this moment is in; microseconds since the Unix epoch. Six hours before the
    /// end if it is left out.
    from_us: Option<u64>,
    /// Until the step that this moment is in, without it if it is its beginning; microseconds since the
    /// Unix epoch. Now if it is left out.
    to_us: Option<u64>,
    /// How long a step is in seconds: a multiple of 60, so that there are no more than 1,500. If it is
    /// left out, the shortest usual one that makes no more than 500.
    #[param(minimum = 60)]
    step_s: Option<u64>,
}

/// What was measured, step by step.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct HistoryView {
    /// The beginning of the first step; microseconds since the Unix epoch.
    from_us: u64,
    /// The end of the last step.
    to_us: u64,
    /// How long a step is, in seconds.
    step_s: u64,
    /// The servers that the figures are of.
    servers: Vec<HistoryServer>,
    /// The beginning of each step; microseconds since the Unix epoch.
    at_us: Vec<u64>,
    /// One value for each step, by figure. Null: nobody has measured it then.
    figures: BTreeMap<Figure, Vec<Option<f64>>>,
}

/// A server that was there.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct HistoryServer {
    /// Which.
    server: ServerId,
    /// What people call it, or its machine if it is none of the list.
    name: String,
}

/// What was measured, over time
///
/// Each server looks at itself once a second and keeps minutes for seven days, over its restarts. Those
/// of nodes come to control, later if need be. A step in which a server was away has none of it:
/// `servers` says how many the figures of each step are of.
#[utoipa::path(
    get,
    path = "/v1/history",
    tag = "history",
    params(HistoryParams),
    responses((status = 200, description = "The same number of values for each figure.", body = HistoryView)),
)]
async fn show(
    State(control): State<Control>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<HistoryParams>,
) -> Result<Json<HistoryView>, Problem> {
    caller.reach.check_server(params.server)?;
    if caller.reach.is_confined() && params.server.is_none() {
        let detail = "name a server of yours: you are confined to zones";
        return Err(Problem::new(&problem::FORBIDDEN, detail));
    }
    let figures = params.figures.as_deref().map(figures).transpose()?;
    let (span, step_us) = span(&params, now().as_micros())?;
    let history = control
        .history()
        .ok_or_else(|| Problem::unavailable("this server is starting: ask again"))?;
    let own = history.own();
    let (mut points, hosts) = control
        .blocking(move || history.points(&span, step_us))
        .await?;
    if let Some(figures) = figures {
        points.figures.retain(|figure, _| figures.contains(figure));
    }
    let newest = control.newest_snapshot().await?;
    let snapshot = newest.borrow().clone();
    let named = |(server, host): (ServerId, String)| {
        let known = snapshot.servers.iter().find(|known| known.id == server);
        let host = match server == own && host.is_empty() {
            true => "this server".to_owned(),
            false => host,
        };
        HistoryServer {
            server,
            name: known.map_or(host, |known| known.name.clone()),
        }
    };
    Ok(Json(HistoryView {
        from_us: span.from_us,
        to_us: span.to_us,
        step_s: step_us / 1_000_000,
        servers: hosts.into_iter().map(named).collect(),
        at_us: points.at_us,
        figures: points.figures,
    }))
}

/// Whole steps, and how long they are.
fn span(params: &HistoryParams, now_us: u64) -> Result<(Span, u64), Problem> {
    // What is in the far future is as good as next week; beyond the week nothing is kept.
    let to_us = params.to_us.unwrap_or(now_us).min(now_us + HISTORY_US);
    let from_us = params.from_us.unwrap_or(to_us.saturating_sub(USUAL_US));
    if from_us >= to_us {
        let message = "a moment before the end, and not after next week, is accepted";
        return Err(Problem::malformed_field("from_us", message));
    }
    let points = |step_us: u64| (to_us - from_us) / step_us + 2;
    let step_us = match params.step_s {
        Some(step_s) => {
            let step_us = step_s.saturating_mul(1_000_000);
            let is_whole = step_us > 0 && step_us % SAMPLE_US == 0 && step_us <= HISTORY_US;
            if !is_whole || points(step_us) > POINTS_MAX + 2 {
                let least_s = (to_us - from_us).div_ceil(POINTS_MAX).div_ceil(SAMPLE_US) * 60;
                let message = format!(
                    "a multiple of 60 is accepted, {least_s} or more for this span of time"
                );
                return Err(Problem::malformed_field("step_s", message));
            }
            step_us
        }
        None => STEPS_S
            .into_iter()
            .map(|step_s| step_s * 1_000_000)
            .find(|step_us| points(*step_us) <= POINTS_USUAL)
            .unwrap_or_else(|| (to_us - from_us).div_ceil(POINTS_USUAL * SAMPLE_US) * SAMPLE_US),
    };
    let span = Span {
        from_us: from_us - from_us % step_us,
        to_us: to_us.div_ceil(step_us).saturating_mul(step_us),
        server: params.server,
    };
    Ok((span, step_us))
}

fn figures(text: &str) -> Result<Vec<Figure>, Problem> {
    let wanted = text.split(',').map(|word| {
        let word = word.trim();
        serde_json::from_value(serde_json::Value::from(word)).map_err(|_| {
            let message = format!("{word} is none; servers, attempts, answered, failed, channels, channels_peak, cps, cps_peak, asr, acd_s, pdd_p50_ms, pdd_p95_ms, mos, registrations, cpu_percent and memory_bytes are accepted");
            Problem::malformed_field("figures", message)
        })
    });
    wanted.collect()
}

/// Six hours.
const USUAL_US: u64 = 6 * 3_600_000_000;
/// Steps that a person would choose, in seconds.
const STEPS_S: [u64; 8] = [60, 120, 300, 600, 1_800, 3_600, 10_800, 21_600];
/// As many points as a screen has room for.
const POINTS_USUAL: u64 = 500;
const POINTS_MAX: u64 = 1_500;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: u64 = 3_600_000_000;
    const NOW_US: u64 = 1_000 * HOUR_US + 90_000_000;

    fn asked(from_us: Option<u64>, to_us: Option<u64>, step_s: Option<u64>) -> HistoryParams {
        HistoryParams {
            server: None,
            figures: None,
            from_us,
            to_us,
            step_s,
        }
    }

    #[test]
    fn whole_steps_cover_what_was_asked() {
        let (span, step_us) = span(&asked(None, None, None), NOW_US).unwrap();
        assert_eq!(step_us, SAMPLE_US);
        assert_eq!(span.to_us, 1_000 * HOUR_US + 120_000_000);
        assert_eq!(span.from_us, 994 * HOUR_US + 60_000_000);
        let week = asked(Some(NOW_US - HISTORY_US), None, None);
        let (span, step_us) = self::span(&week, NOW_US).unwrap();
        assert_eq!(step_us, 1_800_000_000);
        assert!(span.from_us <= NOW_US - HISTORY_US && span.to_us >= NOW_US);
        assert_eq!((span.from_us % step_us, span.to_us % step_us), (0, 0));
    }

    #[test]
    fn no_span_makes_more_points_than_there_may_be() {
        for from_us in [0, 1, NOW_US - 1, NOW_US - HISTORY_US] {
            for to_us in [None, Some(NOW_US), Some(u64::MAX)] {
                let (span, step_us) = span(&asked(Some(from_us), to_us, None), NOW_US).unwrap();
                assert!((span.to_us - span.from_us) / step_us <= POINTS_USUAL + 2);
            }
        }
        assert!(span(&asked(Some(0), None, Some(60)), NOW_US).is_err());
        assert!(span(&asked(None, None, Some(0)), NOW_US).is_err());
        assert!(span(&asked(None, None, Some(90)), NOW_US).is_err());
        assert!(span(&asked(Some(NOW_US), None, None), NOW_US).is_err());
        assert!(span(&asked(Some(u64::MAX), Some(u64::MAX), None), NOW_US).is_err());
        assert!(span(&asked(None, None, Some(u64::MAX)), NOW_US).is_err());
    }
}
