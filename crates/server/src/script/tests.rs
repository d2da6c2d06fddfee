use std::time::Duration;

use serde_json::{Value, json, value::RawValue};

use super::{
    Failure,
    call::{self, Call},
    command,
    headless::session_in,
    picture,
    remote::Remote,
};

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

#[test]
fn the_command_line_is_well_formed() {
    command::command().debug_assert();
}

#[test]
fn words_are_json_or_else_texts() {
    assert_eq!(call::parameter("10"), json!(10));
    assert_eq!(call::parameter("[1, null]"), json!([1, null]));
    assert_eq!(call::parameter("viridis"), json!("viridis"));
    assert_eq!(call::parameter("\"10\""), json!("10"));
    assert_eq!(call::parameter(""), json!(""));
}

#[test]
fn no_text_is_taken_for_a_macro() {
    let call = Call {
        parameters: vec![json!("costs $five.and")],
        ..Call::new("", "act")
    };
    let body = call.body(7, Duration::from_secs(2));
    assert!(!body.contains('$'));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body,
        json!({
            "session_id": 7, "path": "", "action": "act", "parameters": ["costs $five.and"],
            "async": false, "return_path": "", "timeout_ms": 2000,
        })
    );
}

#[test]
fn a_line_of_a_script_needs_no_more_than_an_action() {
    let call: Call = serde_json::from_str(r#"{"action": "waitForImageData"}"#).unwrap();
    assert_eq!(call, Call::new("", "waitForImageData"));
    assert!(serde_json::from_str::<Call>(r#"{"action": "a", "parameter": []}"#).is_err());
    assert!(serde_json::from_str::<Call>(r#"{"path": "a"}"#).is_err());
}

#[test]
fn addresses_are_read_as_the_server_prints_them() {
    let page = |address: &str| Remote::new(address).map(|remote| (remote.page(), remote.token_in_url));
    let found = |page: &str, token: Option<&str>| Ok((page.to_owned(), token.map(str::to_owned)));
    assert_eq!(
        page("http://127.0.0.1:3002/?token=a%2Bb"),
        found("http://127.0.0.1:3002/", Some("a+b"))
    );
    assert_eq!(page("http://h/p/index.html?x=1"), found("http://h:80/p/", None));
    assert_eq!(page("http://[::1]:8/p"), found("http://[::1]:8/p/", None));
    assert!(page("https://h/").unwrap_err().contains("https"));
    assert!(page("ftp://h/").is_err());
    assert!(page("localhost:3002").is_err());
    assert!(page("").is_err());
}

#[test]
fn sizes_are_two_numbers() {
    assert_eq!(command::size("1280x1024"), Ok((1280, 1024)));
    for wrong in ["", "1280", "x", "0x10", "10x-1", "99999x10"] {
        assert!(command::size(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_session_is_found_in_the_chatter_of_the_browser() {
    let line = r#"[1:2:1121/004547.4:INFO:CONSOLE:18] "Connected with session ID 2882232541", source: http://h/a.js (18)"#;
    assert_eq!(session_in(line), Some(2_882_232_541));
    assert_eq!(session_in(r#""Connected with session ID x""#), None);
    assert_eq!(session_in("Connected"), None);
}

#[test]
fn pictures_come_as_data_urls_or_plain_base64() {
    assert_eq!(
        picture::bytes(&raw(r#""data:image/png;base64,iVA=""#)).unwrap(),
        [0x89, 0x50]
    );
    assert_eq!(picture::bytes(&raw(r#""iVA=""#)).unwrap(), [0x89, 0x50]);
    for wrong in [
        "null",
        "7",
        "\"\"",
        r#""data:text/plain,a""#,
        r#""data:image/png;base64,?""#,
    ] {
        assert!(
            matches!(picture::bytes(&raw(wrong)), Err(Failure::NoPicture(_))),
            "{wrong}"
        );
    }
}
