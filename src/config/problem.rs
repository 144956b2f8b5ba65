//! A mistake in the configuration: its code, its place, what is wrong and what would be right.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::config::layers::{Place, Source, variable};
use crate::config::show::is_secret;

/// Whether the daemon starts in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does not.
    Error,
    /// It does.
    Warning,
}

/// One problem.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Stable: `C001`.
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// The key, with dots: `meters.sw-gas.unit`.
    pub path: String,
    /// Where it stands. `None`: in the environment, or nowhere because it is missing altogether.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do, where the message does not say.
    pub help: Option<String>,
}

/// All problems of a configuration, with the texts they point into.
#[derive(Debug, Default)]
pub struct Report {
    /// In order of file and line.
    pub problems: Vec<Problem>,
    /// The files that were read.
    pub sources: Vec<Source>,
}

impl Report {
    /// True when the daemon must not start.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
    }

    /// Sorts problems by place.
    pub(crate) fn sort(&mut self) {
        self.problems.sort_by(|a, b| {
            let key = |p: &Problem| p.place.as_ref().map_or((usize::MAX, 0), |place| (place.source, place.start));
            key(a).cmp(&key(b)).then_with(|| a.path.cmp(&b.path))
        });
    }

    /// For people: `file:line:column`, the line, a caret.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            let _ = writeln!(text, "{}\n", self.render(problem));
        }
        let count = |severity| self.problems.iter().filter(|p| p.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        if errors + warnings > 0 {
            let _ = writeln!(text, "{errors} error(s), {warnings} warning(s)");
        }
        text
    }

    fn render(&self, problem: &Problem) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let cell = self.cell(problem).map_or_else(String::new, |cell| format!("cell {cell}: "));
        let title = format!("{cell}{}", problem.message);
        let title = level.primary_title(&title).id(problem.code);
        let located = problem.place.as_ref().and_then(|place| Some((place, self.sources.get(place.source)?)));
        let is_shown = located.is_none_or(|(place, source)| !is_secret(&problem.path, source.line(place.start)));
        let mut group = match located {
            Some(_) if !is_shown => Group::with_title(title).element(Level::NOTE.message(self.place(problem))),
            Some((place, source)) => {
                let span = place.start..place.end.max(place.start);
                let annotation = AnnotationKind::Primary.span(span);
                title.element(Snippet::source(&source.text).path(&source.name).annotation(annotation))
            }
            None if problem.path.is_empty() => Group::with_title(title),
            None => {
                let keys: Vec<&str> = problem.path.split('.').collect();
                let variable = variable(&keys);
                let place = match std::env::var_os(&variable) {
                    Some(_) => format!("in the environment: {variable}"),
                    None => format!("at `{}`", problem.path),
                };
                Group::with_title(title).element(Level::NOTE.message(place))
            }
        };
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help));
        }
        Renderer::plain().render(&[group])
    }

    /// A problem in one line: where, and what.
    pub fn line(&self, problem: &Problem) -> String {
        match self.place(problem).as_str() {
            "" => problem.message.clone(),
            place => format!("{place}: {}", problem.message),
        }
    }

    /// `file:line:column`, where that is known.
    fn place(&self, problem: &Problem) -> String {
        let located = problem.place.as_ref().and_then(|place| Some((place, self.sources.get(place.source)?)));
        match located {
            Some((place, source)) => {
                let (line, column) = source.line_column(place.start);
                format!("{}:{line}:{column}", source.name)
            }
            None => String::new(),
        }
    }

    /// The cell of a list that a problem is in.
    pub fn cell(&self, problem: &Problem) -> Option<String> {
        let place = problem.place.as_ref()?;
        self.sources.get(place.source)?.cell(place)
    }

    /// For editors and CI: one JSON array.
    pub fn to_json(&self) -> String {
        let problems: Vec<_> = self.problems.iter().map(|p| self.json(p)).collect();
        serde_json::Value::Array(problems).to_string()
    }

    fn json(&self, problem: &Problem) -> serde_json::Value {
        let located = problem.place.as_ref().and_then(|place| Some((place, self.sources.get(place.source)?)));
        let (line, column) = located.map_or((None, None), |(place, source)| {
            let (line, column) = source.line_column(place.start);
            (Some(line), Some(column))
        });
        serde_json::json!({
            "code": problem.code,
            "severity": match problem.severity { Severity::Error => "error", Severity::Warning => "warning" },
            "file": located.map(|(_, source)| source.name.clone()),
            "line": line,
            "column": column,
            "cell": self.cell(problem),
            "path": problem.path,
            "message": problem.message,
            "help": problem.help,
        })
    }
}
