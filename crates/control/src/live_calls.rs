//! Calls in progress at all servers of the platform: this node asks itself and those that have joined,
//! each by its line, a few at a time, and puts together one page.
//!
//! Who does not answer in time is named in the answer: what the others have is shown all the same.

use std::ops::ControlFlow;
use std::time::Duration;

use model::{CallId, CallView, ServerId, ServerRole};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::control::now;
use crate::nodes::Silence;
use crate::questions::{Answer, Question};
use crate::reach::Reach;
use crate::{CallFilter, CallsFound, Control, Problem};

/// One page of the calls in progress.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CallPage {
    /// What was found.
    items: Vec<CallView>,
    /// To be given as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
    /// How many calls match on all pages, of the servers that have answered.
    total: usize,
    /// Servers that have not answered: their calls are missing here.
    unheard: Vec<UnheardServer>,
}

/// A server that has not answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct UnheardServer {
    /// Which; `None`: the node that is asked, where there is no list of servers.
    server: Option<ServerId>,
    /// What people call it.
    pub(crate) name: String,
    /// When it was heard of last; microseconds since the Unix epoch. `None`: never since control began.
    heard_us: Option<u64>,
    /// Why what it has is not known.
    pub(crate) why: String,
}

/// A server whose calls can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// Which; `None` where there is no list of servers.
    server: Option<ServerId>,
    name: String,
    kind: SeatKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SeatKind {
    Own,
    Joined,
}

/// What was looked for among all servers.
pub(crate) struct Found<T> {
    /// It, and where it is.
    pub(crate) found: Option<(Seat, T)>,
    /// Where it may be as well.
    pub(crate) unheard: Vec<UnheardServer>,
}

impl Control {
    /// A page of the calls that match, of servers within reach; those of one if it is given.
    pub(crate) async fn live_calls(
        &self,
        filter: CallFilter,
        (server, reach): (Option<ServerId>, &Reach),
        limit: usize,
        after: Option<CallId>,
    ) -> Result<CallPage, Problem> {
        let mut seats = self.seats().await;
        seats.retain(|seat| server.is_none_or(|wanted| seat.server == Some(wanted)));
        seats.retain(|seat| reach.has_server(seat.server));
        let is_alone = matches!(&*seats, [seat] if seat.kind == SeatKind::Own);
        let account = filter.account;
        let question = Question::Calls {
            filter,
            limit: limit + 1,
            after,
        };
        let mut merged = Merged::new(limit + 1);
        let mut unheard = Vec::new();
        self.ask_all(seats, &question, |seat, answer| {
            match answer {
                Ok(Answer::Calls(mut found)) => {
                    found
                        .items
                        .retain(|call| account.is_none() || call.account == account);
                    merged.add(&seat, found);
                }
                Ok(_) => unheard.push(self.unheard(seat, OTHER_ANSWER.to_owned())),
                Err(why) => unheard.push(self.unheard(seat, why)),
            }
            ControlFlow::Continue(())
        })
        .await;
        if let ([own], true) = (&*unheard, is_alone) {
            return Err(Problem::unavailable(own.why.clone()));
        }
        unheard.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(merged.page(unheard))
    }

    /// A call in progress, wherever it is within reach.
    pub(crate) async fn live_call(
        &self,
        id: CallId,
        reach: &Reach,
    ) -> Result<Found<CallView>, Problem> {
        let pick = |answer| match answer {
            Answer::Call(call) => Some(call.map(|call| *call)),
            _ => None,
        };
        let mut found = self.find(&Question::Call { id }, reach, pick).await?;
        if let Some((seat, call)) = &mut found.found {
            seat.mark(call);
        }
        Ok(found)
    }

    /// Ends a call wherever it is within reach, if it is of the account, where one is given.
    pub(crate) async fn hang_up_anywhere(
        &self,
        id: CallId,
        account: Option<model::AccountId>,
        reach: &Reach,
    ) -> Result<Found<()>, Problem> {
        let pick = |answer| match answer {
            Answer::HungUp(done) => Some(done.then_some(())),
            _ => None,
        };
        self.find(&Question::HangUp { id, account }, reach, pick)
            .await
    }

    /// Asks the server of a seat. Errors: why it does not answer.
    pub(crate) async fn ask_seat(
        &self,
        seat: &Seat,
        question: &Question,
        until: Instant,
    ) -> Result<Answer, String> {
        let answer = match (seat.kind, seat.server) {
            (SeatKind::Joined, Some(server)) => {
                self.expect_answer(server)?;
                let asked = self.asking().ask(server, question, until).await;
                asked.map_err(|silence| silence.to_string())?
            }
            _ => self.answer(question.clone()).await,
        };
        match answer {
            Answer::Failed(why) => Err(why),
            answer => Ok(answer),
        }
    }

