//! What a database lets us do: for whoever sets it up.

use crate::influx::client::Bucket;
use crate::influx::{Database, Options, QueryError, WriteError};
use crate::pipeline::Rules;
use crate::quantity::Time;

/// What was found.
#[derive(Clone, Debug)]
pub struct Examined {
    /// Of what.
    pub what: &'static str,
    /// As it should be: what it is. `Err`: what is wrong, and what to do.
    pub found: Result<String, (String, &'static str)>,
}

/// Looks at the version, the bucket and its retention, and writes a point of its own (`emissiond_probe`).
pub async fn examine(options: &Options, rules: &Rules, now: fn() -> Time) -> Vec<Examined> {
    let wrong = |what, text: String, cure| vec![Examined { what, found: Err((text, cure)) }];
    let bucket = match Bucket::new(options, now) {
        Ok(bucket) => bucket,
        Err(error) => return wrong("database", error.to_string(), "see `influxdb.url` and `influxdb.token_file`"),
    };
    let mut all = Vec::new();
    match bucket.version().await {
        Ok(version) => all.push(Examined { what: "database", found: Ok(version) }),
        Err(error) => return wrong("database", error, "start it, or see `influxdb.url`"),
    }
    all.push(Examined { what: "bucket", found: retention(options, rules, &bucket).await });
    let line = format!("emissiond_probe value=1i {}", now().0 / 1_000);
    let written = match bucket.write(&line).await {
        Ok(()) => Ok(format!("a point is written to `{}`", options.bucket)),
        Err(WriteError::Later { trouble, .. } | WriteError::Split(trouble) | WriteError::Broken(trouble)) => {
            Err((trouble, "the token must be let to write to the bucket: influx auth create --write-bucket ID"))
        }
    };
    all.push(Examined { what: "write", found: written });
    all
}

async fn retention(options: &Options, rules: &Rules, bucket: &Bucket) -> Result<String, (String, &'static str)> {
    let name = &options.bucket;
    let needed = options.longest_seconds() + rules.late_horizon.0 / 1_000;
    let days = |seconds: i64| seconds / 86_400;
    match bucket.retention_seconds(name).await {
        Ok(Some(kept @ 1..)) if kept < needed => {
            let text = format!("`{name}` forgets after {} days what may be rewritten for {}", days(kept), days(needed));
            Err((text, "raise its retention (`influx bucket update --retention`), or write fewer windows"))
        }
        Ok(Some(kept @ 1..)) => Ok(format!("`{name}` keeps {} days, {} are needed", days(kept), days(needed))),
        Ok(Some(_)) => Ok(format!("`{name}` keeps all")),
        Ok(None) => Err((
            format!("there is no bucket `{name}` that the token may see"),
            "see `influxdb.bucket` and `influxdb.org`",
        )),
        Err(QueryError::Away(trouble) | QueryError::Refused(trouble)) => {
            Err((trouble, "the token must be let to read the bucket: influx auth create --read-bucket ID"))
        }
    }
}
