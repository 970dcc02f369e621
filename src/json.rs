//! Reading JSON as Kubernetes' Go programs do, without copying what is not read.
//!
//! A review is mostly bytes nobody looks at: a third of a Pod is `managedFields`. The reader walks
//! the text once, hands out strings that borrow from it, and walks over what nobody reads with a
//! checked, iterative scan ([`skip`]), so that nesting costs no stack. It is a
//! [`serde::Deserializer`], so the structs of [`crate::objects`] are plain derives; the test suite
//! holds its results equal to `serde_json`'s.
//!
//! Where Go's decoder differs from serde's habits, Go's wins: `null` reads as the zero value of
//! whatever is expected (an absent field, an empty list, `""`, `0`, `false`).

mod access;
mod deserialize;
mod scan;
mod skip;
mod special;
mod structure;
pub mod tree;

use serde::Deserialize;

pub use skip::MAX_SKIP_DEPTH;

/// The most elements one typed list or map may hold.
pub const MAX_LIST: usize = 10_000;

/// The most elements all typed lists and maps of one value may hold together. Without it a 7 MiB
/// body of `{},{},…` would become gigabytes of structs.
pub const MAX_ELEMENTS: usize = 100_000;

/// The deepest nesting of values that are read (not skipped), as `serde_json`.
pub const MAX_DEPTH: usize = 127;

/// Why a text could not be read, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct Error {
    message: String,
    offset: usize,
}

impl Error {
    /// The byte of the text at which reading stopped, from 0.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What was wrong there.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// One value of the text, checked to be JSON but not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// The value's text.
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Takes `text` for one JSON value, as a program writes it. If it is none, what is not read of
    /// it goes unnoticed.
    pub fn assume(text: &'a str) -> Raw<'a> {
        Raw(text)
    }
}

/// Reads the whole of `text` as one value.
pub fn from_str<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    let mut reader = Reader::new(text);
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a value that is known to be JSON.
pub fn from_raw<'a, T: Deserialize<'a>>(value: Raw<'a>) -> Result<T, Error> {
    let mut reader = Reader::new(value.0);
    reader.checked = true;
    T::deserialize(&mut reader)
}

/// As [`from_str`], but an error names the path of the value it is about. Slower: for the second
/// look at a text that could not be read.
pub fn from_str_with_path<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, (String, Error)> {
    let mut reader = Reader::new(text);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| (error.path().to_string(), error.into_inner()))?;
    reader.end().map_err(|error| (".".to_owned(), error))?;
    Ok(value)
}

/// An error of reading `text` with the path of the field it is about, where a second look at the
/// text finds one.
pub fn locate<'a, T: Deserialize<'a>>(text: &'a str, error: Error) -> (Option<String>, Error) {
    match from_str_with_path::<T>(text) {
        Err((path, error)) if path != "." => (Some(path), error),
        _ => (None, error),
    }
}

/// A position in a text, and what may still be read from it.
struct Reader<'a> {
    text: &'a str,
    /// Whether all of the text is known to be JSON.
    checked: bool,
    pos: usize,
    depth: usize,
    elements: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Reader {
            text,
            checked: false,
            pos: 0,
            depth: 0,
            elements: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde::Deserialize;

    use super::*;
    use crate::objects::Text;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Sample<'a> {
        #[serde(borrow)]
        name: Text<'a>,
        #[serde(borrow)]
        pointer: Option<Text<'a>>,
        flag: bool,
        number: i32,
        list: Vec<i64>,
        #[serde(borrow)]
        raw: Option<Raw<'a>>,
    }

    #[test]
    fn null_reads_as_the_zero_value() {
        let sample: Sample = from_str(
            r#"{"name":null,"pointer":null,"flag":null,"number":null,"list":null,"raw":null}"#,
        )
        .unwrap();
        assert_eq!(sample, Sample::default());
        assert_eq!(from_str::<Sample>("null").unwrap(), Sample::default());
        let sample: Sample = from_str(r#"{"list":[1,null,3]}"#).unwrap();
        assert_eq!(sample.list, [1, 0, 3]);
    }

    #[test]
    fn strings_borrow_unless_they_hold_escapes() {
        let sample: Sample =
            from_str(r#"{"name":"plain","pointer":"a\u003cb\ud83d\ude00\n"}"#).unwrap();
        assert!(matches!(sample.name.0, Cow::Borrowed("plain")));
        assert_eq!(&**sample.pointer.as_ref().unwrap(), "a<b😀\n");
    }

    #[test]
    fn raw_keeps_the_text_of_a_value() {
        let sample: Sample = from_str("{ \"raw\" : {\"a\": [1, 2 , \"]}\"]} }").unwrap();
        assert_eq!(sample.raw.unwrap().text(), "{\"a\": [1, 2 , \"]}\"]}");
    }

    #[test]
    fn wrong_types_are_named_with_their_path() {
        let (path, error) = from_str_with_path::<Sample>(r#"{"list":[1,"two"]}"#).unwrap_err();
        assert_eq!(path, "list[1]");
        assert_eq!(
            error.message(),
            "invalid type: string \"two\", expected i64"
        );
        for (text, wrong) in [
            (r#"{"number":1.0}"#, "number"),
            (r#"{"number":2147483648}"#, "number"),
            (r#"{"flag":"yes"}"#, "flag"),
            (r#"{"name":7}"#, "name"),
            (r#"{"list":{}}"#, "list"),
        ] {
            assert_eq!(
                from_str_with_path::<Sample>(text).unwrap_err().0,
                wrong,
                "{text}"
            );
        }
    }

    #[test]
    fn broken_text_is_refused_wherever_it_is_broken() {
        for text in [
            "",
            " ",
            "{",
            "{\"name\"",
            "{\"name\":",
            "{\"name\":\"x",
            "{\"name\":\"x\"",
            "{\"name\":\"x\",}",
            "{\"x\":[1,2,]}",
            "{\"x\":[1 2]}",
            "{\"x\" 1}",
            "{\"x\":{\"a\":tru}}",
            "{\"x\":01}",
            "{\"x\":1.}",
            "{\"x\":1e}",
            "{\"x\":-}",
            "{\"x\":\"\\q\"}",
            "{\"x\":\"\\u12g4\"}",
            "{\"x\":\"\n\"}",
            "{} {}",
            "{}x",
            "{\"name\":\"\\ud800\"}",
            "{\"x\":+1}",
            "{x:1}",
            "{\"x\":nul}",
            "[}",
            "{\"x\":[}",
        ] {
            assert!(from_str::<Sample>(text).is_err(), "{text}");
            assert!(from_str::<serde_json::Value>(text).is_err(), "{text}");
            assert!(
                serde_json::from_str::<serde_json::Value>(text).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn skipping_is_bounded_and_does_not_use_the_stack() {
        let nested =
            |depth: usize| format!("{{\"x\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(from_str::<Sample>(&nested(9_900)).is_ok());
        assert!(from_str::<Sample>(&nested(MAX_SKIP_DEPTH + 100)).is_err());
    }

    #[test]
    fn lists_are_bounded() {
        let list = |length: usize| format!("{{\"list\":[{}1]}}", "1,".repeat(length - 1));
        assert!(from_str::<Sample>(&list(MAX_LIST)).is_ok());
        let error = from_str::<Sample>(&list(MAX_LIST + 1)).unwrap_err();
        assert!(error.message().contains("more than 10000"), "{error}");
    }

    #[test]
    fn a_field_that_comes_twice_is_refused() {
        assert!(from_str::<Sample>(r#"{"name":"a","name":"b"}"#).is_err());
    }
}
