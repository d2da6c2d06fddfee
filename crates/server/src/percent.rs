//! Percent-encoding (RFC 3986, section 2.1) for URLs and file names.

use crate::auth::hex;

/// Replaces every byte that is not to be kept by `%XX`.
pub(crate) fn encode(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii() && byte != b'%' && keep(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex(&[byte]).to_ascii_uppercase());
        }
    }
    encoded
}

/// Replaces every `%XX`; whatever is no such code, or would be no text, stays as it is.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.split_at_checked(2).filter(|_| first == b'%');
        let decoded = code.and_then(|(digits, tail)| Some((byte(digits)?, tail)));
        let (byte, tail) = decoded.unwrap_or((first, tail));
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// The byte behind two hexadecimal digits.
fn byte(digits: &[u8]) -> Option<u8> {
    // The standard parser would also take a sign.
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|_| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(digits, 16).ok()
}

/// Whether a byte stands for itself wherever it is in a URL (RFC 3986, section 2.3).
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_codes_are_decoded() {
        assert_eq!(decode("a%20b%2Fc%2f"), "a b/c/");
        for same in ["50%", "%", "%4", "%zz", "%+1", "%ff", "ä"] {
            assert_eq!(decode(same), same);
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_to_the_same(text in "\\PC{0,30}") {
            let encoded = encode(&text, is_unreserved);
            prop_assert!(encoded.bytes().all(|byte| is_unreserved(byte) || byte == b'%'));
            prop_assert_eq!(decode(&encoded), text);
        }
    }
}
