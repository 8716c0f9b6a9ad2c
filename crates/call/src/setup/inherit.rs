//! A set-up that goes on at another node.

use sip::{Destination, Dialog, Flow};

use super::{ELSEWHERE, Setup, Upstream};
use crate::call::Call;
use crate::io::{Ctx, Output, RequestId};
use crate::leg::Reach;
use crate::pending::{Pending, Purpose};
use crate::reason::Cause;

/// What becomes of an INVITE that another node has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invited {
    /// Its peer has it again, in the same transaction, and answers here.
    Again,
    /// Its peer answers where it had it from.
    Elsewhere,
}

impl Setup {
    /// How many attempts have been made.
    pub(crate) fn branch_count(&self) -> usize {
        self.branches.len()
    }

    /// The owner's names for the attempts that are under way.
    pub(crate) fn open_tokens(&self) -> Vec<u32> {
        let open = self.branches.iter().filter(|b| b.request.is_some());
        open.map(|b| self.attempts[b.attempt].token).collect()
    }

    /// Everything is reached by listeners of this node, and no connection is ours.
    pub(crate) fn move_here(&mut self, here: &mut impl FnMut(Flow) -> Flow) {
        if let Upstream::Caller { flow, reach, .. } = &mut self.upstream {
            *flow = here(*flow);
            if flow.conn.take().is_some() {
                *reach = Reach::Target;
            }
        }
        for branch in &mut self.branches {
            branch.flow = Flow {
                conn: None,
                ..here(branch.flow)
            };
            for target in &mut branch.targets {
                *target = reached_from(target, here);
            }
        }
        let attempts = self.attempts.iter_mut();
        for destination in attempts.filter_map(|a| a.destination.as_mut()) {
            *destination = reached_from(destination, here);
        }
    }
}

impl Call {
    /// The owner's name for the transaction of the caller's INVITE here.
    pub fn rename_caller(&mut self, here: crate::Uas) {
        if let Some(setup) = &mut self.setup
            && let Upstream::Caller { uas, .. } = &mut setup.upstream
        {
            *uas = here;
        }
    }

    /// The INVITE of the caller is another call's now: this one ends, unheard by the caller, and whoever
    /// rings for it is told that somebody else goes on with it.
    pub fn give_way(&mut self, ctx: &mut Ctx<'_>) {
        if self.callers_invite().is_none() {
            return;
        }
        self.rename_caller(NO_CALLER);
        self.stop_looking(ctx, ELSEWHERE);
        self.fail_setup(ctx, 487, None, Cause::BegunAnew);
        self.tidy(ctx);
    }

    /// A call that rings goes on here: who was about to be asked is asked, and the caller hears that
    /// it still rings.
    pub(crate) fn resume_setup(&mut self, ctx: &mut Ctx<'_>) {
        let Some(setup) = &self.setup else { return };
        for at in setup.asking.clone() {
            let attempt = &setup.attempts[at];
            ctx.emit(Output::Dial {
                attempt: setup.first + at,
                token: attempt.token,
                destination: attempt.destination.clone(),
                uri: attempt.next_hop().into(),
            });
        }
        self.ring_again(ctx);
        self.settle(ctx);
    }

    /// What has become of an INVITE that another node had sent. Where its peer cannot be heard, it is
    /// cancelled; if it is one of an attempt, the same place is asked once more.
    pub fn inherit(&mut self, ctx: &mut Ctx<'_>, id: RequestId, became: Invited) {
        let known = self.pending.iter().find(|p| p.id == id);
        let branch = known.and_then(|pending| match pending.purpose {
            Purpose::Invite { branch } => Some(branch),
            _ => None,
        });
        match (branch, became) {
            (Some(_), Invited::Again) => {}
            (Some(branch), Invited::Elsewhere) => self.offer_again(ctx, id, branch),
            (None, _) => {
                // Of the target of a transfer, which is asked anew.
                let purpose = Purpose::Abandoned {
                    token: None,
                    access: None,
                };
                self.pending.push(Pending {
                    id,
                    purpose,
                    repeat: None,
                });
                let reason = ELSEWHERE.into();
                ctx.emit(Output::Cancel { id, reason });
            }
        }
    }

    /// Cancels the INVITE of a branch, and sends one in a dialog of its own.
    fn offer_again(&mut self, ctx: &mut Ctx<'_>, id: RequestId, branch: usize) {
        let access = self.setup.as_ref().and_then(|s| s.access(branch));
        self.abandon_request(ctx, id, None, access, ELSEWHERE);
        self.drop_pairs(ctx, |p| p.branch == branch);
        let (tag, call_id) = (self.new_tag(), self.random.call_id());
        let Some(setup) = &mut self.setup else { return };
        let entry = &mut setup.branches[branch];
        let plan = &setup.attempts[entry.attempt];
        entry.dialog = Dialog::of_caller(&call_id, &tag, &plan.from, &plan.to);
        entry.dialog.target.clone_from(&plan.uri);
        entry.dialog.routes.clone_from(&plan.routes);
        entry.request = None;
        entry.authorization = None;
        entry.targets.push(Destination::Address {
            transport: entry.flow.transport,
            listener: entry.flow.listener,
            remote: entry.flow.remote,
            name: "".into(),
        });
        self.try_target(ctx, branch);
    }
}

/// The name of no transaction: what is said there is not sent.
const NO_CALLER: crate::Uas = 0;

/// A path of another node as this one reaches it.
fn reached_from(destination: &Destination, here: &mut impl FnMut(Flow) -> Flow) -> Destination {
    let (name, flow) = match destination {
        Destination::Flow(flow) => ("".into(), *flow),
        Destination::Address {
            transport,
            listener,
            remote,
            name,
        } => (
            name.clone(),
            Flow {
                transport: *transport,
                listener: *listener,
                conn: None,
                remote: *remote,
            },
        ),
    };
    let flow = here(flow);
    Destination::Address {
        transport: flow.transport,
        listener: flow.listener,
        remote: flow.remote,
        name,
    }
}
