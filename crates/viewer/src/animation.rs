//! Playing through channels or polarisations: START_ANIMATION, STOP_ANIMATION, ANIMATION_FLOW_CONTROL.
//!
//! A pacer asks for one frame at a time: at the frame rate, not before the frame before is on its way, and not before
//! the client has received all but a few of those before it. Frames are never skipped; they come later when the client
//! or the server cannot follow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chartroom_icd::messages::{self, AnimationFrame};
use chartroom_sched::{CancelToken, Class};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::MissedTickBehavior;

use crate::ViewerError;
use crate::image::Plane;
use crate::session::{Actor, Event};
use crate::tiles::TileWish;

/// How many frames may be under way before the client has said that it received one.
const FRAMES_AHEAD: usize = 5;

/// How long the client may keep silent before the next frame is sent all the same: it says nothing of a frame that it
/// threw away.
const SILENCE: Duration = Duration::from_secs(2);

/// Frames per second that make sense.
const RATES: std::ops::RangeInclusive<i32> = 1..=60;

/// A running animation.
#[derive(Debug)]
pub(crate) struct Animation {
    id: i32,
    file_id: i32,
    steps: Steps,
    /// For each matched file the channel for each channel of the animated one, from the first on.
    matched: BTreeMap<i32, Vec<f32>>,
    /// What the polarisation of a frame stands for, if not for itself.
    stokes_indices: Vec<i32>,
    token: CancelToken,
    /// The groups of the last frame, one for each file.
    under_way: Vec<CancelToken>,
    /// Leave to send a frame; the client gives it back with its flow control.
    leave: Arc<Semaphore>,
}

impl Animation {
    /// Whether the animation moves this file.
    pub(crate) fn moves(&self, file_id: i32) -> bool {
        self.file_id == file_id || self.matched.contains_key(&file_id)
    }

    fn plane_numbers(&self, frame: AnimationFrame) -> (i32, i32) {
        let listed = usize::try_from(frame.stokes)
            .ok()
            .and_then(|index| self.stokes_indices.get(index));
        (frame.channel, listed.copied().unwrap_or(frame.stokes))
    }
}

/// The pacer's wish for the next frame. Dropping `done` tells it that the frame is on its way.
#[derive(Debug)]
pub(crate) struct Frame {
    animation_id: i32,
    done: oneshot::Sender<()>,
}

/// The order of frames.
#[derive(Debug, Clone, PartialEq)]
struct Steps {
    first: AnimationFrame,
    last: AnimationFrame,
    delta: AnimationFrame,
    next: Option<AnimationFrame>,
    looping: bool,
    bounce: bool,
    backwards: bool,
}

impl Steps {
    fn is_between(&self, frame: AnimationFrame) -> bool {
        let between = |value: i32, a: i32, b: i32| (a.min(b)..=a.max(b)).contains(&value);
        between(frame.channel, self.first.channel, self.last.channel)
            && between(frame.stokes, self.first.stokes, self.last.stokes)
    }

    fn step(&self, from: AnimationFrame) -> Option<AnimationFrame> {
        let sign = if self.backwards { -1 } else { 1 };
        let to = AnimationFrame {
            channel: from
                .channel
                .saturating_add(self.delta.channel.saturating_mul(sign)),
            stokes: from.stokes.saturating_add(self.delta.stokes.saturating_mul(sign)),
        };
        self.is_between(to).then_some(to)
    }

    /// The frame to show now. When it is the last one, nothing follows.
    fn advance(&mut self) -> Option<AnimationFrame> {
        let frame = self.next?;
        self.next = self.step(frame);
        if self.next.is_none() && self.bounce {
            self.backwards = !self.backwards;
            self.next = self.step(frame);
        }
        if self.next.is_none() && self.looping {
            // Steps may run from the last to the first.
            let falls = self.delta.channel < 0 || self.delta.stokes < 0;
            self.next = Some(if falls { self.last } else { self.first });
        }
        Some(frame)
    }
}

impl Actor {
    pub(crate) fn on_start_animation(
        &mut self,
        request_id: u32,
        request: messages::StartAnimation,
    ) -> Result<(), ViewerError> {
        self.end_animation();
        if let Err(error) = self.start_animation(request_id, request) {
            self.refuse_animation(request_id, &error);
        }
        Ok(())
    }

    pub(crate) fn refuse_animation(&self, request_id: u32, error: &ViewerError) {
        let ack = messages::StartAnimationAck {
            success: false,
            message: error.to_string(),
            animation_id: 0,
        };
        self.context.reply(request_id, &ack);
    }

