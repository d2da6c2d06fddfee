//! The kernels against numpy and astropy (values written by `tests/oracle.py`), and against plain formulas.

mod oracle;
mod properties;
