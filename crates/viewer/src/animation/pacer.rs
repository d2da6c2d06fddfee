//! When frames of an animation are asked for: at the frame rate, not before the frame before is on its way, and not
//! before the client has received all but a few of those before it.

use std::sync::Arc;
use std::time::Duration;

use chartroom_sched::CancelToken;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::session::Event;

/// How many frames may be under way before the client has said that it received one.
pub(super) const FRAMES_AHEAD: usize = 5;

/// How long the client may keep silent before the next frame is sent all the same: it says nothing of a frame that it
/// threw away.
const SILENCE: Duration = Duration::from_secs(2);

/// How many frames in a row are sent like that. Then nobody is there to look: the animation waits until somebody is.
const SILENT_FRAMES: usize = 8;

/// Frames per second that make sense.
const RATES: std::ops::RangeInclusive<i32> = 1..=60;

/// The wish for the next frame. Dropping `done` says that the frame is on its way.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(super) animation_id: i32,
    pub(super) done: oneshot::Sender<()>,
}

/// What asks for the frames of one animation.
#[derive(Debug)]
pub(super) struct Pacer {
    pub(super) animation_id: i32,
    /// Frames per second, as the client asked for them.
    pub(super) rate: i32,
    /// Leave to send a frame.
    pub(super) leave: Arc<Semaphore>,
    pub(super) token: CancelToken,
    pub(super) events: mpsc::UnboundedSender<Event>,
}

impl Pacer {
    /// Asks for one frame after the other until the animation or its session is over.
    pub(super) async fn run(self) {
        let Self {
            animation_id,
            rate,
            leave,
            token,
            events,
        } = self;
        let rate = rate.clamp(*RATES.start(), *RATES.end()).unsigned_abs();
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = 0;
        loop {
            ticks.tick().await;
            let leave = async {
                match leave.acquire().await {
                    Ok(permit) => permit.forget(),
                    // The semaphore is never closed.
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                () = token.cancelled() => break,
                () = leave => silent = 0,
                () = tokio::time::sleep(SILENCE), if silent < SILENT_FRAMES => silent += 1,
            }
            let (done, sent) = oneshot::channel();
            let frame = Frame { animation_id, done };
            if token.is_cancelled() || events.send(Event::Frame(frame)).is_err() {
                break;
            }
            // An error is the end of the frame as well.
            let _ = sent.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// A pacer of 60 frames a second, and what its session hears.
    struct Screen {
        leave: Arc<Semaphore>,
        token: CancelToken,
        events: mpsc::UnboundedReceiver<Event>,
    }

    impl Screen {
        fn new() -> Self {
            let (sender, events) = mpsc::unbounded_channel();
            let (leave, token) = (Arc::new(Semaphore::new(FRAMES_AHEAD)), CancelToken::new());
            let pacer = Pacer {
                animation_id: 1,
                rate: 1000,
                leave: Arc::clone(&leave),
                token: token.clone(),
                events: sender,
            };
            tokio::spawn(pacer.run());
            Self { leave, token, events }
        }

        /// How many frames are asked for until nothing happens for an hour.
        async fn frames(&mut self) -> usize {
            let mut frames = 0;
            let hour = Duration::from_secs(3600);
            while let Ok(Some(Event::Frame(frame))) = tokio::time::timeout(hour, self.events.recv()).await {
                assert_eq!(frame.animation_id, 1);
                frames += 1;
            }
            frames
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_animation_that_nobody_looks_at_waits_until_somebody_does() {
        let mut screen = Screen::new();
        assert_eq!(screen.frames().await, FRAMES_AHEAD + SILENT_FRAMES);
        screen.leave.add_permits(2);
        assert_eq!(screen.frames().await, 2 + SILENT_FRAMES);
        screen.token.cancel();
        assert!(screen.events.recv().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn frames_come_at_their_rate_while_the_client_follows() {
        let mut screen = Screen::new();
        screen.leave.add_permits(1000);
        let begin = Instant::now();
        for _ in 0..=120 {
            screen.events.recv().await.unwrap();
        }
        let elapsed = begin.elapsed().as_millis();
        assert!((1990..2200).contains(&elapsed), "120 frames in {elapsed} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_frame_is_not_asked_for_before_the_one_before_is_on_its_way() {
        let mut screen = Screen::new();
        screen.leave.add_permits(1000);
        let Some(Event::Frame(first)) = screen.events.recv().await else {
            panic!("no frame");
        };
        let next = tokio::time::timeout(Duration::from_secs(60), screen.events.recv());
        assert!(next.await.is_err());
        drop(first);
        assert!(matches!(screen.events.recv().await, Some(Event::Frame(_))));
    }
}
