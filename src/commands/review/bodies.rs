//! Request bodies one after another in one text.

/// One body and the line it starts on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Body<'t> {
    /// Line of the text, from 1.
    pub(super) line: usize,
    /// The body's bytes.
    pub(super) bytes: &'t [u8],
}

/// Cuts a text into bodies: JSON objects one after another, on one line each or on many. What is no
/// object, or is one without an end, is a body that ends with its line, so that those after it are
/// found.
pub(super) fn bodies(text: &[u8]) -> Vec<Body<'_>> {
    let mut bodies = Vec::new();
    let mut rest = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let mut line = 1;
    // Once an object has been found to have no end, looking for ends would be quadratic.
    let mut by_line = false;
    loop {
        let blank = rest
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let (before, from) = rest.split_at(blank);
        line += lines(before);
        let Some(first) = from.first() else {
            return bodies;
        };
        let end = if by_line || *first != b'{' {
            End::Broken
        } else {
            end_of_object(from)
        };
        by_line |= end == End::Missing;
        let end = match end {
            End::At(end) => end,
            End::Broken | End::Missing => from
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(from.len()),
        };
        let (bytes, after) = from.split_at(end);
        bodies.push(Body { line, bytes });
        line += lines(bytes);
        rest = after;
    }
}

fn lines(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count().saturating_sub(1)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// After so many bytes.
    At(usize),
    /// A string runs into the next line, which JSON forbids.
    Broken,
    /// The text ends first.
    Missing,
}

/// Where the object that starts `text` ends.
fn end_of_object(text: &[u8]) -> End {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (index, byte) in text.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                b'\n' => return End::Broken,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return End::At(index + 1);
                }
            }
            _ => {}
        }
    }
    End::Missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(usize, String)> {
        let text_of = |body: Body| (body.line, String::from_utf8_lossy(body.bytes).into_owned());
        bodies(text.as_bytes()).into_iter().map(text_of).collect()
    }

    fn expected(bodies: &[(usize, &str)]) -> Vec<(usize, String)> {
        bodies
            .iter()
            .map(|(line, text)| (*line, (*text).to_owned()))
            .collect()
    }

    #[test]
    fn bodies_stand_one_a_line_or_over_several_or_on_the_same() {
        assert_eq!(
            cut("{\"a\":1}\n\n{\n \"b\": [{}]\n}\n{}{}"),
            expected(&[
                (1, "{\"a\":1}"),
                (3, "{\n \"b\": [{}]\n}"),
                (6, "{}"),
                (6, "{}"),
            ])
        );
        assert_eq!(cut(" \n\t\r\n"), []);
    }

    #[test]
    fn braces_in_strings_do_not_count() {
        let text = r#"{"a":"}\"{","b":"\\"}"#;
        assert_eq!(cut(text), expected(&[(1, text)]));
    }

    #[test]
    fn what_is_broken_ends_with_its_line() {
        assert_eq!(cut("nonsense\n{}"), expected(&[(1, "nonsense"), (2, "{}")]));
        assert_eq!(
            cut("{\"a\":\"x\n{\n}\n"),
            expected(&[(1, "{\"a\":\"x"), (2, "{\n}")])
        );
        assert_eq!(
            cut("{\"a\":{}\n{}\n{}"),
            expected(&[(1, "{\"a\":{}"), (2, "{}"), (3, "{}")])
        );
    }

    #[test]
    fn many_objects_without_an_end_take_no_longer_than_one() {
        let text = "{\n".repeat(200_000);
        assert_eq!(bodies(text.as_bytes()).len(), 200_000);
    }
}
