//! Usage to activity: what each clock quarter of a meter holds, minute by minute.

mod activity;
mod split;

pub use activity::{Activity, Minute};
pub use split::Sheet;
