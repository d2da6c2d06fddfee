//! Bytes that may be a stored session: they are refused, or read and written again as the same.

#![no_main]

use bytes::Bytes;
use chartroom_viewer::Descriptor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(descriptor) = Descriptor::decode(Bytes::copy_from_slice(bytes)) {
        let encoded = descriptor.encode();
        let again = Descriptor::decode(encoded.clone()).expect("what was written is read");
        assert_eq!(again.encode(), encoded);
    }
});
