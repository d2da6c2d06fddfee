//! Whatever is written into a header by the rules is read back as it was.

use chartroom_image::fits::{BLOCK, Header, Value};
use proptest::prelude::*;

/// Writes a card as the standard demands, a long string with CONTINUE.
fn write(keyword: &str, value: &Value, comment: &str) -> Vec<u8> {
    let field = match value {
        Value::None => return line(&format!("{keyword:<8}{comment}")),
        Value::Undefined | Value::Unparsed => String::new(),
        Value::Logical(yes) => format!("{:>20}", if *yes { "T" } else { "F" }),
        Value::Integer(n) => format!("{n:>20}"),
        Value::Float(x) => format!("{x:>20E}"),
        Value::Complex(re, im) => format!("({re:E}, {im:E})"),
        Value::Text(text) => return write_text(keyword, text, comment),
    };
    line(&format!("{keyword:<8}= {field} / {comment}"))
}

fn write_text(keyword: &str, text: &str, comment: &str) -> Vec<u8> {
    let mut cards = Vec::new();
    let mut start = format!("{keyword:<8}= '");
    let mut rest: Vec<char> = text.chars().collect();
    loop {
        let piece: String = rest.drain(..rest.len().min(30)).collect();
        let quoted = piece.replace('\'', "''");
        if rest.is_empty() {
            let all = format!("{start}{quoted}'");
            // The comment goes where there is room.
            let with = format!("{all} / {comment}");
            cards.extend(line(if with.len() <= 80 { &with } else { &all }));
            return cards;
        }
        cards.extend(line(&format!("{start}{quoted}&'")));
        start = "CONTINUE  '".to_owned();
    }
}

fn line(text: &str) -> Vec<u8> {
    assert!(text.len() <= 80, "{text:?} is too long");
    format!("{text:<80}").into_bytes()
}

fn keyword() -> impl Strategy<Value = String> {
    "[A-Z][A-Z0-9_-]{0,7}".prop_filter("these have a meaning of their own", |keyword| {
        !["END", "COMMENT", "HISTORY", "CONTINUE", "HIERARCH"].contains(&keyword.as_str())
    })
}

fn value() -> impl Strategy<Value = Value> {
    let number = || any::<f64>().prop_filter("FITS has finite numbers only", |x| x.is_finite());
    // Trailing blanks mean nothing, and a final & would be continued.
    let text = "([ -~]{0,199}[!-%'-~])?".prop_map(Value::Text);
    prop_oneof![
        Just(Value::Undefined),
        any::<bool>().prop_map(Value::Logical),
        any::<i64>().prop_map(Value::Integer),
        number().prop_map(Value::Float),
        (number(), number()).prop_map(|(re, im)| Value::Complex(re, im)),
        text,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        cards in proptest::collection::vec((keyword(), value()), 0..80),
    ) {
        let mut bytes: Vec<u8> =
            cards.iter().flat_map(|(keyword, value)| write(keyword, value, "why")).collect();
        bytes.extend(line("END"));
        bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
        let header = Header::parse(&bytes).unwrap();
        prop_assert_eq!(header.cards().len(), cards.len());
        for (read, (keyword, value)) in header.cards().iter().zip(&cards) {
            prop_assert_eq!(&*read.keyword, keyword);
            prop_assert_eq!(&read.value, value);
            let first = cards.iter().find(|(other, _)| other == keyword);
            prop_assert_eq!(header.get(keyword).map(|card| &card.value), first.map(|(_, value)| value));
        }
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
        let _ = Header::parse(&bytes);
    }
}
