//! What a server offers, for those who write clients: JSON Schemas of everything that can be said, and TypeScript.

mod typescript;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::capability::Registered;
use crate::input::InputSchema;
use crate::registry::Registry;

pub use typescript::typescript;

/// All capabilities of a server. Schemas are of JSON Schema draft 2020-12, and refer to `$defs` of the whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// The capabilities, in order of their names.
    pub capabilities: Vec<DescribedCapability>,
    /// The schemas that others refer to, by name.
    #[serde(rename = "$defs")]
    pub definitions: Map<String, Value>,
}

/// One capability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DescribedCapability {
    /// Its name, `family@version`.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// Its paths, in order of their names.
    pub paths: Vec<DescribedPath>,
}

/// One path of a capability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DescribedPath {
    /// The path; `*` is any.
    pub path: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// How requests look and their results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<Shapes>,
    /// How events look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Shapes>,
    /// How subscriptions look and their updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<Shapes>,
}

/// Schemas of what is said and answered. What is missing is not looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shapes {
    /// Positional arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// Named arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// The payload of the answer, or of each update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

/// Describes what was registered.
pub(crate) fn describe(registry: &Registry) -> Description {
    let mut writer = Writer {
        inputs: SchemaSettings::draft2020_12().for_deserialize().into_generator(),
        outputs: SchemaSettings::draft2020_12().for_serialize().into_generator(),
    };
    let mut capabilities: Vec<_> = registry
        .capabilities()
        .into_iter()
        .map(|(name, doc, paths)| DescribedCapability {
            name: name.as_str().to_owned(),
            doc: doc.to_owned(),
            paths: paths
                .iter()
                .map(|(path, handlers)| DescribedPath {
                    path: path.clone(),
                    doc: handlers.doc.clone(),
                    call: handlers.call.as_deref().map(|call| writer.shapes(call, true)),
                    event: handlers.event.as_deref().map(|event| writer.shapes(event, false)),
                    stream: handlers
                        .stream
                        .as_deref()
                        .map(|stream| writer.shapes(stream, true)),
                })
                .collect(),
        })
        .collect();
    let inputs = writer.inputs.take_definitions(true);
    let mut definitions = writer.outputs.take_definitions(true);
    // A type may look different when it is read: what has a default need not be there.
    let differ = |name: &String| {
        definitions
            .get(name)
            .is_some_and(|output| inputs.get(name) != Some(output))
    };
    let differing: Vec<String> = inputs.keys().filter(|name| differ(name)).cloned().collect();
    for (name, mut schema) in inputs {
        rename(&mut schema, &differing);
        definitions.entry(renamed(&name, &differing)).or_insert(schema);
    }
    let shapes = capabilities
        .iter_mut()
        .flat_map(|capability| &mut capability.paths)
        .flat_map(|path| [&mut path.call, &mut path.event, &mut path.stream])
        .flatten();
    for shapes in shapes {
        for input in [&mut shapes.args, &mut shapes.payload].into_iter().flatten() {
            rename(input, &differing);
        }
    }
    Description {
        capabilities,
        definitions,
    }
}

struct Writer {
    inputs: SchemaGenerator,
    outputs: SchemaGenerator,
}

impl Writer {
    fn shapes<H>(&mut self, registered: &Registered<H>, answers: bool) -> Shapes {
        let InputSchema { args, payload } = (registered.input)(&mut self.inputs);
        Shapes {
            args: args.map(Value::from),
            payload: payload.map(Value::from),
            output: answers.then(|| (registered.output)(&mut self.outputs).into()),
        }
    }
}

fn renamed(name: &str, differing: &[String]) -> String {
    if differing.iter().any(|other| other == name) {
        format!("{name}Input")
    } else {
        name.to_owned()
    }
}

/// Has references to types that look different when they are read refer to these.
fn rename(schema: &mut Value, differing: &[String]) {
    const PLACE: &str = "#/$defs/";
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        if let Some(name) = reference.strip_prefix(PLACE) {
                            *reference = format!("{PLACE}{}", renamed(name, differing));
                        }
                    }
                    other => rename(other, differing),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, differing)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
