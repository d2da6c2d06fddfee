//! The fair, prioritised, cancellable pool where all long work runs.
