//! The channel map: tiles of many channels side by side.

use std::ops::RangeInclusive;
use std::sync::Arc;

use chartroom_icd::messages;
use chartroom_sched::{CancelToken, Class};
use tokio::sync::Semaphore;

use crate::ViewerError;
use crate::image::{Plane, Polarisation};
use crate::session::Actor;
use crate::tiles::TileWish;

/// How many channels may be under way to the client before it has said that it received one.
const CHANNELS_AHEAD: usize = 8;

/// How long a client may keep silent about channels that it received before the next is sent all the same: not every
/// client says it.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// What is at work for the channel map of a file.
#[derive(Debug)]
pub(crate) struct ChannelMap {
    polarisation: Polarisation,
    /// One token for each channel under way, cancelled when the channel leaves the screen.
    channels: Vec<(u32, CancelToken)>,
    token: CancelToken,
    /// Leave to send a channel; the client gives it back with its flow control.
    leave: Arc<Semaphore>,
}

impl Actor {
    /// Sends one group of tiles for each channel of `channel_range`, and gives up channels outside of
    /// `current_range`.
    pub(crate) fn want_channel_map(
        &mut self,
        request: &messages::SetImageChannels,
    ) -> Result<(), ViewerError> {
        let file_id = request.file_id;
        let file = self.file(file_id)?;
        let shape = file.image().shape();
        let polarisation = file.image().polarisation(request.stokes)?;
        if file
            .channel_map
            .as_ref()
            .is_some_and(|map| map.polarisation != polarisation)
        {
            self.end_channel_map(file_id)?;
        }
        let file = self.file(file_id)?;
        let life = file.life.clone();
        let map = file.channel_map.get_or_insert_with(|| ChannelMap {
            polarisation,
            channels: Vec::new(),
            token: life.child(),
            leave: Arc::new(Semaphore::new(CHANNELS_AHEAD)),
        });
        let on_screen = request.current_range.map_or(i32::MIN..=i32::MAX, range);
        map.channels.retain(|(channel, token)| {
            let stays = on_screen.contains(&(*channel as i32)) && !token.is_cancelled();
            if !stays {
                token.cancel();
            }
            stays
        });
        let (Some(wish), Some(channels)) = (
            &request.required_tiles,
            request.channel_range.as_ref().copied().map(range),
        ) else {
            return Ok(());
        };
        let wish = TileWish::new(wish, shape)?;
        if wish.tiles.is_empty() {
            return Ok(());
        }
        let leave = Arc::clone(&map.leave);
        let parent = map.token.clone();
        let last = i32::try_from(shape.depth).unwrap_or(i32::MAX) - 1;
        let mut groups = Vec::new();
        let first = (*channels.start()).max(*on_screen.start()).max(0);
        let last = (*channels.end()).min(*on_screen.end()).min(last);
        for channel in first..=last {
            let plane = Plane {
                channel: channel as u32,
                polarisation,
            };
            let token = parent.child();
            groups.push(self.group(file_id, plane, wish.clone(), 0, Class::Streaming, token.clone())?);
            if let Some(map) = &mut self.file(file_id)?.channel_map {
                map.channels.push((plane.channel, token));
            }
        }
        let context = self.context.clone();
        tokio::spawn(async move {
            for group in groups {
                let token = group.token.clone();
                tokio::select! {
                    biased;
                    () = token.cancelled() => continue,
                    () = leave_to_send(&leave) => {}
                }
                group.send(&context, std::future::ready(())).await;
                if token.is_cancelled() {
                    // The client will not say that it received a group that was cut short.
                    give_back(&leave);
                }
                // Nothing is at work for this channel any more: its token may be forgotten.
                token.cancel();
            }
        });
        Ok(())
    }

    /// The client has received a channel: another may go.
    pub(crate) fn on_channel_map_flow_control(
        &mut self,
        request: messages::ChannelMapFlowControl,
    ) -> Result<(), ViewerError> {
        // The client says so of every group, in ordinary viewing and for files that it closed meanwhile as well.
        let map = self
            .files
            .get(&request.file_id)
            .and_then(|file| file.channel_map.as_ref());
        if let Some(map) = map {
            give_back(&map.leave);
        }
        Ok(())
    }

    /// Gives up all channels: a single one is viewed again, or another polarisation.
    pub(crate) fn end_channel_map(&mut self, file_id: i32) -> Result<(), ViewerError> {
        let context = self.context.clone();
        let file = self.file(file_id)?;
        if let Some(map) = file.channel_map.take() {
            map.token.cancel();
            file.retract_tiles(&context);
        }
        Ok(())
    }
}

/// Waits until the client has received enough of what is under way.
async fn leave_to_send(leave: &Semaphore) {
    if let Ok(Ok(permit)) = tokio::time::timeout(SILENCE, leave.acquire()).await {
        permit.forget();
    }
}

fn give_back(leave: &Semaphore) {
    if leave.available_permits() < CHANNELS_AHEAD {
        leave.add_permits(1);
    }
}

fn range(bounds: messages::IntBounds) -> RangeInclusive<i32> {
    bounds.min..=bounds.max
}
