//! Prints how long an interactive job takes to start and to answer, on a quiet pool and under a flood of batch work, how
//! long a cancel takes, and what a fan-out costs.
//!
//! `cargo run --release -p chartroom-sched --example fairness [THREADS RESERVE]`

// A measuring program speaks on standard output.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chartroom_sched::{CancelToken, Class, Job, Owner, Scheduler, SchedulerOptions};

const CURSOR: Owner = Owner(1);
const FLOOD: Owner = Owner(2);
const ROUNDS: usize = 2000;
/// Between two interactive jobs: workers go to sleep, as between two movements of a mouse.
const PAUSE: Duration = Duration::from_micros(500);
/// The length of a batch piece.
const PIECE: Duration = Duration::from_millis(5);

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()?;
    let options = options()?;
    println!("{options:?}");
    let scheduler = Scheduler::new(options)?;
    runtime.block_on(async {
        print("wake of a bare thread (channel)", bare_wake()?);
        let (start, answer) = interactive(&scheduler).await?;
        print("quiet: submit to start", start);
        print("quiet: submit to answer", answer);

        let stop = CancelToken::new();
        let pieces = Arc::new(AtomicU64::new(0));
        let flood = tokio::spawn(flood(scheduler.clone(), stop.clone(), Arc::clone(&pieces)));
        let begin = Instant::now();
        let (start, answer) = interactive(&scheduler).await?;
        let rate =
            pieces.load(Ordering::Relaxed) as f64 * PIECE.as_secs_f64() / begin.elapsed().as_secs_f64();
        print("batch flood: submit to start", start);
        print("batch flood: submit to answer", answer);
        println!("{:<34} {rate:.2} cores", "batch flood: work done");
        stop.cancel();
        flood.await?;

        print("cancel of a polling job", cancels(&scheduler).await?);
        fan_out(&scheduler).await?;
        Ok(())
    })
}

fn options() -> Result<SchedulerOptions, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(threads) = arguments.next() else {
        return Ok(SchedulerOptions::default());
    };
    let interactive_reserve = arguments.next().map_or(Ok(1), |reserve| reserve.parse())?;
    Ok(SchedulerOptions {
        threads: threads.parse()?,
        interactive_reserve,
    })
}

/// What the operating system takes to wake a sleeping thread: the floor for what follows.
fn bare_wake() -> Result<Vec<Duration>, Box<dyn Error>> {
    let (sender, receiver) = std::sync::mpsc::channel::<Instant>();
    let sleeper = thread::spawn(move || receiver.iter().map(|sent| sent.elapsed()).collect::<Vec<_>>());
    for _ in 0..ROUNDS {
        thread::sleep(PAUSE);
        sender.send(Instant::now())?;
    }
    drop(sender);
    sleeper.join().map_err(|_| "the sleeper panicked".into())
}

/// The times from submission to start, and from submission to answer.
async fn interactive(scheduler: &Scheduler) -> Result<(Vec<Duration>, Vec<Duration>), Box<dyn Error>> {
    let cancel = CancelToken::new();
    let (mut starts, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        thread::sleep(PAUSE);
        let submitted = Instant::now();
        let job = scheduler.submit(Class::Interactive, CURSOR, &cancel, move |_| submitted.elapsed());
        starts.push(job.await?);
        answers.push(submitted.elapsed());
    }
    Ok((starts, answers))
}

/// Works on pieces without end, as cube histograms of many sessions would.
async fn flood(scheduler: Scheduler, stop: CancelToken, done: Arc<AtomicU64>) {
    // Ends with the cancel; there is nothing to report.
    let _ = scheduler
        .parallel(
            Class::Batch,
            FLOOD,
            &stop,
            std::iter::repeat(()),
            move |(), token| {
                compute(PIECE, token);
                done.fetch_add(1, Ordering::Relaxed);
            },
        )
        .await;
}

/// Sums rows for some time, looking at the token after each.
fn compute(time: Duration, token: &CancelToken) {
    let begin = Instant::now();
    while !token.is_cancelled() && begin.elapsed() < time {
        sum_rows(1, token);
    }
}

fn sum_rows(rows: usize, token: &CancelToken) {
    let row = [1.0_f64; 2048];
    for _ in 0..rows {
        if token.is_cancelled() {
            return;
        }
        black_box(black_box(&row).iter().sum::<f64>());
    }
}

/// The times from a cancel to the outcome of a job that runs.
async fn cancels(scheduler: &Scheduler) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..200 {
        let (started, has_started) = tokio::sync::oneshot::channel();
        let job: Job<()> = scheduler.submit(Class::Batch, FLOOD, &CancelToken::new(), move |token| {
            // The other side waits.
            let _ = started.send(());
            compute(Duration::MAX, token);
        });
        has_started.await?;
        let begin = Instant::now();
        job.cancel();
        // Cancelled, as it was asked to be.
        let _ = job.await;
        times.push(begin.elapsed());
    }
    Ok(times)
}

/// What a piece costs beyond its work.
async fn fan_out(scheduler: &Scheduler) -> Result<(), Box<dyn Error>> {
    const PIECES: u32 = 200_000;
    const ROWS: usize = 1500;
    let begin = Instant::now();
    scheduler
        .parallel(
            Class::Interactive,
            CURSOR,
            &CancelToken::new(),
            0..PIECES,
            |n, _| n,
        )
        .await?;
    println!(
        "{:<34} {:.2?} each",
        "fan-out of empty pieces",
        begin.elapsed() / PIECES
    );

    // Against bare threads that draw from a counter; the best of some rounds, since the machine may be busy.
    let pieces = 500;
    let (mut pool, mut bare) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let begin = Instant::now();
        scheduler
            .parallel(
                Class::Interactive,
                CURSOR,
                &CancelToken::new(),
                0..pieces,
                |_, token| sum_rows(ROWS, token),
            )
            .await?;
        pool = pool.min(begin.elapsed());

        let begin = Instant::now();
        let (next, token) = (AtomicU64::new(0), CancelToken::new());
        thread::scope(|scope| {
            for _ in 0..scheduler.options().threads {
                scope.spawn(|| {
                    while next.fetch_add(1, Ordering::Relaxed) < pieces {
                        sum_rows(ROWS, &token);
                    }
                });
            }
        });
        bare = bare.min(begin.elapsed());
    }
    let ratio = 100.0 * bare.as_secs_f64() / pool.as_secs_f64();
    let piece = bare / 500 * u32::try_from(scheduler.options().threads)?;
    println!(
        "{:<34} {ratio:.1} % of the speed of bare threads, pieces of {piece:.1?}",
        "fan-out of a sum"
    );
    Ok(())
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{what:<34} p50 {:>8.1?}   p99 {:>8.1?}   max {:>8.1?}",
        at(50),
        at(99),
        at(100)
    );
}
