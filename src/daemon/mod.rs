//! The process: start, the desk, stop, and what systemd wants to know.

mod alarms;
mod answer;
mod backfill;
mod books;
mod complaints;
mod desk;
mod explain;
mod hand;
mod parts;
mod rebirths;
mod reload;
mod restate;
mod retain;
mod run;
mod secure;
mod stages;
mod systemd;
mod timekeeper;
mod unmapped;
mod views;

pub use backfill::Backfilled;
pub use books::Books;
pub use desk::{Desk, Inbox};
pub use explain::Explainer;
pub use restate::Cause;
pub use run::{Running, StartError, run, start};
pub use secure::unfit;
pub use timekeeper::{Timekeeper, Told};
pub use views::open as open_view;