    fn start_animation(
        &mut self,
        request_id: u32,
        request: messages::StartAnimation,
    ) -> Result<(), ViewerError> {
        let file_id = request.file_id;
        let file = self.file(file_id)?;
        let start = request.start_frame.unwrap_or_default();
        let steps = Steps {
            first: request.first_frame.unwrap_or_default(),
            last: request.last_frame.unwrap_or_default(),
            delta: request.delta_frame.unwrap_or(AnimationFrame {
                channel: 1,
                stokes: 0,
            }),
            next: Some(start),
            looping: request.looping,
            bounce: request.reverse,
            backwards: false,
        };
        if !steps.is_between(start) {
            return Err(ViewerError::invalid(
                "The animation starts outside of its own range.",
            ));
        }
        if steps.delta == AnimationFrame::default() {
            return Err(ViewerError::invalid("The animation has no step."));
        }
        if let Some(wish) = &request.required_tiles {
            file.wish = Some(TileWish::new(wish, file.image().shape())?);
        }
        let token = file.life.child();
        let leave = Arc::new(Semaphore::new(FRAMES_AHEAD));
        self.animations += 1;
        let id = self.animations;
        let animation = Animation {
            id,
            file_id,
            steps,
            matched: request
                .matched_frames
                .into_iter()
                .map(|(id, list)| (id, list.frame_numbers))
                .collect(),
            stokes_indices: request.stokes_indices,
            token: token.clone(),
            under_way: Vec::new(),
            leave: Arc::clone(&leave),
        };
        for frame in [animation.steps.first, animation.steps.last] {
            let (channel, stokes) = animation.plane_numbers(frame);
            self.file(file_id)?.image().plane(channel, stokes)?;
        }
        self.animation = Some(animation);
        let ack = messages::StartAnimationAck {
            success: true,
            message: String::new(),
            animation_id: id,
        };
        self.context.reply(request_id, &ack);

        let rate = request.frame_rate.clamp(*RATES.start(), *RATES.end());
        let events = self.context.events.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate.unsigned_abs());
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Ok(Ok(permit)) = tokio::time::timeout(SILENCE, leave.acquire()).await {
                    permit.forget();
                }
                let (done, sent) = oneshot::channel();
                let over = token.is_cancelled()
                    || events
                        .send(Event::Frame(Frame {
                            animation_id: id,
                            done,
                        }))
                        .is_err();
                if over {
                    break;
                }
                // An error is the end of the frame as well.
                let _ = sent.await;
            }
        });
        Ok(())
    }

    /// Shows the next frame.
    pub(crate) fn on_frame(&mut self, frame: Frame) {
        let Some(animation) = self.animation.as_mut().filter(|a| a.id == frame.animation_id) else {
            return;
        };
        let Some(next) = animation.steps.advance() else {
            self.end_animation();
            return;
        };
        let (channel, stokes) = animation.plane_numbers(next);
        let (animation_id, file_id) = (animation.id, animation.file_id);
        animation.under_way.clear();
        let offset = next.channel.abs_diff(animation.steps.first.channel) as usize;
        let matched: Vec<(i32, f32)> = animation
            .matched
            .iter()
            .filter_map(|(&id, channels)| Some((id, *channels.get(offset)?)))
            .filter(|(_, channel)| channel.is_finite())
            .collect();

        let mut frames = vec![(file_id, channel, Some(stokes))];
        for (id, channel) in matched {
            frames.push((id, channel.round() as i32, None));
        }
        let done = Arc::new(frame.done);
        for (id, channel, stokes) in frames {
            if let Err(error) = self.show(id, channel, stokes, animation_id, &done) {
                let context = self.context.clone();
                tokio::spawn(async move { context.complain(Some(id), "animation", &error).await });
            }
        }
    }

    /// Shows a channel of a file as a frame of an animation.
    fn show(
        &mut self,
        file_id: i32,
        channel: i32,
        stokes: Option<i32>,
        animation_id: i32,
        done: &Arc<oneshot::Sender<()>>,
    ) -> Result<(), ViewerError> {
        let file = self.file(file_id)?;
        let last = i32::try_from(file.image().shape().depth).unwrap_or(i32::MAX) - 1;
        let stokes = stokes.unwrap_or(file.view.plane.polarisation.number());
        let plane: Plane = file.image().plane(channel.clamp(0, last), stokes)?;
        // The frame before is on its way as a whole: what waits of it is not stale.
        if file.view.plane != plane {
            file.look_at(plane);
            self.start_view(file_id);
        }
        let file = self.file(file_id)?;
        let view = file.view.clone();
        let Some(wish) = file.wish.clone().filter(|wish| !wish.tiles.is_empty()) else {
            return Ok(());
        };
        let token = view.token.child();
        if let Some(animation) = &mut self.animation {
            animation.under_way.push(token.clone());
        }
        let group = self.group(file_id, plane, wish, animation_id, Class::Streaming, token)?;
        let (context, done) = (self.context.clone(), Arc::clone(done));
        tokio::spawn(async move {
            group.send_for(&context, &view).await;
            drop(done);
        });
        Ok(())
    }

    pub(crate) fn on_animation_flow_control(
        &mut self,
        _request: &messages::AnimationFlowControl,
    ) -> Result<(), ViewerError> {
        // The animation number that the client repeats is always 0, so it cannot be held against the running one.
        let animation = self
            .animation
            .as_ref()
            .filter(|a| a.leave.available_permits() < FRAMES_AHEAD);
        if let Some(animation) = animation {
            animation.leave.add_permits(1);
        }
        Ok(())
    }

    pub(crate) fn on_stop_animation(&mut self, request: &messages::StopAnimation) -> Result<(), ViewerError> {
        let Some(animation) = self.animation.as_ref().filter(|a| a.file_id == request.file_id) else {
            return Ok(());
        };
        let end = request.end_frame.map(|frame| animation.plane_numbers(frame));
        self.end_animation();
        if let Some((channel, stokes)) = end {
            let plane = self.file(request.file_id)?.image().plane(channel, stokes)?;
            self.look_at(request.file_id, plane)?;
        }
        Ok(())
    }

    /// A file is closed: its animation ends, and that of another file goes on without it.
    pub(crate) fn end_animation_of(&mut self, file_id: i32) {
        let Some(animation) = &mut self.animation else {
            return;
        };
        animation.matched.remove(&file_id);
        if animation.file_id == file_id {
            self.end_animation();
        }
    }

    /// Ends the animation, if one runs; frames that are made or wait for the client are dropped.
    pub(crate) fn end_animation(&mut self) {
        let Some(animation) = self.animation.take() else {
            return;
        };
        animation.token.cancel();
        animation.under_way.iter().for_each(CancelToken::cancel);
        for (id, file) in &self.files {
            if animation.moves(*id) {
                file.retract_tiles(&self.context);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(channel: i32) -> AnimationFrame {
        AnimationFrame { channel, stokes: 0 }
    }

    fn play(mut steps: Steps, frames: usize) -> Vec<i32> {
        std::iter::from_fn(|| steps.advance())
            .take(frames)
            .map(|frame| frame.channel)
            .collect()
    }

    fn steps(first: i32, start: i32, last: i32, delta: i32) -> Steps {
        Steps {
            first: frame(first),
            last: frame(last),
            delta: frame(delta),
            next: Some(frame(start)),
            looping: false,
            bounce: false,
            backwards: false,
        }
    }

    #[test]
    fn without_a_loop_it_ends_with_the_last_frame_that_fits() {
        assert_eq!(play(steps(0, 1, 6, 2), 10), [1, 3, 5]);
    }

    #[test]
    fn a_loop_goes_back_to_the_first_frame() {
        assert_eq!(
            play(
                Steps {
                    looping: true,
                    ..steps(2, 3, 4, 1)
                },
                6
            ),
            [3, 4, 2, 3, 4, 2]
        );
        assert_eq!(
            play(
                Steps {
                    looping: true,
                    ..steps(2, 3, 4, -1)
                },
                5
            ),
            [3, 2, 4, 3, 2]
        );
    }

    #[test]
    fn bouncing_turns_at_both_ends() {
        assert_eq!(
            play(
                Steps {
                    looping: true,
                    bounce: true,
                    ..steps(0, 1, 2, 1)
                },
                7
            ),
            [1, 2, 1, 0, 1, 2, 1]
        );
    }

    #[test]
    fn a_range_of_one_frame_shows_it_again_and_again() {
        assert_eq!(
            play(
                Steps {
                    looping: true,
                    bounce: true,
                    ..steps(3, 3, 3, 1)
                },
                3
            ),
            [3, 3, 3]
        );
    }
}
