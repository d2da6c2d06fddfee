//! What is offered, as it is committed for those who write clients: JSON Schemas, and declarations for TypeScript.
//!
//! `cargo xtask schemas` writes the files anew; without it, they are compared.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Instant,
};

use chartroom_rpc::describe::{Description, typescript};
use chartroom_sched::{Scheduler, SchedulerOptions};
use chartroom_session::{Ids, Registry, Retention};
use chartroom_viewer::{Folders, Viewer, ViewerOptions};

use super::{offering, rooms::Parts};
use crate::{door::Door, metrics::Metrics};

/// Set by `cargo xtask schemas`.
const WRITE: &str = "CHARTROOM_WRITE_SCHEMAS";

pub(super) async fn description() -> Description {
    let folder = tempfile::tempdir().unwrap();
    let viewer = ViewerOptions {
        folders: Folders::new(folder.path(), folder.path()).unwrap(),
        read_only: true,
        scripting: false,
        cache_bytes: 0,
        outbox_bytes: 0,
        mailbox_bytes: 0,
        platform: Vec::new(),
        open: Default::default(),
    };
    let scheduler = Scheduler::new(SchedulerOptions::default()).unwrap();
    let registry = Registry::new(Ids::random(), Retention::default(), None, Vec::new());
    let parts = Arc::new(Parts {
        viewer: Viewer::new(viewer, scheduler),
        door: Door::new(Arc::new(registry)),
        metrics: Metrics::default(),
        scripting: false,
        state: None,
        log_rules: OnceLock::new(),
        started: Instant::now(),
    });
    offering(&parts).build().await.unwrap().describe()
}

fn committed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../clients/js")
        .join(file)
}

#[tokio::test]
async fn the_schemas_for_clients_are_those_of_the_types() {
    let description = description().await;
    let schemas = serde_json::to_string_pretty(&description).unwrap() + "\n";
    for (file, text) in [
        ("schema/chartroom.json", schemas),
        ("types/chartroom.d.ts", typescript(&description)),
    ] {
        let path = committed(file);
        if env::var_os(WRITE).is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let there = fs::read_to_string(&path)
            .unwrap_or_default()
            .replace("\r\n", "\n");
        assert!(
            there == text,
            "clients/js/{file} is out of date; run: cargo xtask schemas"
        );
    }
}
