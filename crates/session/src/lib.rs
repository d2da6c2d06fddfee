//! Links, sessions, the registry of sessions, and the outbox.
