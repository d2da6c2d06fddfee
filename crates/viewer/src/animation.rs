//! Playing through channels or polarisations: START_ANIMATION, STOP_ANIMATION, ANIMATION_FLOW_CONTROL.
//!
//! The pacer asks for one frame at a time. Frames are never skipped; they come later when the client or the server cannot
//! follow.

use std::collections::BTreeMap;
use std::sync::Arc;

use chartroom_icd::messages::{self, AnimationFrame};
use chartroom_sched::{CancelToken, Class};
use tokio::sync::{Semaphore, oneshot};

mod pacer;

pub(crate) use self::pacer::Frame;
use self::pacer::{FRAMES_AHEAD, Pacer};
use crate::ViewerError;
use crate::image::Plane;
use crate::session::Actor;
use crate::tiles::TileWish;

/// What a descriptor says of a running animation beside its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) id: i32,
    /// The number of the request that started it.
    pub(crate) request_id: u32,
    pub(crate) backwards: bool,
}

/// A running animation.
#[derive(Debug)]
pub(crate) struct Animation {
    id: i32,
    request_id: u32,
    /// As the client asked for it.
    request: messages::StartAnimation,
    /// Whether it ran before the server was started again, so that the client may ask for it again.
    restored: bool,
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

    /// The request that starts it where it is.
    pub(crate) fn describe(&self) -> messages::StartAnimation {
        messages::StartAnimation {
            start_frame: self.steps.shown.or(self.steps.next),
            ..self.request.clone()
        }
    }

    /// What the request does not say.
    pub(crate) fn running(&self) -> Running {
        Running {
            id: self.id,
            request_id: self.request_id,
            backwards: self.steps.backwards,
        }
    }

    fn plane_numbers(&self, frame: AnimationFrame) -> (i32, i32) {
        let listed = usize::try_from(frame.stokes)
            .ok()
            .and_then(|index| self.stokes_indices.get(index));
        (frame.channel, listed.copied().unwrap_or(frame.stokes))
    }
}

/// The order of frames.
#[derive(Debug, Clone, PartialEq)]
struct Steps {
    first: AnimationFrame,
    last: AnimationFrame,
    delta: AnimationFrame,
    next: Option<AnimationFrame>,
    /// The frame that is shown, if there was one yet.
    shown: Option<AnimationFrame>,
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
        self.shown = Some(frame);
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
        let repeated = self.animation.as_ref().filter(|animation| {
            animation.restored && (animation.request_id, animation.file_id) == (request_id, request.file_id)
        });
        if let Some(animation) = repeated {
            // The client cannot know that the request was taken before the server was lost.
            self.accept_animation(request_id, animation.id);
            return Ok(());
        }
        self.end_animation();
        self.animations = self.animations.checked_add(1).unwrap_or(1);
        let running = Running {
            id: self.animations,
            request_id,
            backwards: false,
        };
        match self.start_animation(request, running) {
            Ok(play) => {
                self.accept_animation(request_id, running.id);
                tokio::spawn(play);
            }
            Err(error) => self.refuse_animation(request_id, &error),
        }
        Ok(())
    }

    /// Goes on with an animation that ran before the server was started again. The client knows of it.
    pub(crate) fn go_on(
        &mut self,
        request: messages::StartAnimation,
        running: Running,
    ) -> Result<(), ViewerError> {
        let play = self.start_animation(request, running)?;
        if let Some(animation) = &mut self.animation {
            animation.restored = true;
        }
        tokio::spawn(play);
        Ok(())
    }

    fn accept_animation(&self, request_id: u32, animation_id: i32) {
        let ack = messages::StartAnimationAck {
            success: true,
            message: String::new(),
            animation_id,
        };
        self.context.reply(request_id, &ack);
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
        request: messages::StartAnimation,
        running: Running,
    ) -> Result<impl Future<Output = ()> + Send + use<>, ViewerError> {
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
            shown: None,
            backwards: running.backwards,
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
            let wish = TileWish::new(wish, file.image().shape())?;
            file.earlier.clear();
            file.wish = Some(wish);
        }
        let token = file.life.child();
        let leave = Arc::new(Semaphore::new(FRAMES_AHEAD));
        let id = running.id;
        // What is wished for belongs to the file.
        let kept = messages::StartAnimation {
            required_tiles: None,
            ..request.clone()
        };
        let animation = Animation {
            id,
            request_id: running.request_id,
            request: kept,
            restored: false,
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
        let pacer = Pacer {
            animation_id: id,
            rate: request.frame_rate,
            leave,
            token,
            events: self.context.events.clone(),
        };
        Ok(pacer.run())
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
            shown: None,
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
