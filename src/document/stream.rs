//! A text as its documents.

use super::build::Budget;
use super::json::{Reader, Stop, Then};
use super::{Document, Node, ParseError, Value, line_breaks, line_number, yaml};

/// The documents of `text`, in order. A document that cannot be read is an error in its place and
/// hides none of the others, except that after broken JSON only documents behind a `---` line
/// can be found again.
pub fn parse(text: &str) -> Vec<Result<Document, ParseError>> {
    let mut stream = Stream::default();
    if text.trim_start().starts_with('{') {
        stream.json(text);
    } else {
        stream.yaml(text, 0, None);
    }
    stream.documents
}

#[derive(Default)]
struct Stream {
    documents: Vec<Result<Document, ParseError>>,
    /// The number of the next document.
    index: usize,
    budget: Budget,
}

impl Stream {
    fn json(&mut self, text: &str) {
        let mut reader = Reader::new(text);
        while let Some(result) = reader.next(&mut self.budget) {
            match result {
                Ok(node) => self.document(node),
                Err(stop) if stop.then == Then::Next => self.error(stop.line, stop.message),
                Err(stop) => {
                    // The reader stands where the value began. kubectl drops the rest of that
                    // line when it is blank, and reads on as YAML.
                    let rest = text.get(reader.position()..).unwrap_or_default();
                    let blank = rest
                        .find(|character: char| !character.is_whitespace() || character == '\n');
                    let start = match blank {
                        Some(at) if rest.as_bytes().get(at) == Some(&b'\n') => at + 1,
                        Some(at) => at,
                        None => rest.len(),
                    };
                    let rest = rest.get(start..).unwrap_or_default();
                    let before = text.strip_suffix(rest).unwrap_or_default();
                    let skipped = line_breaks(before.as_bytes());
                    self.yaml(rest, skipped, Some(stop));
                    return;
                }
            }
        }
    }

    /// Reads YAML documents from after `skipped` lines of the text. `stop` is why the text is not
    /// read as JSON though it began as such.
    fn yaml(&mut self, text: &str, skipped: usize, mut stop: Option<Stop>) {
        for (position, section) in sections(text, skipped).into_iter().enumerate() {
            let result = match section.wrong {
                Some(wrong) => Err(wrong),
                None => yaml::read(section.text, section.skipped, &mut self.budget),
            };
            // Comments before the first `---` are no document.
            if position == 0 && matches!(result, Ok(None)) {
                stop = None;
                continue;
            }
            let stop = stop.take();
            // Two JSON values make the text JSON for good.
            if let Some(stop) = &stop
                && (stop.then == Then::Lost || self.index > 1)
            {
                self.error(stop.line, stop.message.clone());
                continue;
            }
            match (result, stop) {
                (Ok(Some(node)), _) => self.document(node),
                (Ok(None), _) => self.index += 1,
                (Err(wrong), Some(stop)) => {
                    let yaml = format!("nor is it YAML (line {}: {})", wrong.line, wrong.message);
                    self.error(stop.line, format!("{}; {yaml}", stop.message));
                }
                (Err(wrong), None) => self.error(wrong.line, wrong.message),
            }
        }
    }

    fn document(&mut self, node: Node) {
        if node.value != Value::Null {
            self.documents.push(Ok(Document {
                index: self.index,
                line: node.line,
                node,
            }));
        }
        self.index += 1;
    }

    fn error(&mut self, line: u32, message: String) {
        self.documents.push(Err(ParseError {
            document: self.index,
            line,
            message,
        }));
        self.index += 1;
    }
}

/// What stands between two `---` lines.
struct Section<'t> {
    text: &'t str,
    /// Lines of the text before it.
    skipped: usize,
    /// Why it cannot be read.
    wrong: Option<yaml::Wrong>,
}

/// Cuts a text at its `---` lines as kubectl does: before reading, so that no document can break
/// another. kubectl takes nothing but a comment behind `---`.
fn sections(text: &str, skipped: usize) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let (mut start, mut offset, mut first) = (0, 0, skipped);
    let mut wrong = None;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let end = offset;
        offset += line.len();
        let Some(behind) = line.strip_prefix("---") else {
            continue;
        };
        let behind = behind.trim();
        if behind.is_empty() || behind.starts_with('#') {
            sections.push(Section {
                text: text.get(start..end).unwrap_or_default(),
                skipped: first,
                wrong: wrong.take(),
            });
            (start, first) = (offset, skipped + number + 1);
        } else if wrong.is_none() {
            wrong = Some(yaml::Wrong {
                line: line_number(skipped + number + 1),
                message: format!(
                    "kubectl takes only a comment behind `---`, found {:?}",
                    shortened(behind)
                ),
            });
        }
    }
    sections.push(Section {
        text: text.get(start..).unwrap_or_default(),
        skipped: first,
        wrong,
    });
    sections
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
