//! Manual pages: those of the commands, with what none of them says of itself, and that of the configuration.

use std::path::Path;

use roff::{Inline, Roff, bold, italic, roman};

use crate::cli::generate::reference::{ABOUT_FILE, Section, sections};
use crate::cluster::Category;
use crate::quantity::unit_groups;

/// Of each command.
const EXIT_STATUS: [(&str, &str); 5] = [
    ("0", "All went well."),
    ("1", "It failed while it ran; the message says why."),
    ("64", "The command line is wrong."),
    ("69", "Another process holds the state directory or the port."),
    ("78", "The configuration is faulty, or a file that it names cannot be read; `emissiond check` shows all of it."),
];

const FILES: [(&str, &str); 5] = [
    ("/etc/emissiond/emissiond.toml", "The configuration; see emissiond.toml(5)."),
    ("/etc/emissiond/conf.d/*.toml", "More of it, in the order of their names."),
    (
        "/var/lib/emissiond",
        "The state of the service: what was received, what is booked, the alarms. `emissiond backup` copies it.",
    ),
    (
        "/etc/emissiond/secrets",
        "Passwords, tokens and keys, root's alone: handed to the service when it starts, as `secrets/NAME`.",
    ),
    ("/usr/share/doc/emissiond", "The tutorial, how-tos and the reference."),
];

const ENVIRONMENT: [(&str, &str); 2] = [
    ("EMISSIOND__SECTION__KEY", "The value of a key of the configuration; it comes before those of all files."),
    ("RUST_LOG", "How much the daemon says: error, warn, info (the default), debug."),
];

const EXAMPLES: [(&str, &str); 4] = [
    ("emissiond demo", "Shows what it is, with a broker, meters and a page of its own."),
    ("emissiond check", "Tells all mistakes of /etc/emissiond/emissiond.toml at once, with place and cure."),
    (
        "emissiond explain --meter boiler-gas --at 2026-01-31T12:00:00Z",
        "Shows how a figure came to be, from the payload on.",
    ),
    ("emissiond export --level facility --window 1d --format csv", "Writes the days of all facilities."),
];

/// Adds to the pages of a directory what clap does not know.
pub(crate) fn complete(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let mut page = std::fs::read_to_string(&path)?;
        let mut more = Roff::new();
        list(&mut more, "EXIT STATUS", &EXIT_STATUS);
        if path.ends_with("emissiond.1") {
            list(&mut more, "ENVIRONMENT", &ENVIRONMENT);
            list(&mut more, "FILES", &FILES);
            list(&mut more, "EXAMPLES", &EXAMPLES);
        }
        more.control("SH", ["SEE ALSO"]);
        more.text([
            bold("emissiond"),
            roman("(1), "),
            bold("emissiond.toml"),
            roman("(5), "),
            bold("systemctl"),
            roman("(1)"),
        ]);
        page.push_str(&more.render());
        std::fs::write(path, page)?;
    }
    std::fs::write(directory.join("emissiond.toml.5"), configuration())
}

fn list(page: &mut Roff, title: &str, items: &[(&str, &str)]) {
    page.control("SH", [title]);
    for (name, about) in items {
        page.control("TP", []);
        page.text([bold(*name)]);
        page.text(marked(about));
    }
}

fn configuration() -> String {
    let mut page = Roff::new();
    page.control("TH", ["emissiond.toml", "5", "", concat!("emissiond ", env!("CARGO_PKG_VERSION"))]);
    page.control("SH", ["NAME"]);
    page.text([roman("emissiond.toml - configuration of emissiond")]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([roman("/etc/emissiond/emissiond.toml")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text(marked(ABOUT_FILE));
    for Section { title, about, keys } in sections() {
        page.control("SH", [title.as_str()]);
        page.text(marked(&about));
        for key in keys {
            page.control("TP", []);
            page.text([bold(key.name), roman(" ("), italic(key.kind), roman(")")]);
            page.text(marked(&key.about));
        }
    }
    let categories = Category::ALL.map(|category| (category.name(), category.about()));
    list(&mut page, "CATEGORIES", &categories);
    page.control("SH", ["UNITS"]);
    for (what, names) in unit_groups() {
        page.control("TP", []);
        page.text([bold(names.join(" "))]);
        page.text([roman(what)]);
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("emissiond"), roman("(1)")]);
    page.render()
}

/// What stands between backticks is bold.
fn marked(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { bold(part) } else { roman(part.replace('\n', " ")) }).collect()
}