    /// A node that reports no more does not answer either: nobody waits for it. Errors: it is one.
    pub(crate) fn expect_answer(&self, server: ServerId) -> Result<(), String> {
        let report = self.fleet().heard(server).report;
        let silent_us = report.map_or(0, |(_, at_us)| now().as_micros().saturating_sub(at_us));
        if silent_us < SILENT_MAX_US {
            return Ok(());
        }
        if !self.asking().has_line(server) {
            return Err(Silence::NoLine.to_string());
        }
        Err(format!("it says nothing for {} s", silent_us / 1_000_000))
    }

    /// The seat of a joined server.
    pub(crate) async fn seat_of(&self, server: ServerId) -> Option<Seat> {
        let roles = [ServerRole::Switch, ServerRole::Dispatcher];
        let seats = self.seats_of(&roles).await;
        seats.into_iter().find(|seat| seat.server == Some(server))
    }

    /// Whether this node is asked for what all servers have.
    pub(crate) async fn is_of_several(&self) -> bool {
        let roles = [ServerRole::Switch, ServerRole::Dispatcher];
        self.seats_of(&roles).await.len() > 1
    }

    /// This node, and the switches that have joined it.
    async fn seats(&self) -> Vec<Seat> {
        self.seats_of(&[ServerRole::Switch]).await
    }

    /// This node, and those that have joined it in one of these roles.
    pub(crate) async fn seats_of(&self, roles: &[ServerRole]) -> Vec<Seat> {
        let own = self.own_server();
        let mut seats = vec![Seat {
            server: own,
            name: self.platform().node(),
            kind: SeatKind::Own,
        }];
        // A store that was never reached since the start has no list; this node can be asked.
        let Ok(newest) = self.newest_snapshot().await else {
            return seats;
        };
        let snapshot = newest.borrow().clone();
        let is_control = self.platform_of().is_none();
        for server in &snapshot.servers {
            if own == Some(server.id) {
                seats[0].name.clone_from(&server.name);
            } else if !roles.contains(&server.role) {
                // It has nothing of what is wanted.
            } else if is_control && server.certificate.is_some() && server.revoked_us.is_none() {
                seats.push(Seat {
                    server: Some(server.id),
                    name: server.name.clone(),
                    kind: SeatKind::Joined,
                });
            }
        }
        seats
    }

    /// Asks this node, and the others if it does not have what is looked for, of those within reach; `pick` takes it out of
    /// an answer, and is `None` for answers to something else.
    async fn find<T: Send>(
        &self,
        question: &Question,
        reach: &Reach,
        pick: impl Fn(Answer) -> Option<Option<T>> + Send + Sync,
    ) -> Result<Found<T>, Problem> {
        let mut seats = self.seats().await;
        let others = seats.split_off(1);
        let is_alone = others.is_empty();
        let mut all = Found {
            found: None,
            unheard: Vec::new(),
        };
        for mut seats in [seats, others] {
            seats.retain(|seat| reach.has_server(seat.server));
            self.ask_all(seats, question, |seat, answer| {
                match answer.map(&pick) {
                    Ok(Some(Some(found))) => {
                        all.found = Some((seat, found));
                        return ControlFlow::Break(());
                    }
                    Ok(Some(None)) => {}
                    Ok(None) => all
                        .unheard
                        .push(self.unheard(seat, OTHER_ANSWER.to_owned())),
                    Err(why) => all.unheard.push(self.unheard(seat, why)),
                }
                ControlFlow::Continue(())
            })
            .await;
            if all.found.is_some() {
                break;
            }
        }
        if let ([own], true) = (&*all.unheard, is_alone) {
            return Err(Problem::unavailable(own.why.clone()));
        }
        Ok(all)
    }

    /// Asks servers, some at a time, and tells `hear` what each says, until it has heard enough.
    async fn ask_all(
        &self,
        seats: Vec<Seat>,
        question: &Question,
        mut hear: impl FnMut(Seat, Result<Answer, String>) -> ControlFlow<()> + Send,
    ) {
        let until = Instant::now() + ANSWER_TIME;
        let mut asked = JoinSet::new();
        let mut rest = seats.into_iter();
        loop {
            while asked.len() < ASKED_MAX
                && let Some(seat) = rest.next()
            {
                let (control, question) = (self.clone(), question.clone());
                asked.spawn(async move {
                    let answer = control.ask_seat(&seat, &question, until).await;
                    (seat, answer)
                });
            }
            let Some(answered) = asked.join_next().await else {
                return;
            };
            match answered.map(|(seat, answer)| hear(seat, answer)) {
                Ok(ControlFlow::Break(())) => return,
                Ok(ControlFlow::Continue(())) => {}
                Err(error) => tracing::error!(%error, "a question to a node did not end"),
            }
        }
    }

