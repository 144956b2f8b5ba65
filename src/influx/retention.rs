//! Whether the bucket keeps points for as long as they may be rewritten.

use crate::influx::Database;
use crate::influx::lines::Lines;

/// A bucket that forgets sooner than the longest window and the horizon would drop what is rewritten. `None`: no answer.
pub(crate) async fn is_short(bucket: &impl Database, lines: &Lines) -> Option<bool> {
    let name = &lines.options.bucket;
    // Nought is for ever.
    let Some(kept @ 1..) = bucket.retention_seconds(name).await.ok()? else {
        return Some(false);
    };
    let needed = lines.options.longest_seconds() + lines.rules.late_horizon.0 / 1_000;
    if kept >= needed {
        return Some(false);
    }
    let days = |seconds: i64| seconds / 86_400;
    tracing::error!(
        bucket = name,
        kept_days = days(kept),
        needed_days = days(needed),
        "the bucket forgets points that may still be rewritten: raise its retention, or write fewer windows"
    );
    Some(true)
}
