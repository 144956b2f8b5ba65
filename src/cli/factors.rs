//! `emissiond factors list|show`: the catalogue, with every figure's source.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::cli::{FAILED, Failure, file_or_default, plan};
use crate::factor::{Catalogue, Row};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// A configuration whose own factor files are included; without it /etc/emissiond/emissiond.toml, where that is
    #[arg(long, short, global = true)]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// One line a set: set, series, use, validity, region, name, and its gases with their figures
    List {
        /// Only sets whose id, series, name or region contains this
        text: Option<String>,
    },
    /// Every row of a series or a set, with its source
    Show {
        /// A series or a set
        name: String,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let catalogue = match file_or_default(arguments.config.as_ref()) {
        Some(file) => plan(Some(&file))?.catalogue,
        None => Arc::new(Catalogue::shipped()),
    };
    match &arguments.command {
        Command::List { text } => list(&catalogue, text.as_deref().unwrap_or("")),
        Command::Show { name } => show(&catalogue, name),
    }
}

fn list(catalogue: &Catalogue, text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let text = text.to_lowercase();
    let matches =
        |row: &Row| [&row.set, &row.series, &row.name, &row.region].iter().any(|f| f.to_lowercase().contains(&text));
    let mut last = "";
    for row in catalogue.rows().filter(|row| matches(row)) {
        if row.set == last {
            continue;
        }
        last = &row.set;
        let gases: Vec<String> =
            catalogue.set(&row.set).iter().map(|r| format!("{} {} {}", r.gas.name(), r.value, r.unit)).collect();
        writeln!(
            out,
            "{:<36} {:<28} {:<10} {}..{} {:<8} {}  [{}]",
            row.set,
            row.series,
            row.usage.name(),
            row.valid_from.as_deref().unwrap_or(""),
            row.valid_to.as_deref().unwrap_or(""),
            row.region,
            row.name,
            gases.join("; ")
        )?;
    }
    Ok(())
}

fn show(catalogue: &Catalogue, name: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let Some(sets) = catalogue.vintages(name) else {
        return Err(Failure::new(FAILED, format!("no series or set `{name}`; see `emissiond factors list`")));
    };
    for row in sets.iter().flat_map(|set| catalogue.set(set)) {
        writeln!(out, "{}", row.id)?;
        writeln!(out, "  {} ({}, {})", row.name, row.region, row.usage.name())?;
        writeln!(
            out,
            "  {} {} of {}{}",
            row.value,
            row.unit,
            row.gas.name(),
            if row.biogenic { ", biogenic" } else { "" }
        )?;
        if let Some(basis) = row.basis {
            writeln!(out, "  on {}", basis.name())?;
        }
        if let Some(gwp) = &row.gwp_set {
            writeln!(out, "  CO2e with {gwp}")?;
        }
        let day = |date: &Option<String>| date.clone().unwrap_or_else(|| "any".to_owned());
        writeln!(
            out,
            "  valid {} to {}; set {}, series {}",
            day(&row.valid_from),
            day(&row.valid_to),
            row.set,
            row.series
        )?;
        writeln!(out, "  source: {}", row.source)?;
    }
    Ok(())
}
