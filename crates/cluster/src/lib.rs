//! What a node decides about the cluster it belongs to, without asking anybody itself; and what the
//! live store that the nodes share does, as a value.

mod live;
mod shelf;
mod watch;

pub use live::{
    Change, DRAIN, Found, GRACE, Kept, LACKED_MAX, Late, LiveModel, Member, NOBODY, Renewal,
    Renewed,
};
pub use shelf::{Lost, Shelf, Strange, Told};
pub use watch::{Door, Watch};
