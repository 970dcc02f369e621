//! What `check` found, for reading on a terminal.

use std::fmt::Write;

use crate::control::Mode;
use crate::document::source::Source;

use super::check::{CheckReport, Entry, Subject};
use super::text::{count, visible};

/// How many fields of one finding are listed.
const FIELDS_SHOWN: usize = 10;

/// The colours of a terminal, or none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Whether colours are used.
    pub colour: bool,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// Text that stands out.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Text that stands back.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Text in the colour of a mode.
    pub fn mode(self, mode: Mode, text: &str) -> String {
        match mode {
            Mode::Enforce => self.paint("31", text),
            Mode::Warn => self.paint("33", text),
            Mode::Audit | Mode::Off => self.paint("36", text),
        }
    }
}

/// The report for reading: what was found, object by object, and a summary.
pub fn render(report: &CheckReport, style: Style) -> String {
    let mut text = String::new();
    for subject in report
        .subjects
        .iter()
        .filter(|subject| !subject.findings.is_empty())
    {
        render_subject(subject, style, &mut text);
        text.push('\n');
    }
    render_summary(report, style, &mut text);
    text
}

/// `a.yaml:7`, or only the file where there is no line.
pub fn place(source: &Source) -> String {
    let path = visible(&source.path);
    if source.line == 0 {
        path.into_owned()
    } else {
        format!("{path}:{}", source.line)
    }
}

fn render_subject(subject: &Subject, style: Style, out: &mut String) {
    let title = visible(&subject.title()).into_owned();
    let advised = subject
        .findings
        .iter()
        .any(|entry| entry.mode == Mode::Enforce);
    let outcome = match (subject.allowed, advised) {
        (false, _) => style.mode(Mode::Enforce, "denied"),
        // What is found in a template denies the pods and not what makes them.
        (true, true) => style.mode(Mode::Enforce, "allowed, but its pods would be denied"),
        (true, false) => style.dim("allowed"),
    };
    let _ = writeln!(
        out,
        "{}  {}  {outcome}",
        place(&subject.source),
        style.bold(&title)
    );
    for entry in &subject.findings {
        render_entry(entry, style, out);
    }
}

fn render_entry(entry: &Entry, style: Style, out: &mut String) {
    let mode = format!("{:<7}", entry.mode);
    let _ = writeln!(
        out,
        "  {}  {}",
        style.mode(entry.mode, &mode),
        style.bold(&entry.rule())
    );
    let mut detail = |text: &str| {
        let _ = writeln!(out, "           {}", visible(text));
    };
    detail(&entry.message);
    for (field, line) in entry.fields.iter().zip(&entry.lines).take(FIELDS_SHOWN) {
        if *line == 0 {
            detail(&format!("at {field}"));
        } else {
            detail(&format!("at {field} (line {line})"));
        }
    }
    if entry.fields.len() > FIELDS_SHOWN {
        detail(&format!(
            "and {} more",
            count(entry.fields.len() - FIELDS_SHOWN, "field", "fields")
        ));
    }
    if let Some(exception) = &entry.exception {
        detail(&format!("excepted by {exception}"));
    }
    detail(&format!("fix: {}", entry.fix));
}

fn render_summary(report: &CheckReport, style: Style, out: &mut String) {
    let summary = report.summary();
    let found = report
        .subjects
        .iter()
        .filter(|subject| !subject.findings.is_empty())
        .count();
    let mut parts = vec![count(summary.subjects, "object", "objects")];
    if summary.denied > 0 {
        parts.push(format!("{} denied", summary.denied));
    }
    if found > summary.denied {
        parts.push(format!("{} allowed with findings", found - summary.denied));
    }
    let counts = summary.findings;
    if counts.total() == 0 {
        parts.push("no findings".into());
    } else {
        let modes = [
            (counts.enforce, "enforce"),
            (counts.warn, "warn"),
            (counts.audit, "audit"),
        ];
        let modes: Vec<String> = modes
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, name)| format!("{number} {name}"))
            .collect();
        parts.push(format!(
            "{} ({})",
            count(counts.total(), "finding", "findings"),
            modes.join(", ")
        ));
    }
    if summary.unreadable > 0 {
        parts.push(format!(
            "{} could not be read",
            count(summary.unreadable, "document", "documents")
        ));
    }
    let _ = writeln!(out, "{}", style.bold(&parts.join(", ")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_used_only_where_there_are_any() {
        let plain = Style { colour: false };
        let colourful = Style { colour: true };
        assert_eq!(plain.mode(Mode::Enforce, "enforce"), "enforce");
        assert_eq!(
            colourful.mode(Mode::Enforce, "enforce"),
            "\u{1b}[31menforce\u{1b}[0m"
        );
        assert!(render(&CheckReport::default(), colourful).starts_with("\u{1b}[1m0 objects"));
    }
}