    pub(crate) fn unheard(&self, seat: Seat, why: String) -> UnheardServer {
        let report = seat.server.and_then(|id| self.fleet().heard(id).report);
        UnheardServer {
            server: seat.server,
            name: seat.name,
            heard_us: report.map(|(_, at_us)| at_us),
            why,
        }
    }
}

impl Seat {
    #[cfg(test)]
    pub(crate) fn of_tests() -> Self {
        Self {
            server: None,
            name: "n1".into(),
            kind: SeatKind::Own,
        }
    }

    /// Whether it is this node.
    pub(crate) fn is_own(&self) -> bool {
        self.kind == SeatKind::Own
    }

    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Which server it is, if there is a list of them.
    pub(crate) const fn server(&self) -> Option<ServerId> {
        self.server
    }

    fn mark(&self, call: &mut CallView) {
        call.server = self.server;
        call.server_name.clone_from(&self.name);
    }
}

/// The first calls of those that were heard of so far.
struct Merged {
    items: Vec<CallView>,
    /// Calls kept; those after them are on a later page.
    most: usize,
    total: usize,
}

impl Merged {
    const fn new(most: usize) -> Self {
        Self {
            items: Vec::new(),
            most,
            total: 0,
        }
    }

    fn add(&mut self, seat: &Seat, mut found: CallsFound) {
        found.items.truncate(self.most);
        found.items.iter_mut().for_each(|call| seat.mark(call));
        self.total += found.total;
        self.items.append(&mut found.items);
        self.items.sort_by_key(|call| call.id);
        // A call on its way from one server to another may be at both for a moment.
        self.items.dedup_by_key(|call| call.id);
        self.items.truncate(self.most);
    }

    fn page(mut self, unheard: Vec<UnheardServer>) -> CallPage {
        let limit = self.most - 1;
        let more = self.items.len() > limit;
        self.items.truncate(limit);
        let last = self.items.last().filter(|_| more);
        CallPage {
            next_cursor: last.map(|call| call.id.to_string()),
            items: self.items,
            total: self.total,
            unheard,
        }
    }
}

/// How long all servers together may take to answer a question.
pub(crate) const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Servers asked at a time: as many pages are in memory at once, half a megabyte each at most times.
pub(crate) const ASKED_MAX: usize = 64;
/// A node reports once a second; one that is silent for so long is not asked.
const SILENT_MAX_US: u64 = 5_000_000;
pub(crate) const OTHER_ANSWER: &str =
    "it answers something else than was asked: is it of an older version?";

#[cfg(test)]
mod tests {
    use model::CallState;

    use super::*;

    fn seat(number: u64, name: &str) -> Seat {
        Seat {
            server: Some(ServerId::from_parts(number, 1)),
            name: name.into(),
            kind: SeatKind::Joined,
        }
    }

    fn found(numbers: &[u64], total: usize) -> CallsFound {
        let call = |number: &u64| CallView {
            id: CallId::from_parts(*number, 1),
            server: None,
            server_name: String::new(),
            account: None,
            state: CallState::Answered,
            caller: "alice".into(),
            called: "bob".into(),
            start_us: *number,
            answer_us: None,
            legs: Vec::new(),
            explanation: Vec::new(),
        };
        CallsFound {
            items: numbers.iter().map(call).collect(),
            total,
        }
    }

    fn shown(page: &CallPage) -> Vec<(u64, &str)> {
        let item = |call: &'_ CallView| call.start_us;
        let names = page.items.iter().map(|call| call.server_name.as_str());
        page.items.iter().map(item).zip(names).collect()
    }

    #[test]
    fn a_page_has_the_first_calls_of_all_servers_in_order() {
        let (berlin, paris) = (seat(1, "berlin"), seat(2, "paris"));
        let mut merged = Merged::new(4);
        merged.add(&paris, found(&[2, 5, 6, 8], 900));
        merged.add(&berlin, found(&[1, 3, 7], 3));
        let page = merged.page(Vec::new());
        let wanted = [(1, "berlin"), (2, "paris"), (3, "berlin")];
        assert_eq!(shown(&page), wanted);
        let next = CallId::from_parts(3, 1).to_string();
        assert_eq!((page.total, page.next_cursor), (903, Some(next)));
    }

    #[test]
    fn the_last_page_has_no_next_and_a_call_stands_there_once() {
        let mut merged = Merged::new(4);
        merged.add(&seat(1, "berlin"), found(&[1, 2], 2));
        merged.add(&seat(2, "paris"), found(&[2, 3], 2));
        let page = merged.page(Vec::new());
        let numbers: Vec<u64> = shown(&page).iter().map(|(number, _)| *number).collect();
        assert_eq!((numbers, page.next_cursor), (vec![1, 2, 3], None));
    }
}
