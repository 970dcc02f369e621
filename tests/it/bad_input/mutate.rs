//! Seeded damage to good inputs.

use serde_json::{Map, Value, json};

/// The generator `SplitMix64`: small, and the same everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `limit`, 0 where there is none.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap()
    }

    pub(super) fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
}

/// Pieces of text with a history of being read differently by different readers.
const TOKENS: [&[u8]; 44] = [
    b"null",
    b"true",
    b"false",
    b"0",
    b"-0",
    b"-",
    b"01",
    b"1.0",
    b"1.",
    b".5",
    b"1e400",
    b"-1e-400",
    b"1E+2",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"2147483648",
    b"NaN",
    b"Infinity",
    b"\"\"",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00\\ud800",
    b"\\ud83d\\ude00",
    b"\\u12",
    b"\\x41",
    b"[]",
    b"{}",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\x00",
    b"\n",
    b"\x1b[31m",
    b"\xe2\x80\xae",
];

/// `input` damaged in one to four ways.
pub(super) fn mutate(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    if random.below(2) == 0
        && let Ok(mut tree) = serde_json::from_slice::<Value>(input)
    {
        for _ in 0..=random.below(2) {
            damage_tree(&mut tree, random);
        }
        bytes = tree.to_string().into_bytes();
        if random.below(3) > 0 {
            return bytes;
        }
    }
    for _ in 0..=random.below(3) {
        damage(&mut bytes, other, random);
    }
    bytes
}

fn damage(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let length = random.below(40).min(bytes.len() - at);
    match random.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..at + length)),
        3 => {
            let from = random.below(other.len() + 1);
            let length = random.below(200).min(other.len() - from);
            bytes.splice(at..at, other[from..from + length].iter().copied());
        }
        4 => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        5 => {
            let again = bytes[at..at + length].to_vec();
            bytes.splice(at..at, again);
        }
        6 => {
            let depth = *random.pick(&[1, 126, 127, 128, 129, 400]);
            let open = *random.pick(&[&b"["[..], b"{\"a\":"]);
            bytes.splice(at..at, open.repeat(depth));
        }
        _ => {
            let token = random.pick(&TOKENS);
            let whole = random.below(2) == 0;
            let (start, end) = if whole { token_at(bytes, at) } else { (at, at) };
            bytes.splice(start..end, token.iter().copied());
        }
    }
}

/// The bounds of the word, number or string around a position.
fn token_at(bytes: &[u8], at: usize) -> (usize, usize) {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"\"-_.+".contains(byte);
    let before = bytes[..at]
        .iter()
        .rev()
        .take_while(|byte| part(byte))
        .count();
    let after = bytes[at..].iter().take_while(|byte| part(byte)).count();
    (at - before, at + after)
}

/// Changes one value somewhere in a tree, keeping it JSON.
fn damage_tree(tree: &mut Value, random: &mut Random) {
    let mut left = random.below(size(tree));
    let node = find(tree, &mut left).expect("a node for every number below the size");
    match random.below(4) {
        0 => *node = odd(random),
        1 => {
            let text = node.as_str().unwrap_or_default().to_owned();
            *node = Value::String(
                text + *random.pick(&[
                    "\u{1b}[31m",
                    "\u{202e}",
                    "\u{0}",
                    "😀",
                    "/",
                    "\"",
                    "é\u{301}",
                ]),
            );
        }
        2 => match node {
            Value::Array(elements) => {
                let again = elements.first().cloned().unwrap_or_else(|| odd(random));
                let count = *random.pick(&[1, 3, 60]);
                elements.extend(std::iter::repeat_n(again, count));
            }
            Value::Object(fields) => {
                let name = *random.pick(&[
                    "",
                    "kind",
                    "apiVersion",
                    "uid",
                    "spec",
                    "metadata",
                    "\u{0}",
                    "a/b\"c",
                ]);
                fields.insert(name.to_owned(), odd(random));
            }
            _ => *node = Value::Array(vec![node.take(), Value::Null]),
        },
        _ => match node {
            Value::Object(fields) => {
                let names: Vec<String> = fields.keys().cloned().collect();
                if let Some(name) = names.get(random.below(names.len())) {
                    fields.remove(name);
                }
            }
            _ => *node = Value::Null,
        },
    }
}

fn odd(random: &mut Random) -> Value {
    match random.below(12) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(u64::MAX),
        5 => json!(1.5),
        6 => json!(""),
        7 => json!("x".repeat(*random.pick(&[1, 63, 300, 5_000, 70_000]))),
        8 => json!("\"\\\u{7}".repeat(*random.pick(&[1, 100, 3_000]))),
        9 => json!([]),
        10 => Value::Object(Map::new()),
        _ => json!({"": [null, {"a": "b"}]}),
    }
}

fn size(tree: &Value) -> usize {
    let below: usize = match tree {
        Value::Array(elements) => elements.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    };
    below + 1
}

fn find<'t>(tree: &'t mut Value, left: &mut usize) -> Option<&'t mut Value> {
    if *left == 0 {
        return Some(tree);
    }
    *left -= 1;
    match tree {
        Value::Array(elements) => elements.iter_mut().find_map(|below| find(below, left)),
        Value::Object(fields) => fields.values_mut().find_map(|below| find(below, left)),
        _ => None,
    }
}
