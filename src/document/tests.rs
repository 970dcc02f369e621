use std::fmt::Write as _;

use proptest::prelude::*;

use super::build::Budget;
use super::*;

/// The only document of `text`, or the message of its error.
fn one(text: &str) -> Result<Node, String> {
    let mut documents = parse(text);
    assert_eq!(documents.len(), 1, "{text:?}: {documents:?}");
    documents
        .remove(0)
        .map(|document| document.node)
        .map_err(|error| error.message)
}

fn json(text: &str) -> String {
    one(text).unwrap().to_json()
}

/// Index and JSON, or index and `line: message`, of every document.
fn all(text: &str) -> Vec<(usize, String)> {
    parse(text)
        .into_iter()
        .map(|result| match result {
            Ok(document) => (document.index, document.node.to_json()),
            Err(error) => (error.document, error.to_string()),
        })
        .collect()
}

fn owned(expected: &[(usize, &str)]) -> Vec<(usize, String)> {
    expected
        .iter()
        .map(|(index, text)| (*index, (*text).to_owned()))
        .collect()
}

#[test]
fn yaml_means_what_kubectl_makes_of_it() {
    let mut cases = 0;
    for line in include_str!("goyaml.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (text, expected) = line.split_once('\t').unwrap();
        let text: String = serde_json::from_str(text).unwrap();
        match (one(&text), expected) {
            (result, "error") => assert!(result.is_err(), "{text:?} is no error"),
            (Err(error), _) => panic!("{text:?}: {error}"),
            // As texts, so that 1 and 1.0 differ; the order of keys is Go's.
            (Ok(node), _) => {
                let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
                let found: serde_json::Value = serde_json::from_str(&node.to_json()).unwrap();
                assert_eq!(found, expected, "{text:?}");
            }
        }
        cases += 1;
    }
    assert!(cases > 300, "{cases}");
}

#[test]
fn numbers_print_as_in_go() {
    for (text, expected) in [
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("-133038.625", "-133038.625"),
        ("-1333568564192251.2", "-1333568564192251.2"),
        ("123456789012345678901234567890", "1.2345678901234568e+29"),
        ("-0.0", "-0"),
        ("1.0", "1"),
        ("0777", "511"),
        ("18446744073709551615", "18446744073709551615"),
    ] {
        assert_eq!(json(&format!("v: {text}")), format!("{{\"v\":{expected}}}"));
    }
    assert_eq!(json("{\"v\": 1.50e+3}"), "{\"v\":1.50e+3}");
}

