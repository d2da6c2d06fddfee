//! Any bytes as the stored record of a session: what was decoded is written again as the same record.

#![no_main]

use bytes::Bytes;
use chartroom_session::store::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(record) = Record::decode(&bytes) {
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }
});
