//! The wire as a whole, against the table of the ICD.

mod hostile;
mod table;
