//! Values that clients get, against independent computations.
