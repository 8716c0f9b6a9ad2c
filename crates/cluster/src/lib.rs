//! What a node decides about the cluster it belongs to, without asking anybody itself; and what the
//! live store that the nodes share does, as a value.

mod keeper;
mod live;
mod pause;
mod roster;
mod shelf;
mod watch;

pub use keeper::{Answer, Ask, Keeper, Notice, Order, Question, Visit, Whereabouts};
pub use live::{
    Change, DRAIN, Found, GRACE, Kept, LACKED_MAX, Late, LiveModel, Member, NOBODY, Renewal,
    Renewed, SPARED, Word,
};
pub use pause::PauseWatch;
pub use roster::Roster;
pub use shelf::{Lost, Shelf, Strange, Told};
pub use watch::{Door, Watch};
