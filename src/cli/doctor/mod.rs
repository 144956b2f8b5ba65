//! `emissiond doctor`: whether all that the daemon hangs on is as it should be, and what to do where it is not.

mod broker;
mod daemon;
mod database;
mod machine;
mod service;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::doctor::service::Unit;
use crate::cli::{CONFIGURATION, FAILED, Failure, runtime};
use crate::config::{Severity, load};
use crate::tls::{SOON_DAYS, VERY_SOON_DAYS};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration of the daemon, which may run
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
}

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Pass,
    Warn,
    Fail,
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    mark: Mark,
    what: &'static str,
    text: String,
    cure: Option<String>,
}

impl Line {
    pub(crate) fn pass(what: &'static str, text: impl Into<String>) -> Line {
        Line { mark: Mark::Pass, what, text: text.into(), cure: None }
    }

    pub(crate) fn warn(what: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Line {
        Line { mark: Mark::Warn, what, text: text.into(), cure: Some(cure.into()) }
    }

    pub(crate) fn fail(what: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Line {
        Line { mark: Mark::Fail, what, text: text.into(), cure: Some(cure.into()) }
    }

    fn text(&self) -> String {
        let mark = match self.mark {
            Mark::Pass => "pass",
            Mark::Warn => "warn",
            Mark::Fail => "FAIL",
        };
        let cure = self.cure.as_ref().map_or_else(String::new, |cure| format!("\n      {:<14}-> {cure}", ""));
        format!("{mark}  {:<14}  {}{cure}", self.what, self.text)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (plan, report) = load(Some(&arguments.config));
    let count = |severity| report.problems.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let file = arguments.config.display();
    let cure = format!("emissiond check --config {file}");
    let mut lines = vec![match (errors, warnings) {
        (0, 0) => Line::pass("configuration", format!("{file} has no mistake")),
        (0, _) => Line::warn("configuration", format!("{file}: {warnings} warning(s)"), cure),
        _ => Line::fail("configuration", format!("{file}: {errors} error(s)"), cure),
    }];
    let Some(plan) = plan else {
        // The one in force is the one before.
        let address = crate::cli::address(Some(&arguments.config));
        if let Ok(address) = address {
            lines.extend(runtime()?.block_on(daemon::look(address, None)));
        }
        lines.extend(service::look(&Unit::read(), &[]));
        print(&lines)?;
        return Err(Failure::new(CONFIGURATION, "nothing more can be looked at while the configuration is faulty"));
    };
    lines.extend(runtime()?.block_on(async {
        let mut lines = broker::look(&plan.mqtt).await;
        lines.extend(database::look(&plan).await);
        lines.extend(daemon::look(plan.daemon.http, Some(&plan)).await);
        lines
    }));
    lines.extend(daemon::jumps(&plan));
    let unit = Unit::read();
    lines.extend(machine::look(&plan, &unit));
    lines.extend(service::look(&unit, &machine::secrets(&plan)));
    print(&lines)?;
    let failed = lines.iter().filter(|line| line.mark == Mark::Fail).count();
    if failed > 0 { Err(Failure::new(FAILED, format!("{failed} of {} failed", lines.len()))) } else { Ok(()) }
}

fn print(lines: &[Line]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{}", line.text())?;
    }
    Ok(())
}

/// How long a certificate is valid yet.
pub(crate) fn expiry(what: &'static str, whose: &str, not_after: i64) -> Line {
    let end = crate::quantity::Time(not_after.saturating_mul(1_000));
    let days = (not_after * 1_000 - crate::clock::now().0).div_euclid(86_400_000);
    let text = format!("{whose} is valid until {end}, {days} days");
    let cure = "renew it, and `systemctl reload emissiond` (`restart` where it is a credential of the unit)";
    if days < VERY_SOON_DAYS {
        Line::fail(what, text, cure)
    } else if days < SOON_DAYS {
        Line::warn(what, text, cure)
    } else {
        Line::pass(what, text)
    }
}
