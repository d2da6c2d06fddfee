//! TypeScript declarations of a description.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::{DescribedPath, Description, Shapes};

/// TypeScript declarations of all types, and of an interface `Capabilities` that says for each capability and path what is
/// said and answered:
///
/// ```ts
/// export interface Capabilities {
///   "calculator@1": {
///     calls: { add: { payload: Sum; result: { result: number } } };
///     events: {};
///     streams: {};
///   };
/// }
/// ```
#[must_use]
pub fn typescript(description: &Description) -> String {
    let mut out = String::from("// Written by the server from its own types; do not edit.\n");
    for (name, schema) in &description.definitions {
        out.push('\n');
        comment(&mut out, "", text(schema, "description"));
        let _ = writeln!(out, "export type {} = {};", identifier(name), of(schema, ""));
    }
    out.push_str("\n/** What can be called, emitted and subscribed to, by capability and path. */\n");
    out.push_str("export interface Capabilities {\n");
    for capability in &description.capabilities {
        comment(&mut out, "  ", &capability.doc);
        let _ = writeln!(out, "  {}: {{", quoted(&capability.name));
        group(
            &mut out,
            "calls",
            &capability.paths,
            |path| path.call.as_ref(),
            "result",
        );
        group(
            &mut out,
            "events",
            &capability.paths,
            |path| path.event.as_ref(),
            "",
        );
        group(
            &mut out,
            "streams",
            &capability.paths,
            |path| path.stream.as_ref(),
            "update",
        );
        out.push_str("  };\n");
    }
    out.push_str("}\n");
    out
}

fn group(
    out: &mut String,
    name: &str,
    paths: &[DescribedPath],
    find: impl Fn(&DescribedPath) -> Option<&Shapes>,
    answer: &str,
) {
    const INDENT: &str = "        ";
    if !paths.iter().any(|path| find(path).is_some()) {
        let _ = writeln!(out, "    {name}: {{}};");
        return;
    }
    let _ = writeln!(out, "    {name}: {{");
    for path in paths {
        let Some(shapes) = find(path) else { continue };
        comment(out, "      ", &path.doc);
        let _ = writeln!(out, "      {}: {{", quoted(&path.path));
        let members = [
            ("args", &shapes.args),
            ("payload", &shapes.payload),
            (answer, &shapes.output),
        ];
        for (member, schema) in members {
            if let Some(schema) = schema {
                let _ = writeln!(out, "{INDENT}{member}: {};", of(schema, INDENT));
            }
        }
        out.push_str("      };\n");
    }
    out.push_str("    };\n");
}

/// The type that a schema describes.
fn of(schema: &Value, indent: &str) -> String {
    let members = match schema {
        Value::Bool(false) => return "never".to_owned(),
        Value::Object(members) => members,
        _ => return "unknown".to_owned(),
    };
    // Parts that hold at once.
    let mut parts = Vec::new();
    if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
        parts.push(identifier(reference.rsplit('/').next().unwrap_or(reference)));
    }
    if let Some(value) = members.get("const") {
        parts.push(value.to_string());
    } else if let Some(values) = members.get("enum").and_then(Value::as_array) {
        parts.push(union(values.iter().map(Value::to_string)));
    } else if let Some(part) = by_type(members, indent) {
        parts.push(part);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = members.get(choice).and_then(Value::as_array) {
            parts.push(union(choices.iter().map(|choice| of(choice, indent))));
        }
    }
    if let Some(all) = members.get("allOf").and_then(Value::as_array) {
        parts.extend(all.iter().map(|part| of(part, indent)));
    }
    match parts.len() {
        0 => "unknown".to_owned(),
        1 => parts.remove(0),
        _ => {
            let parts: Vec<_> = parts.into_iter().map(|part| in_brackets(&part)).collect();
            parts.join(" & ")
        }
    }
}

