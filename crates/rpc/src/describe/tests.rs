use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::typescript;
use crate::{Args, Capability, Context, Payload, RpcError, Runtime, Updates};

/// Which of them.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Colour {
    Red,
    Green,
}

/// Where one looks.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Place {
    /// To the right.
    x: f64,
    #[serde(default)]
    channel: u32,
    unit: Option<String>,
    colour: Colour,
    names: Vec<Option<String>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Shape {
    Circle { radius: f64 },
    Point,
}

async fn runtime() -> Runtime {
    let first = Capability::new("a.first@1")
        .doc("The first.")
        .call("look", async |_: Context, Payload(place): Payload<Place>| {
            Ok::<_, RpcError>(place)
        })
        .doc("Looks there.")
        .call("sum", async |_, Args((x, y)): Args<(i64, i64)>| Ok(x + y))
        .call("nothing", async |_, ()| Ok(()))
        .event("note", async |_, Payload(_): Payload<Place>| Ok(()))
        .stream("watch", async |_, (), _: Updates<Shape>| Ok(()));
    Runtime::builder().capability(first).build().await.unwrap()
}

#[tokio::test]
async fn schemas_say_what_is_taken_and_what_is_given() {
    let description = runtime().await.describe();
    let [capability] = description.capabilities.as_slice() else {
        panic!("one capability")
    };
    assert_eq!(
        (capability.name.as_str(), capability.doc.as_str()),
        ("a.first@1", "The first.")
    );
    let path = |name: &str| capability.paths.iter().find(|path| path.path == name).unwrap();
    let look = path("look").call.as_ref().unwrap();
    assert_eq!(look.payload, Some(json!({"$ref": "#/$defs/PlaceInput"})));
    assert_eq!(look.output, Some(json!({"$ref": "#/$defs/Place"})));
    // A default is needed where it is given, and not where it is taken.
    let required = |name: &str| {
        let required = description.definitions[name]["required"].as_array().unwrap();
        required.contains(&json!("channel"))
    };
    assert!(required("Place") && !required("PlaceInput"));
    let sum = path("sum").call.as_ref().unwrap();
    assert_eq!(sum.output.as_ref().unwrap()["required"], json!(["result"]));
    assert_eq!(
        sum.args.as_ref().unwrap()["prefixItems"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        path("watch").stream.as_ref().unwrap().output,
        Some(json!({"$ref": "#/$defs/Shape"}))
    );
    serde_json::to_string(&description).unwrap();
}

#[tokio::test]
async fn the_declarations_say_it_in_typescript() {
    let text = typescript(&runtime().await.describe());
    for expected in [
        "/** Which of them. */\nexport type Colour = \"red\" | \"green\";",
        "export type Shape = {\n  kind: \"circle\";\n  radius: number;\n} | {\n  kind: \"point\";\n};",
        "  channel?: number;",
        "  channel: number;",
        "  unit?: string | null;",
        "  names: (string | null)[];",
        "  /** To the right. */\n  x: number;",
        "  \"a.first@1\": {\n    calls: {\n      /** Looks there. */\n      look: {\n        payload: PlaceInput;\n        result: Place;\n      };",
        "        args: [number, number];\n        result: {\n          result: number;\n        };",
        "      nothing: {\n        result: Record<string, never>;\n      };",
        "      note: {\n        payload: PlaceInput;\n      };",
        "      watch: {\n        update: Shape;\n      };",
    ] {
        assert!(text.contains(expected), "{expected}\nis missing in\n{text}");
    }
}
