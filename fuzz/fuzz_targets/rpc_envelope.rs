//! Any text as a message of the JSON RPC: what is read survives being written again, what is refused is named, and the
//! names in it are read as well.

#![no_main]

use chartroom_rpc::CapabilityName;
use chartroom_rpc::message::{id_of, lane_of, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let first_id = id_of(text);
    let message = match parse(text) {
        Ok(message) => message,
        Err(rejected) => {
            // Short, however long the text is.
            assert!(rejected.to_string().len() < 2000);
            return;
        }
    };
    assert_eq!(first_id.as_deref(), Some(message.id.as_str()));
    let _ = lane_of(&message);
    let written = serde_json::to_string(&message).expect("a message that was read can be written");
    let again = parse(&written).expect("what was written is a message");
    assert_eq!(serde_json::to_string(&again).expect("as above"), written);

    if let Some(Ok(name)) = message.route.and_then(|route| route.capability).map(|name| name.parse()) {
        let name: CapabilityName = name;
        assert_eq!(name.to_string().parse().as_ref(), Ok(&name));
    }
});
