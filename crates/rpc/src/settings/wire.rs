//! The classes of time-outs as they travel: by flat names, which the first clients look up, and nested, which later ones do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TimeoutClass;

/// How long requests may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Timeouts")]
pub(super) struct Timeouts {
    classes: Classes,
}

/// The classes, each twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "TimeoutClasses")]
struct Classes {
    #[serde(rename = "request.fast")]
    fast: TimeoutClass,
    #[serde(rename = "request.medium")]
    medium: TimeoutClass,
    #[serde(rename = "request.heavy")]
    heavy: TimeoutClass,
    /// The same by their last names. Who writes settings by hand need not write them twice: these are not looked at.
    request: Nested,
}

/// The classes of requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "RequestClasses")]
struct Nested {
    fast: TimeoutClass,
    medium: TimeoutClass,
    heavy: TimeoutClass,
}

impl Default for Timeouts {
    fn default() -> Self {
        super::Timeouts::default().into()
    }
}

impl Default for Classes {
    fn default() -> Self {
        Timeouts::default().classes
    }
}

impl Default for Nested {
    fn default() -> Self {
        Classes::default().request
    }
}

impl From<super::Timeouts> for Timeouts {
    fn from(super::Timeouts { fast, medium, heavy }: super::Timeouts) -> Self {
        Self {
            classes: Classes {
                fast,
                medium,
                heavy,
                request: Nested { fast, medium, heavy },
            },
        }
    }
}

impl From<Timeouts> for super::Timeouts {
    fn from(Timeouts { classes }: Timeouts) -> Self {
        Self {
            fast: classes.fast,
            medium: classes.medium,
            heavy: classes.heavy,
        }
    }
}
