//! What must not stand in a log.

use serde_json::Value;

/// What stands in the place of what was taken out.
const REDACTED: &str = "[redacted]";

/// Replaces fields of a frame by `"[redacted]"`.
///
/// A field is a path from the top of the frame, with dots between names of keys and numbers of elements (from 0); `*` is
/// every key or element. Fields that are not there are passed over.
pub fn redact<T: AsRef<str>>(frame: &mut Value, fields: &[T]) {
    for field in fields {
        replace(frame, field.as_ref());
    }
}

fn replace(value: &mut Value, path: &str) {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let replace_in = |value: &mut Value| match rest {
        Some(rest) => replace(value, rest),
        None => *value = Value::from(REDACTED),
    };
    match value {
        Value::Object(fields) if name == "*" => fields.values_mut().for_each(replace_in),
        Value::Array(elements) if name == "*" => elements.iter_mut().for_each(replace_in),
        Value::Object(fields) => fields.get_mut(name).into_iter().for_each(replace_in),
        Value::Array(elements) => {
            let at = name.parse().unwrap_or(usize::MAX);
            elements.get_mut(at).into_iter().for_each(replace_in);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn redacted(mut frame: Value, fields: &[&str]) -> Value {
        redact(&mut frame, fields);
        frame
    }

    #[test]
    fn fields_are_replaced_whatever_they_hold() {
        assert_eq!(
            redacted(
                json!({"payload": {"password": {"old": 1}, "empty": null, "user": "u"}}),
                &["payload.password", "payload.empty"]
            ),
            json!({"payload": {"password": REDACTED, "empty": REDACTED, "user": "u"}})
        );
    }

    #[test]
    fn elements_have_numbers_and_a_star_is_all_of_them() {
        assert_eq!(
            redacted(
                json!({"args": ["a", "b"], "users": [{"key": 1}, {"key": 2}, 3]}),
                &["args.1", "users.*.key"]
            ),
            json!({"args": ["a", REDACTED], "users": [{"key": REDACTED}, {"key": REDACTED}, 3]})
        );
        assert_eq!(
            redacted(json!({"payload": {"a": 1, "b": [2]}}), &["payload.*"]),
            json!({"payload": {"a": REDACTED, "b": REDACTED}})
        );
    }

    #[test]
    fn fields_that_are_not_there_are_passed_over() {
        let frame = json!({"args": ["a"], "payload": {"a": 1}});
        let fields = [
            "args.1",
            "args.x",
            "payload.b",
            "payload.a.b",
            "payload.",
            "",
            ".",
            "nothing.at.all",
        ];
        assert_eq!(redacted(frame.clone(), &fields), frame);
    }
}
