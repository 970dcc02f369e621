//! Fields of JSON trees by their path: nothing here panics, as indexing a tree may.

use serde_json::{Map, Value};

/// The value at a path of keys; `null` where there is none.
pub fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter()
        .fold(value, |value, key| value.get(key).unwrap_or(&Value::Null))
}

/// Sets the value at a path of keys. Maps that are missing on the way are made; what is no map gives
/// way to one.
pub fn set(value: &mut Value, path: &[&str], new: Value) {
    let Some((key, rest)) = path.split_first() else {
        *value = new;
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    if let Value::Object(fields) = value {
        let field = fields.entry((*key).to_owned()).or_insert(Value::Null);
        set(field, rest, new);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_there_is_null_and_what_is_set_is_there() {
        let mut tree = json!({"a": {"b": 1}, "list": [1]});
        assert_eq!(at(&tree, &["a", "b"]), 1);
        assert_eq!(at(&tree, &["list", "b", "c"]), &Value::Null);
        set(&mut tree, &["a", "c", "d"], json!(2));
        set(&mut tree, &["list", "e"], json!(3));
        assert_eq!(
            tree,
            json!({"a": {"b": 1, "c": {"d": 2}}, "list": {"e": 3}})
        );
    }
}
