//! The .proto files say what the table of ICD 30 says: every name, number, type and packing.

use std::collections::BTreeMap;

use chartroom_icd::EventType;
use prost::Message;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet, field_descriptor_proto};
use serde_json::Value;

fn table() -> Value {
    serde_json::from_str(include_str!("../icd-30.json")).unwrap()
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(&include_bytes!(concat!(env!("OUT_DIR"), "/icd.descriptors"))[..]).unwrap()
}

/// Every message by its name without the package, nested ones as `Outer.Inner`.
fn messages(set: &FileDescriptorSet) -> BTreeMap<String, DescriptorProto> {
    fn walk(prefix: &str, message: &DescriptorProto, found: &mut BTreeMap<String, DescriptorProto>) {
        let name = format!("{prefix}{}", message.name());
        for inner in &message.nested_type {
            if !inner
                .options
                .as_ref()
                .is_some_and(prost_types::MessageOptions::map_entry)
            {
                walk(&format!("{name}."), inner, found);
            }
        }
        found.insert(name, message.clone());
    }
    let mut found = BTreeMap::new();
    for message in set.file.iter().flat_map(|file| &file.message_type) {
        walk("", message, &mut found);
    }
    found
}

fn type_name(field: &FieldDescriptorProto) -> String {
    use field_descriptor_proto::Type;
    match field.r#type() {
        Type::Message | Type::Enum => field.type_name().trim_start_matches(".CARTA.").to_owned(),
        scalar => scalar
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_ascii_lowercase(),
    }
}

/// Name, number, type, label, and the key type of a map or whether a repeated field is packed (proto3: it is, if its
/// type is a number, a truth value or an enumeration, unless the file says otherwise).
fn row(message: &DescriptorProto, field: &FieldDescriptorProto) -> Value {
    use field_descriptor_proto::{Label, Type};
    let entry = message.nested_type.iter().find(|inner| {
        inner
            .options
            .as_ref()
            .is_some_and(prost_types::MessageOptions::map_entry)
            && field.type_name().ends_with(&format!(".{}", inner.name()))
    });
    if let Some(entry) = entry {
        let [key, value] = &entry.field[..] else {
            panic!("a map entry has a key and a value")
        };
        return serde_json::json!([
            field.name(),
            field.number(),
            type_name(value),
            "map",
            type_name(key)
        ]);
    }
    if field.label() != Label::Repeated {
        return serde_json::json!([field.name(), field.number(), type_name(field), "singular", null]);
    }
    let can_pack = !matches!(
        field.r#type(),
        Type::String | Type::Bytes | Type::Message | Type::Group
    );
    let said = field.options.as_ref().and_then(|options| options.packed);
    let packed = can_pack.then(|| said.unwrap_or(true));
    serde_json::json!([field.name(), field.number(), type_name(field), "repeated", packed])
}

#[test]
fn every_message_and_field_is_as_the_table_says() {
    let table = table();
    let ours = messages(&descriptors());
    let theirs = table["messages"].as_object().unwrap();
    assert_eq!(theirs.len(), 118);
    assert_eq!(ours.keys().collect::<Vec<_>>(), {
        let mut names: Vec<_> = theirs.keys().collect();
        names.sort();
        names
    });
    let mut fields = 0;
    for (name, rows) in theirs {
        let message = &ours[name];
        let found: Vec<Value> = message.field.iter().map(|field| row(message, field)).collect();
        let mut found = found;
        let mut wanted = rows.as_array().unwrap().clone();
        found.sort_by_key(|row| row[1].as_i64());
        wanted.sort_by_key(|row| row[1].as_i64());
        assert_eq!(found, wanted, "{name}");
        fields += found.len();
    }
    assert_eq!(fields, 559);
}

#[test]
fn every_enumeration_is_as_the_table_says() {
    let set = descriptors();
    let ours: BTreeMap<String, BTreeMap<String, i64>> = set
        .file
        .iter()
        .flat_map(|file| &file.enum_type)
        .map(|e| {
            let values = e
                .value
                .iter()
                .map(|v| (v.name().to_owned(), i64::from(v.number())))
                .collect();
            (e.name().to_owned(), values)
        })
        .collect();
    let theirs: BTreeMap<String, BTreeMap<String, i64>> =
        serde_json::from_value(table()["enums"].clone()).unwrap();
    assert_eq!(theirs.len(), 28);
    assert_eq!(ours, theirs);
}

#[test]
fn every_event_of_a_client_is_decoded_as_its_message_and_no_other_is() {
    let table = table();
    let mut of_clients = 0;
    for event in table["events"].as_array().unwrap() {
        let id = u16::try_from(event["id"].as_u64().unwrap()).unwrap();
        let known = EventType::try_from(i32::from(id)).unwrap();
        assert_eq!(known.as_str_name(), event["name"].as_str().unwrap());
        let decoded = chartroom_icd::Request::decode(id, bytes::Bytes::new());
        if event["direction"] == "client_to_server" {
            assert_eq!(decoded.unwrap().event(), known);
            of_clients += 1;
        } else {
            assert!(decoded.is_err());
        }
    }
    assert_eq!(of_clients, 44);
}
