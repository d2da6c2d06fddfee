//! Listing 25,000 files against a bare walk over the directory.

use std::path::Path;
use std::time::{Duration, Instant};

use chartroom_icd::messages::{self, FileListFilterMode};

use crate::measure::{median, time};
use crate::report::{Demand, Row};
use crate::server::Server;
use crate::{BenchError, Rows, files};

const RUNS: usize = 5;

pub(crate) async fn measure(folder: &Path) -> Rows {
    let many = files::many(folder)?;
    let walk = median((0..RUNS).map(|_| time(|| bare_walk(&many))).collect());
    let server = Server::start(&many).await?;
    let mut rows = Vec::new();
    for (mode, name, cpp) in [
        (FileListFilterMode::Content, "by content", 490),
        (FileListFilterMode::Extension, "by extension", 340),
    ] {
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let mut client = server.client().await?;
            let start = Instant::now();
            let wish = messages::FileListRequest {
                directory: "$BASE".to_owned(),
                filter_mode: mode.into(),
            };
            client.send(wish).await?;
            let list: messages::FileListResponse = client.wait().await?;
            times.push(start.elapsed());
            if list.files.len() != files::MANY {
                return Err(BenchError::Answer(format!(
                    "{} files were listed",
                    list.files.len()
                )));
            }
        }
        rows.push(Row {
            name: format!("list 25,000 files {name}"),
            ours: median(times).into(),
            reference: Some(("readdir and stat", walk.into())),
            demand: Demand::AtMost(3.0),
            cpp: Some(Duration::from_millis(cpp)),
        });
    }
    Ok(rows)
}

/// Directory entries and the size of each.
fn bare_walk(folder: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .sum()
}
