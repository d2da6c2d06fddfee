//! Invariant 8: a session that was lost and rebuilt is in the same state as one that never was, also if its client
//! sends again what may have been taken already.

use std::sync::Arc;
use std::time::Duration;

use chartroom_icd::Request;
use chartroom_icd::messages::{
    CloseFile, ImageProperties, RemoveRegion, RemoveRequiredTiles, ResumeSession, SetSpatialRequirements,
    SetStatsRequirements, set_spatial_requirements::SpatialConfig, set_stats_requirements::StatsConfig,
};
use chartroom_session::Session;
use chartroom_viewer::Restore;
use proptest::prelude::*;

use crate::support::{Book, Site, Tab, channel, cursor, open, point, wish};

/// What a user does to files 0 and 1, or nonsense as well: requests that are refused when they come and would not be
/// later. A client that sends those again has them taken the second time.
fn action(nonsense: bool) -> BoxedStrategy<Request> {
    let ids = if nonsense { -1..8i32 } else { -1..0 };
    let file = 0..2i32;
    // Both open: what is drawn on an image before it turns out to be none depends on how fast that is.
    let name = prop_oneof![Just("cube.fits"), Just("flat.fits")];
    let tiles = proptest::collection::vec(
        prop_oneof![Just(0), Just(1 << 24), Just(1 << 24 | 1), Just(9 << 24)],
        0..3,
    );
    let sensible = prop_oneof![
        (file.clone(), name.clone()).prop_map(|(file, name)| open(file, name).into()),
        (file.clone(), name.clone()).prop_map(|(file, name)| open(file, name).into()),
        file.clone().prop_map(|file_id| CloseFile { file_id }.into()),
        (file.clone(), -1..13i32, tiles.clone()).prop_map(|(file, c, tiles)| channel(file, c, &tiles).into()),
        (file.clone(), -1..13i32, tiles.clone()).prop_map(|(file, c, tiles)| channel(file, c, &tiles).into()),
        (file.clone(), tiles.clone()).prop_map(|(file, tiles)| wish(file, &tiles).into()),
        (file.clone(), tiles).prop_map(|(file_id, tiles)| RemoveRequiredTiles { file_id, tiles }.into()),
        (file.clone(), -5.0..310.0f32).prop_map(|(file, x)| cursor(file, x, 3.0).into()),
        (file.clone(), ids.clone(), 0.0..9.0f32).prop_map(|(file, id, x)| point(file, id, x.floor()).into()),
        (file.clone(), 0.0..9.0f32).prop_map(|(file, x)| point(file, -1, x.floor()).into()),
        (-1..8i32).prop_map(|region_id| RemoveRegion { region_id }.into()),
        (file.clone(), ids.clone(), 0..3usize).prop_map(|(file_id, region_id, count)| {
            let stats_configs = vec![StatsConfig::default(); count];
            SetStatsRequirements {
                file_id,
                region_id,
                stats_configs,
            }
            .into()
        }),
        (file.clone(), ids.clone().prop_map(|id| id + 1), 0..3usize).prop_map(
            |(file_id, region_id, count)| {
                let config = SpatialConfig {
                    coordinate: "x".into(),
                    ..Default::default()
                };
                SetSpatialRequirements {
                    file_id,
                    region_id,
                    spatial_profiles: vec![config; count],
                }
                .into()
            }
        ),
    ]
    .boxed();
    if !nonsense {
        // A page resumes on a new connection only, where it counts its requests anew: none of before comes again.
        return sensible;
    }
    let resumed =
        (file, name, -1..12i32, ids.prop_map(|id| id + 1)).prop_map(|(file_id, file, channel, region_id)| {
            let region = point(0, 1, 2.0).region_info.unwrap_or_default();
            let image = ImageProperties {
                file_id,
                file: file.into(),
                channel,
                regions: [(region_id, region)].into(),
                ..Default::default()
            };
            ResumeSession {
                images: vec![image],
                ..Default::default()
            }
            .into()
        });
    prop_oneof![12 => sensible, 1 => resumed].boxed()
}

/// What a user does, one action a line when it is shown.
#[derive(Clone)]
struct Script(Vec<Request>);

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|request| write!(f, "\n  {request:?}"))
    }
}

/// Sends requests under the numbers that they have in the script, and drops what comes back.
async fn act(tab: &mut Tab, script: &[Request], first: usize) {
    for (number, request) in script.iter().enumerate() {
        tab.send_as((first + number) as u32, request.clone()).await;
        tab.drain();
    }
}

/// The state when every file was opened: when all that asked for it were answered.
async fn at_rest(tab: &mut Tab, script: &[Request]) -> Vec<Request> {
    let asked = script
        .iter()
        .filter(|request| matches!(request, Request::OpenFile(_) | Request::ResumeSession(_)))
        .count();
    let waiting = async {
        while tab.acknowledged < asked {
            tab.drain();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap();
    assert_eq!(tab.acknowledged, asked, "each is answered once");
    tab.state().await
}

async fn taken(tab: &Tab, count: usize) {
    let mut handled = tab.session.handled();
    let waiting = handled.wait_for(|handled| *handled >= count as u64);
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap()
        .unwrap();
}

async fn lost_and_found(script: Vec<Request>, lost_at: usize, again: usize) -> (Vec<Request>, Vec<Request>) {
    let site = Site::new();
    let mut never_lost = site.start(None);
    act(&mut never_lost, &script, 1).await;
    taken(&never_lost, script.len()).await;
    let expected = at_rest(&mut never_lost, &script).await;
    never_lost.session.end();

    let lost_at = lost_at % (script.len() + 1);
    let book = Arc::new(Book::default());
    let mut tab = site.start_with(None, Arc::clone(&book));
    act(&mut tab, &script[..lost_at], 1).await;
    taken(&tab, lost_at).await;
    // At rest or in the middle of opening files.
    if again.is_multiple_of(2) {
        at_rest(&mut tab, &script[..lost_at]).await;
    }
    tab.session.suspend().await;
    let descriptor = book.last().map(|(descriptor, _)| descriptor).unwrap_or_default();
    let site = site.restarted();
    let restore = Restore {
        descriptor,
        resend: true,
    };
    let mut tab = site.start(Some(restore));
    // All requests of which the client does not know for sure that they were taken come again.
    let from = lost_at - again % (lost_at + 1);
    act(&mut tab, &script[from..], from + 1).await;
    taken(&tab, script.len() - from).await;
    tab.session.restored().await;
    let found = at_rest(&mut tab, &script[from..]).await;
    (expected, found)
}

fn rebuilt(script: Script, lost_at: usize, again: usize) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (expected, found) = runtime.block_on(lost_and_found(script.0, lost_at, again));
    prop_assert!(
        expected == found,
        "expected {:?}\nfound {:?}",
        Script(expected),
        Script(found)
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..Default::default() })]

    #[test]
    fn a_session_that_was_rebuilt_is_as_if_it_had_never_been_lost(
        script in proptest::collection::vec(action(true), 1..40).prop_map(Script),
        lost_at in any::<usize>(),
    ) {
        rebuilt(script, lost_at, 0)?;
    }

    #[test]
    fn requests_that_come_again_change_nothing(
        script in proptest::collection::vec(action(false), 1..40).prop_map(Script),
        lost_at in any::<usize>(),
        again in any::<usize>(),
    ) {
        rebuilt(script, lost_at, again)?;
    }
}
