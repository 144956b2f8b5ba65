//! The process: start, the desk, stop, and what systemd wants to know.

mod books;
mod complaints;
mod desk;
mod hand;
mod run;
mod systemd;
mod timekeeper;
mod views;

pub use books::Books;
pub use desk::{Desk, Inbox};
pub use run::{Running, StartError, run, start};
pub use timekeeper::{Timekeeper, Told};
pub use views::open as open_view;
