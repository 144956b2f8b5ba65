//! `emissiond rules`: what raises alarms, and tests of it.

mod notation;
mod test;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::alert::Rule;
use crate::cli::{Failure, plan};
use crate::cluster::Topology;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show all rules with what they watch
    List(List),
    /// Run tests of rules: readings in, turns of alarms out
    Test(test::Arguments),
}

#[derive(Args)]
struct List {
    /// The configuration
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::List(list) => {
            let plan = plan(Some(&list.config))?;
            plan.alarms.iter().for_each(|rule| println!("{}", line(rule, &plan.rules.topology)));
            Ok(())
        }
        Action::Test(arguments) => test::run(arguments),
    }
}

fn line(rule: &Rule, topology: &Topology) -> String {
    let entities: Vec<String> = rule.watched.iter().map(|watched| watched.text(topology)).collect();
    let shown = match entities.as_slice() {
        [first, .., last] if entities.len() > 3 => format!("{} from {first} to {last}", entities.len()),
        few => few.join(", "),
    };
    format!("{:<28} {:<8} {:<7} {shown}", rule.id.as_str(), rule.kind.name(), rule.priority.name())
}
