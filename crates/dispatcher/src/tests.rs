//! The dispatcher by the rules it keeps, message by message.

mod flows;
mod forwarding;
mod judging;
mod moving;
mod rubbish;
mod world;
