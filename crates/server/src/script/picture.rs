//! Pictures, which the page gives as data URLs (RFC 2397) with base64.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;

use super::Failure;

/// The bytes of the picture in a JSON text: in a `data:` URL, or in plain base64.
pub(super) fn bytes(json: &RawValue) -> Result<Vec<u8>, Failure> {
    let text: String = serde_json::from_str(json.get()).map_err(|_| Failure::NoPicture("is no text"))?;
    let data = match text.strip_prefix("data:") {
        Some(url) => url
            .split_once(";base64,")
            .map(|(_, data)| data)
            .ok_or(Failure::NoPicture("is a data URL without base64"))?,
        None => &text,
    };
    STANDARD
        .decode(data)
        .ok()
        .filter(|bytes| !bytes.is_empty())
        .ok_or(Failure::NoPicture("is neither a data URL nor base64"))
}
