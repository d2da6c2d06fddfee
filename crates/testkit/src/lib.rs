//! For tests: server fixtures, an ICD client, synthetic images.
