//! The dispatcher by the rules it keeps, message by message.

mod clients;
mod flows;
mod forwarding;
mod judging;
mod late;
mod moved;
mod moving;
mod relief;
mod repeating;
mod rubbish;
mod world;
