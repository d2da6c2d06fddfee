//! The Chartroom server: HTTP, authentication, configuration, frontend, stores and metrics.
