//! What a CARTA session can do: one module per family of messages.