fn by_type(members: &Map<String, Value>, indent: &str) -> Option<String> {
    match members.get("type") {
        Some(Value::String(kind)) => Some(named(kind, members, indent)),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str);
            Some(union(kinds.map(|kind| named(kind, members, indent))))
        }
        _ if members.contains_key("properties") => Some(named("object", members, indent)),
        _ => None,
    }
}

fn named(kind: &str, members: &Map<String, Value>, indent: &str) -> String {
    match kind {
        "string" | "boolean" | "null" => kind.to_owned(),
        "number" | "integer" => "number".to_owned(),
        "array" => array(members, indent),
        "object" => object(members, indent),
        _ => "unknown".to_owned(),
    }
}

fn array(members: &Map<String, Value>, indent: &str) -> String {
    if let Some(items) = members.get("prefixItems").and_then(Value::as_array) {
        let items: Vec<_> = items.iter().map(|item| of(item, indent)).collect();
        return format!("[{}]", items.join(", "));
    }
    let item = members
        .get("items")
        .map_or_else(|| "unknown".to_owned(), |items| of(items, indent));
    format!("{}[]", in_brackets(&item))
}

fn object(members: &Map<String, Value>, indent: &str) -> String {
    let rest = members
        .get("additionalProperties")
        .filter(|rest| !rest.is_boolean());
    let rest = rest.map(|rest| of(rest, indent));
    let properties = members
        .get("properties")
        .and_then(Value::as_object)
        .filter(|all| !all.is_empty());
    let Some(properties) = properties else {
        return match rest {
            Some(rest) => format!("Record<string, {rest}>"),
            None if members.contains_key("properties") => "Record<string, never>".to_owned(),
            None => "Record<string, unknown>".to_owned(),
        };
    };
    let required = members.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|other| other == name));
    let inner = format!("{indent}  ");
    let mut out = String::from("{\n");
    for (name, schema) in properties {
        comment(&mut out, &inner, text(schema, "description"));
        let optional = if is_required(name) { "" } else { "?" };
        let _ = writeln!(out, "{inner}{}{optional}: {};", quoted(name), of(schema, &inner));
    }
    let _ = write!(out, "{indent}}}");
    match rest {
        Some(rest) => format!("{out} & Record<string, {rest}>"),
        None => out,
    }
}

fn union(choices: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for choice in choices {
        if !all.contains(&choice) {
            all.push(choice);
        }
    }
    if all.is_empty() {
        return "never".to_owned();
    }
    all.join(" | ")
}

/// A type that is a union or an intersection needs brackets before something can be said of the whole.
fn in_brackets(part: &str) -> String {
    let mut depth = 0_i32;
    for character in part.chars() {
        match character {
            '{' | '[' | '(' | '<' => depth += 1,
            '}' | ']' | ')' | '>' => depth -= 1,
            '|' | '&' if depth == 0 => return format!("({part})"),
            _ => {}
        }
    }
    part.to_owned()
}

fn comment(out: &mut String, indent: &str, text: &str) {
    // What ends a comment must not stand in it.
    let text = text.replace("*/", "* /");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    match lines.as_slice() {
        [] => {}
        [line] => {
            let _ = writeln!(out, "{indent}/** {line} */");
        }
        lines => {
            let _ = writeln!(out, "{indent}/**");
            for line in lines {
                let _ = writeln!(out, "{}", format!("{indent} * {line}").trim_end());
            }
            let _ = writeln!(out, "{indent} */");
        }
    }
}

fn text<'a>(schema: &'a Value, member: &str) -> &'a str {
    schema.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// A name of a type: letters, digits and underscores.
fn identifier(name: &str) -> String {
    let name = name.replace(|character: char| !character.is_ascii_alphanumeric(), "_");
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return format!("_{name}");
    }
    name
}

/// The name of a member, in quotation marks if it needs them.
fn quoted(name: &str) -> String {
    let plain = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '_');
    if plain {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}