#[test]
fn documents_are_counted_as_written() {
    let text = "# license\n---\na: 1\n---\n--- # empty\n# too\n---\nnull\n---\nb: 2\n---\n";
    assert_eq!(all(text), owned(&[(0, r#"{"a":1}"#), (4, r#"{"b":2}"#)]));
    assert_eq!(
        all("a: 1\n---\nb: 2"),
        owned(&[(0, r#"{"a":1}"#), (1, r#"{"b":2}"#)])
    );
    assert_eq!(
        all("a: |\n  x\n---\nb: 2\r\n---\r\nc: 3"),
        owned(&[(0, r#"{"a":"x\n"}"#), (1, r#"{"b":2}"#), (2, r#"{"c":3}"#),])
    );
    for empty in [
        "",
        "\n",
        "---",
        "---\n---\n",
        "# c\n",
        "~",
        "null\n---\n# c",
    ] {
        assert_eq!(all(empty), [], "{empty:?}");
    }
}

#[test]
fn lines_are_those_of_the_text() {
    let documents = parse("# head\n---\n\na: 1\nb:\n  - c\n  - d: e\n---\nf: [1,\n 2]\n");
    let first = documents[0].as_ref().unwrap();
    assert_eq!(first.line, 4);
    let list = first.node.get("b").unwrap();
    let lines: Vec<_> = list.elements().iter().map(|node| node.line).collect();
    assert_eq!((list.line, lines), (6, vec![6, 7]));
    let second = documents[1].as_ref().unwrap();
    assert_eq!(
        (
            second.line,
            second.node.get("f").unwrap().elements()[1].line
        ),
        (9, 10)
    );
    let documents = parse("\n{\n \"a\": [\n  1,\n  {}]}\n {\"b\": 2}");
    let first = documents[0].as_ref().unwrap();
    let list = first.node.get("a").unwrap();
    assert_eq!((first.line, list.line, list.elements()[1].line), (2, 3, 5));
    assert_eq!(documents[1].as_ref().unwrap().line, 6);
}

#[test]
fn a_broken_document_hides_no_other() {
    let text = "a: 1\n---\nb: [\n---\nc: 'x\n---\n\td: 1\n e: f: g\n---\nh: 2\n";
    let found = all(text);
    assert_eq!(
        found.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );
    assert_eq!(
        (found[0].1.as_str(), found[4].1.as_str()),
        (r#"{"a":1}"#, r#"{"h":2}"#)
    );
    for (position, line) in [(1, [3, 4]), (2, [5, 6]), (3, [7, 8])] {
        let error = parse(text).remove(position).unwrap_err();
        assert!(line.contains(&error.line), "{error}");
        assert!(!error.message.is_empty());
    }
}

#[test]
fn json_values_follow_one_another() {
    assert_eq!(
        all("{\"a\":1}{\"b\":2}\n\n {\"c\":3} "),
        owned(&[(0, r#"{"a":1}"#), (1, r#"{"b":2}"#), (2, r#"{"c":3}"#),])
    );
    let text = r#"{"s":"\u003c\ud83d\ude00\ud800\/\"\\\b\f\n\r\t","n":[-0,1.5E+3,null,true,false],"e":{},"l":[]}"#;
    let expected = "{\"s\":\"<😀\u{FFFD}/\\\"\\\\\\u0008\\u000c\\n\\r\\t\",\"n\":[-0,1.5E+3,null,true,false],\"e\":{},\"l\":[]}";
    assert_eq!(json(text), expected);
}

#[test]
fn what_starts_as_json_may_go_on_as_yaml() {
    assert_eq!(
        all("{\"a\":1}\n---\nb: 2\n---\n{\"c\":3}"),
        owned(&[(0, r#"{"a":1}"#), (1, r#"{"b":2}"#), (2, r#"{"c":3}"#),])
    );
    assert_eq!(
        all("{a: 1, b: [x, y]}"),
        owned(&[(0, r#"{"a":1,"b":["x",true]}"#)])
    );
    assert_eq!(all("{\"a\":1,}"), owned(&[(0, r#"{"a":1}"#)]));
}

#[test]
fn broken_json_is_said_once() {
    let found = all("{\"a\":1}\n{\"b\":2}\n{\"c\":}\n{\"d\":4}");
    assert_eq!(found.len(), 3);
    assert_eq!(
        found[2].1,
        "line 3: not valid JSON: expected a value, found '}'"
    );
    let found = all("{\"a\": \"x}\n---\nb: 2");
    assert_eq!(found.len(), 2);
    assert!(
        found[0]
            .1
            .starts_with("line 1: not valid JSON: a control character"),
        "{}",
        found[0].1
    );
    assert!(
        found[0].1.contains("; nor is it YAML (line "),
        "{}",
        found[0].1
    );
    assert_eq!(found[1], (1, r#"{"b":2}"#.into()));
    for text in [
        "{",
        "{\"a\"",
        "{\"a\":[",
        "{\"a\":\"\\q\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u12é\"}",
        "{\"a\":1}}",
    ] {
        assert!(parse(text).iter().any(Result::is_err), "{text}");
    }
}

#[test]
fn keys_that_come_twice_are_refused_with_both_lines() {
    let message = |line: u32, key: &str, lines: &str| {
        (
            0,
            format!("line {line}: the key {key:?} comes twice, on lines {lines}: keep one"),
        )
    };
    assert_eq!(all("a: 1\nb: 2\n\na: 3\n")[0], message(4, "a", "1 and 4"));
    assert_eq!(
        all("x:\n  true: 1\n  \"true\": 2\n")[0],
        message(3, "true", "2 and 3")
    );
    assert_eq!(all("1: a\n0x1: b\n")[0], message(2, "1", "1 and 2"));
    assert_eq!(
        all("{\"a\":{\"b\":1,\n\"b\":2}}\n{\"c\":3}")[0],
        message(2, "b", "1 and 2")
    );
    assert_eq!(
        all("{\"a\":{\"b\":1,\n\"b\":2}}\n{\"c\":3}")[1],
        (1, r#"{"c":3}"#.into())
    );
    assert_eq!(json("{\"A\": 1, \"a\": 2}"), r#"{"A":1,"a":2}"#);
}

#[test]
fn what_kubectl_would_drop_or_read_otherwise_is_refused() {
    for (text, part) in [
        (
            "a: 1\n...\nb: 2\n",
            "kubectl does not read what follows `...`",
        ),
        (
            "a: 1\n--- !x\nb: 2\n",
            "kubectl takes only a comment behind `---`, found \"!x\"",
        ),
        (
            "a: 1\n-----BEGIN\nb: 2\n",
            "kubectl takes only a comment behind `---`",
        ),
        ("%YAML 1.1\n", "directives"),
        ("# x\u{2028}a: 1\n", "U+2028, a line break to kubectl only"),
        ("a: \u{85}\n", "U+0085, a line break to kubectl only"),
        ("# c\n\u{FEFF}a: 1\n", "holds a byte order mark"),
        ("a: \u{1}\n", "the control character U+0001"),
        ("a: \"\u{7F}\"\n", "the control character U+007F"),
        ("- {a:, b}", "kubectl reads \"a\" differently"),
        ("- {?\"a\": b}", "kubectl reads \"?\\\"a\\\"\" differently"),
        ("- [!a, b]", "put a blank behind the tag"),
        (
            "a: &unix:///run/x.sock",
            "no anchor named \"unix:///run/x.sock\"",
        ),
        ("a: .inf", "no form in JSON"),
        ("[a]: b", "a list is no key"),
        ("~: b", "null is no key"),
        ("a: &a [*a]", "an alias stands inside what it stands for"),
    ] {
        let message = one(text).unwrap_err();
        assert!(message.contains(part), "{text:?}: {message}");
    }
    assert_eq!(
        json("a: \"\\u2028\"\nb: 1 \n...\n# end\n"),
        "{\"a\":\"\u{2028}\",\"b\":1}"
    );
}

#[test]
fn alias_bombs_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    assert!(
        one(&bomb)
            .unwrap_err()
            .contains("copy more than 100000 values")
    );
    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(1 << 20),
        vec!["*a"; 20].join(", ")
    );
    assert!(one(&long).unwrap_err().contains("or 8 MiB"));
    let many = format!("a: &a {{b: c}}\nd: [{}]\n", vec!["*a"; 10_000].join(", "));
    assert!(one(&many).is_ok());
}

#[test]
fn depth_is_bounded_through_aliases_too() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for prefix in ["", "{\"a\":"] {
        let end = if prefix.is_empty() { "" } else { "}" };
        let text = |depth| format!("{prefix}{}{end}", nested(depth));
        assert!(one(&text(MAX_DEPTH - 1)).is_ok());
        assert!(one(&text(MAX_DEPTH + 1)).is_err());
    }
    assert!(one(&format!("{{\"a\":{}}}", nested(100_000))).is_err());
    assert!(one(&"[".repeat(100_000)).is_err());
    assert!(one(&"- ".repeat(100_000)).is_err());
    let aliases = format!(
        "a: &a {}\nb: &b {}\nc: {}\n",
        nested(200),
        nested(40).replace('1', "*a"),
        nested(40).replace('1', "*b")
    );
    assert!(
        one(&aliases)
            .unwrap_err()
            .contains("nested deeper than 250 levels")
    );
}

#[test]
fn the_number_of_values_is_bounded() {
    let text = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
    let budget = || Budget::of(100);
    assert!(yaml::read(&text(99), 0, &mut budget()).is_ok());
    let wrong = yaml::read(&text(100), 0, &mut budget()).unwrap_err();
    assert_eq!(
        wrong.message,
        "the text holds more than 2000000 values: split it"
    );
    assert!(
        json::Reader::new(&text(99))
            .next(&mut budget())
            .unwrap()
            .is_ok()
    );
    let stop = json::Reader::new(&text(100))
        .next(&mut budget())
        .unwrap()
        .unwrap_err();
    assert_eq!(stop.message, wrong.message);
    assert_eq!(stop.then, json::Then::Lost);
}

const NULL: Node = Node {
    value: Value::Null,
    line: 0,
};

/// Whether two nodes mean the same: floats may be written differently.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Number(one), Value::Number(other)) if other.contains(['.', 'e']) => {
            one.parse::<f64>().unwrap().to_bits() == other.parse::<f64>().unwrap().to_bits()
        }
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| one.0 == other.0 && same(&one.1, &other.1))
        }
        (one, other) => one == other,
    }
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![
        "[ -~]{0,12}",
        "[\\PC\\n\\t\"\\\\]{0,8}",
        Just("yes".to_owned()),
        Just("0777".to_owned()),
        Just("<<".to_owned()),
        Just("---".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        prop::num::f64::NORMAL.prop_map(|value: f64| value.into()),
        text.clone().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(text.clone(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_is_read_and_written_unchanged(value in value()) {
        let text = format!("{{\"v\":{value}}}");
        prop_assert_eq!(json(&text), text.clone());
        let pretty = serde_json::to_string_pretty(&serde_json::json!({ "v": value })).unwrap();
        prop_assert_eq!(json(&pretty), text);
    }

    #[test]
    fn yaml_reads_json_as_json_does(value in value()) {
        // The list keeps the text from being taken for JSON.
        let text = format!("- {value}");
        let refused = |character: char| matches!(character, '\u{7F}'..='\u{9F}' | '\u{2028}' | '\u{2029}' | '\u{FFFE}' | '\u{FFFF}');
        prop_assume!(!text.contains(refused) && !text.contains('\u{FEFF}'));
        let yaml = one(&text).unwrap();
        let expected = one(&format!("{{\"v\":{value}}}")).unwrap();
        prop_assert!(same(&yaml.elements()[0], expected.get("v").unwrap_or(&NULL)), "{}", yaml.to_json());
    }

    #[test]
    fn no_text_makes_it_panic(text in "([ -~\\n\\t\\PC]|---\\n|: |- |\\{|\\}|\\[|\\]|\"|&a|\\*a|<<|!!|\\\\u){0,40}") {
        for document in parse(&text).into_iter().flatten() {
            let again: serde_json::Value = serde_json::from_str(&document.node.to_json()).unwrap();
            prop_assert!(!again.is_null());
        }
    }
}
