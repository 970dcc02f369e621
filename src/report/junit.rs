//! What `check` found as `JUnit` XML: one test case a finding, and one for each object without any.
//!
//! The dialect is the common one of CI systems (Jenkins' `junit-10.xsd`, which GitLab follows).

use std::fmt::Write;

use crate::control::Mode;

use super::check::{CheckReport, Entry, Subject};
use super::console::place;
use super::text::visible;

/// The report as XML. A finding whose mode `fails` is a failed test case, any other a skipped one,
/// which CI systems show without turning red; what could not be read is an error.
pub fn render(report: &CheckReport, fails: impl Fn(Mode) -> bool) -> String {
    let failures = report
        .findings()
        .filter(|(_, entry)| fails(entry.mode))
        .count();
    let skipped = report.findings().count() - failures;
    let passed = report
        .subjects
        .iter()
        .filter(|subject| subject.findings.is_empty())
        .count();
    let errors = report.unreadable.len();
    let tests = failures + skipped + passed + errors;
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuites tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">"
    );
    let _ = writeln!(
        xml,
        "  <testsuite name=\"tidegate check\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\">"
    );
    for subject in &report.subjects {
        if subject.findings.is_empty() {
            let _ = writeln!(
                xml,
                "    {}/>",
                opening(subject, &subject.title(), subject.source.line)
            );
        }
        for entry in &subject.findings {
            finding(subject, entry, fails(entry.mode), &mut xml);
        }
    }
    for unreadable in &report.unreadable {
        let path = attribute(&unreadable.source.path);
        let name = attribute(&format!("document {}", unreadable.source.document));
        let message = attribute(&unreadable.error);
        let text = attribute(&format!(
            "{}: {}",
            place(&unreadable.source),
            unreadable.error
        ));
        let _ = writeln!(
            xml,
            "    <testcase classname=\"{path}\" name=\"{name}\" file=\"{path}\">\n      \
             <error message=\"{message}\" type=\"unreadable\">{text}</error>\n    </testcase>"
        );
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

fn finding(subject: &Subject, entry: &Entry, fails: bool, xml: &mut String) {
    let name = format!("{} {}", subject.title(), entry.rule());
    let _ = writeln!(
        xml,
        "    {}>",
        opening(subject, &name, entry.line_or(subject.source.line))
    );
    let message = attribute(&entry.message);
    if fails {
        let fields = if entry.fields.is_empty() {
            String::new()
        } else {
            format!("\nat {}", attribute(&entry.fields.join(", ")))
        };
        let _ = writeln!(
            xml,
            "      <failure message=\"{message}\" type=\"{}\">{}: {message}{fields}\nfix: {}</failure>",
            entry.mode,
            attribute(&place(&subject.source)),
            attribute(&entry.fix),
        );
    } else {
        let _ = writeln!(
            xml,
            "      <skipped message=\"{}: {message}\"/>",
            entry.mode
        );
    }
    xml.push_str("    </testcase>\n");
}

/// The start of a test case's tag, without its end.
fn opening(subject: &Subject, name: &str, line: u32) -> String {
    let path = attribute(&subject.source.path);
    let name = attribute(name);
    format!("<testcase classname=\"{path}\" name=\"{name}\" file=\"{path}\" line=\"{line}\"")
}

/// Text as it may stand in an attribute or between tags. XML 1.0 has no way to write most control
/// characters, so they are shown as escapes.
fn attribute(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_the_xml() {
        assert_eq!(
            attribute("<a b=\"c\">&\u{1}\n\u{ffff}"),
            "&lt;a b=&quot;c&quot;&gt;&amp;\\u{1}\\n\u{fffd}"
        );
    }
}
