//! What the server offers to clients, written down from its types.

use crate::command::{Outcome, cargo, run};

/// Writes `clients/js/schema/chartroom.json` and `clients/js/types/chartroom.d.ts` anew; a test compares them otherwise.
pub(crate) fn write() -> Outcome {
    let test = ["test", "--quiet", "-p", "chartroom", "--lib", "rpc::schemas"];
    run(cargo().args(test).env("CHARTROOM_WRITE_SCHEMAS", "1"))
}
