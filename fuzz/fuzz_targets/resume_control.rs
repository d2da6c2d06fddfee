//! Any messages over a link of the resumable transport: what is parsed survives being written again, and no order of
//! messages makes a stream panic or lose count.

#![no_main]

use std::time::{Duration, Instant};

use chartroom_session::transport::wire::{self, Incoming};
use chartroom_session::transport::{Message, OtherEnd, Stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, u32, Vec<(u8, String)>)| {
    let (sent, settled, messages) = input;
    let mut now = Instant::now();
    let mut stream = Stream::<u8>::restored(sent, settled);
    for (action, text) in messages {
        let message = match action % 4 {
            0 => Message::from(format!("\u{10}{text}")),
            1 => Message::from(format!("\u{10}{{\"hello\":{text}}}")),
            2 => Message::from(text.into_bytes()),
            _ => Message::from(text),
        };
        if let Ok(incoming) = Incoming::parse(message.clone()) {
            let again = match incoming {
                Incoming::Message(application) => wire::application(application),
                Incoming::Skip(count) => wire::skip(count),
                Incoming::Acknowledge(count) => wire::acknowledge(count),
                Incoming::Heartbeat => wire::heartbeat(),
                Incoming::HeartbeatAnswer => wire::heartbeat_answer(),
                // Its members may come in any order; what is written is written the same way again.
                Incoming::Handshake(handshake) => {
                    let written = handshake.to_message();
                    let Ok(Incoming::Handshake(read)) = Incoming::parse(written.clone()) else {
                        panic!("a handshake was written that cannot be read");
                    };
                    assert_eq!(read.to_message(), written);
                    message.clone()
                }
            };
            assert_eq!(again, message);
        }
        stream.push(message.clone(), (action & 16 != 0).then_some(action & 3));
        // Errors close the link; a stream must stand them all the same.
        let _ = stream.receive(message, now);
        if action & 32 != 0 {
            stream.settle(stream.received(), now);
        }
        if action & 64 != 0 {
            let received = stream.sent().wrapping_sub(u32::from(action & 3));
            let _ = stream.resume(OtherEnd::Client { received, told: settled }, now);
        }
        if action & 128 != 0 {
            while stream.next(now).is_some() {}
            assert!(!stream.has_waiting());
        }
        now += Duration::from_millis(100);
    }
});
