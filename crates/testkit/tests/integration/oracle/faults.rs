//! Random scripts with random faults end as they do without.
//!
//! `CHARTROOM_SEEDS=2000` tries so many seeds instead of the few that are always tried; `CHARTROOM_FIRST_SEED=17` begins
//! with another seed than 0. A seed that fails says how to try it again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chartroom_icd::Request;
use chartroom_session::SessionId;
use chartroom_session::store::{Clock, EmbeddedStore, SessionStore};
use chartroom_testkit::client::{Client, Link, ResumableClient, ResumableLink, ResumeOptions};
use chartroom_testkit::history::check;
use chartroom_testkit::oracle::{Outcome, compare, run};
use chartroom_testkit::page::Page;
use chartroom_testkit::proxy::FaultyProxy;
use chartroom_testkit::script::{Fault, FaultPlan, Script, ScriptImage, Weights};
use chartroom_viewer::Descriptor;
use futures_util::{FutureExt, StreamExt};

use crate::protocol::elsewhere::Elsewhere;
use crate::protocol::write_cube;

/// Seeds that are tried at once. Each has a server of its own.
const AT_ONCE: usize = 3;

/// Actions of a script.
const ACTIONS: usize = 40;

/// How often something goes wrong in it.
const FAULTS: usize = 6;

/// A connection over which nothing comes for so long is given up.
const LIVENESS: Duration = Duration::from_secs(1);

#[tokio::test]
async fn streams_that_are_interrupted_at_random_end_as_those_that_are_not() {
    try_seeds(12, "streams_that", resumable).await;
}

#[tokio::test]
async fn pages_that_are_interrupted_at_random_end_as_those_that_are_not() {
    try_seeds(12, "pages_that", page).await;
}

/// Tries seeds and says which have failed.
async fn try_seeds<F>(fixed: u64, test: &str, trial: impl Fn(u64) -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|value| value.parse::<u64>().unwrap())
    };
    let first = number("CHARTROOM_FIRST_SEED").unwrap_or(0);
    let count = number("CHARTROOM_SEEDS").unwrap_or(fixed);
    let trials = (first..first + count).map(|seed| {
        let trial = AssertUnwindSafe(trial(seed)).catch_unwind();
        async move {
            let outcome = tokio::time::timeout(Duration::from_secs(600), trial).await;
            let outcome = outcome.unwrap_or(Ok(Err("it comes to no end".to_owned())));
            (seed, outcome.unwrap_or(Err("it panicked".to_owned())))
        }
    });
    let outcomes = futures_util::stream::iter(trials).buffer_unordered(AT_ONCE);
    let failures: Vec<String> = outcomes
        .filter_map(|(seed, outcome)| async move {
            let complaint = outcome.err()?;
            let complaint = format!(
                "Seed {seed}: {complaint}\nAgain with: CHARTROOM_FIRST_SEED={seed} CHARTROOM_SEEDS=1 \
                 cargo test -p chartroom-testkit --test integration {test}"
            );
            eprintln!("{complaint}");
            Some(complaint)
        })
        .collect()
        .await;
    assert!(failures.is_empty(), "{} of {count} seeds failed", failures.len());
}

/// A server with images for scripts.
async fn server() -> (Elsewhere, Vec<ScriptImage>) {
    let server = Elsewhere::start().await;
    write_cube(&server.folder().join("other.fits"), [520, 260, 5]);
    let image = |name: &str, width, height, channels| ScriptImage {
        name: name.to_owned(),
        width,
        height,
        channels,
        stokes: 1,
    };
    let images = vec![image("cube.fits", 300, 200, 12), image("other.fits", 520, 260, 5)];
    (server, images)
}

async fn resumable(seed: u64) -> Result<(), String> {
    let (mut server, images) = server().await;
    let script = Script::random(seed, ACTIONS, &images, Weights::default());
    let plan = FaultPlan::random(seed, script.steps.len(), FAULTS, true);

    let proxy = proxy(&server, seed).await;
    let options = ResumeOptions {
        liveness: LIVENESS,
        seed,
        ..ResumeOptions::default()
    };
    let link = ResumableLink::open(&proxy.url_for(&server.url), options).await;
    let mut client = Client::over(link.map_err(|error| error.to_string())?, 30);
    client.record();
    client.register_as(0).await.map_err(|error| error.to_string())?;
    let interrupted = run(&mut client, &script, async |client, step| {
        if step == script.steps.len() {
            proxy.heal();
        }
        for fault in plan.before(step) {
            strike(fault, &proxy, &mut server).await;
            if fault == Fault::Duplicate {
                client.link().duplicate();
            }
        }
    });
    let actual = interrupted.await;
    let story = format!("{:?} {plan:?}", client.link().counters());
    let actual = actual.map_err(|error| format!("{error} {story}"))?;
    judge(&mut client, &story)?;

    let peaceful = ResumableClient::register_resumable(&server.url, 30).await;
    let mut peaceful = peaceful.map_err(|error| error.to_string())?;
    peaceful.record();
    let expected = run(&mut peaceful, &script, async |_, _| {}).await;
    let expected = expected.map_err(|error| format!("without faults: {error}"))?;
    judge(&mut peaceful, "without faults")?;
    equal(&expected, &actual).map_err(|error| format!("{error} {story}"))?;

    server.stop().await;
    let [without, with] = descriptors(&server, [peaceful.session_id(), client.session_id()]).await?;
    same(&without, &with).map_err(|error| format!("{error} {story}"))
}

