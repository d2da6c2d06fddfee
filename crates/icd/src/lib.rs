//! The CARTA wire: messages, frame header and version negotiation. No IO.
