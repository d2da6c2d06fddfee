//! The zfp codec for tiles.