async fn page(seed: u64) -> Result<(), String> {
    let (mut server, images) = server().await;
    let script = Script::random(seed, ACTIONS, &images, Weights::default());
    let plan = FaultPlan::random(seed, script.steps.len(), FAULTS, true);

    let proxy = proxy(&server, seed).await;
    let page = Page::open(&proxy.url_for(&server.url), 30).await;
    let mut page = page.map_err(|error| error.to_string())?;
    let interrupted = run(&mut page, &script, async |page, step| {
        if step == script.steps.len() {
            proxy.heal();
        }
        for fault in plan.before(step) {
            strike(fault, &proxy, &mut server).await;
            if fault == Fault::Duplicate {
                page.leave();
            }
        }
    });
    let actual = interrupted.await;
    let story = format!("{} returns {plan:?}", page.returns());
    let actual = actual.map_err(|error| format!("{error} {story}"))?;
    judge(page.client(), &story)?;

    let peaceful = Page::open(&server.url, 30).await;
    let mut peaceful = peaceful.map_err(|error| error.to_string())?;
    let expected = run(&mut peaceful, &script, async |_, _| {}).await;
    let expected = expected.map_err(|error| format!("without faults: {error}"))?;
    judge(peaceful.client(), "without faults")?;
    equal(&expected, &actual).map_err(|error| format!("{error} {story}"))
}

async fn proxy(server: &Elsewhere, seed: u64) -> Arc<FaultyProxy> {
    let authority = server.url["http://".len()..].split('/').next().unwrap();
    let proxy = FaultyProxy::start_seeded(authority.parse().unwrap(), seed).await;
    Arc::new(proxy.unwrap())
}

/// Does what the client need not help with.
async fn strike(fault: Fault, proxy: &Arc<FaultyProxy>, server: &mut Elsewhere) {
    match fault {
        Fault::Kill => server.kill().await,
        Fault::Stop => server.stop().await,
        other => {
            other.strike(proxy);
            return;
        }
    }
    server.start_again().await;
}

/// No history may have a violation.
fn judge<L: Link>(client: &mut Client<L>, when: &str) -> Result<(), String> {
    let history = client.take_history();
    let violations = check(&history);
    if violations.is_empty() {
        return Ok(());
    }
    let sentences: Vec<String> = violations.iter().map(ToString::to_string).collect();
    Err(format!("{sentences:?} {when}"))
}

fn equal(expected: &Outcome, actual: &Outcome) -> Result<(), String> {
    let differences = compare(expected, actual);
    if differences.is_empty() {
        return Ok(());
    }
    let sentences: Vec<String> = differences.iter().map(ToString::to_string).collect();
    Err(sentences.join("\n"))
}

/// What a server that is stopped has stored of sessions.
async fn descriptors<const N: usize>(server: &Elsewhere, ids: [u32; N]) -> Result<[Descriptor; N], String> {
    let folder = std::fs::read_dir(server.state().join("sessions")).unwrap().next();
    let store = EmbeddedStore::open(&folder.unwrap().unwrap().path(), Clock::system());
    let store = store.map_err(|error| error.to_string())?;
    let mut found = [const { None }; N];
    for (id, place) in ids.into_iter().zip(&mut found) {
        let id = SessionId::new(id).ok_or("a session has no number")?;
        let stored = store.get(id).await.map_err(|error| error.to_string())?;
        let stored = stored.ok_or("the session is not stored")?;
        let record = stored.decode().map_err(|error| error.to_string())?;
        *place = Some(Descriptor::decode(record.body).map_err(|error| error.to_string())?);
    }
    Ok(found.map(Option::unwrap_or_default))
}

/// Sessions in equal states have equal requests.
fn same(without: &Descriptor, with: &Descriptor) -> Result<(), String> {
    let [without, with] = [without, with].map(|session| {
        let requests = session.requests().iter().cloned();
        requests.map(without_tiles).collect::<Vec<Request>>()
    });
    if without == with {
        return Ok(());
    }
    let missing: Vec<_> = without.iter().filter(|request| !with.contains(request)).collect();
    let more: Vec<_> = with.iter().filter(|request| !without.contains(request)).collect();
    Err(format!(
        "The server's session lacks {missing:?} and has instead {more:?}."
    ))
}

/// Sessions remember tiles that may be on the screen from earlier wishes. Which these are depends on whether the last wish
/// came twice; those that are wished for are among the parts that come in the end.
fn without_tiles(request: Request) -> Request {
    match request {
        Request::AddRequiredTiles(mut wish) => {
            wish.tiles.clear();
            wish.into()
        }
        other => other,
    }
}
