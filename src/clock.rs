//! The only reader of the system clock.

use std::time::SystemTime;

use crate::quantity::Time;

/// The time now.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(0))
}
