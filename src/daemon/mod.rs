//! The process: start, the desk, stop, and what systemd wants to know.

mod desk;
mod recover;
mod run;
mod systemd;
mod views;

pub use desk::{Desk, Inbox};
pub use recover::{Recovered, recover};
pub use run::{Running, StartError, run, start};
pub use views::open as open_view;
