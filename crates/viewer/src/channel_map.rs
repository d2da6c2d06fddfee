//! The channel map: tiles of many channels side by side.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use chartroom_icd::messages;
use chartroom_sched::{CancelToken, Class};
use tokio::sync::Semaphore;

use crate::ViewerError;
use crate::image::{Plane, Polarisation};
use crate::session::Actor;
use crate::tiles::TileWish;

/// How many channels may be under way to the client before it has said that it received one.
const CHANNELS_AHEAD: usize = 8;

/// How many channels of one file may be under way. No screen shows more.
const CHANNELS: usize = 4096;

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
    /// The numbers of the tiles that are on the screen, if the client says so; others are not worth being sent.
    on_screen: Arc<Mutex<Option<HashSet<i32>>>>,
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
        let wished = shown(request, file.map_wish.as_ref());
        let tiles_on_screen = on_screen(&wished);
        file.map_wish = Some(wished);
        let life = file.life.clone();
        let map = file.channel_map.get_or_insert_with(|| ChannelMap {
            polarisation,
            channels: Vec::new(),
            token: life.child(),
            on_screen: Arc::default(),
            leave: Arc::new(Semaphore::new(CHANNELS_AHEAD)),
        });
        *map.on_screen.lock().unwrap_or_else(PoisonError::into_inner) = tiles_on_screen;
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
        let still_wanted = Arc::clone(&map.on_screen);
        let parent = map.token.clone();
        let last = i32::try_from(shape.depth).unwrap_or(i32::MAX) - 1;
        let mut groups = Vec::new();
        let first = (*channels.start()).max(*on_screen.start()).max(0);
        let last = (*channels.end()).min(*on_screen.end()).min(last);
        let wanted = usize::try_from(i64::from(last) - i64::from(first) + 1).unwrap_or(0);
        if wanted > CHANNELS - map.channels.len().min(CHANNELS) {
            return Err(ViewerError::invalid(format!(
                "A channel map cannot show more than {CHANNELS} channels at once."
            )));
        }
        for channel in first..=last {
            let plane = Plane {
                channel: channel as u32,
                polarisation,
            };
            let token = parent.child();
            let group = self.group(
                file_id,
                plane,
                wish.without_tiles(),
                0,
                Class::Streaming,
                token.clone(),
            );
            groups.push(group?);
            if let Some(map) = &mut self.file(file_id)?.channel_map {
                map.channels.push((plane.channel, token));
            }
        }
        let context = self.context.clone();
        tokio::spawn(async move {
            for mut group in groups {
                let token = group.token.clone();
                tokio::select! {
                    biased;
                    () = token.cancelled() => continue,
                    () = leave_to_send(&leave) => {}
                }
                // Only now: the tiles of channels that wait would fill memory.
                group.wish = wish.clone();
                if let Some(numbers) = &*still_wanted.lock().unwrap_or_else(PoisonError::into_inner) {
                    group.wish.retain(numbers);
                }
                if group.wish.tiles.is_empty() {
                    // The client counts on no group whose tiles it does not show any more.
                    give_back(&leave);
                    token.cancel();
                    continue;
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

/// The request for all that the map shows after a request for some of it: what the request does not say is as before.
pub(crate) fn shown(
    request: &messages::SetImageChannels,
    before: Option<&messages::SetImageChannels>,
) -> messages::SetImageChannels {
    let range = request
        .current_range
        .or(before.and_then(|before| before.current_range))
        .or(request.channel_range);
    let tiles = request
        .required_tiles
        .as_ref()
        .filter(|wish| !(wish.tiles.is_empty() && wish.current_tiles.is_empty()))
        .map(|wish| {
            let all = if wish.current_tiles.is_empty() {
                &wish.tiles
            } else {
                &wish.current_tiles
            };
            messages::AddRequiredTiles {
                tiles: all.clone(),
                current_tiles: wish.current_tiles.clone(),
                ..wish.clone()
            }
        })
        .or_else(|| before.and_then(|before| before.required_tiles.clone()));
    messages::SetImageChannels {
        file_id: request.file_id,
        channel: request.channel,
        stokes: request.stokes,
        required_tiles: tiles,
        channel_range: range,
        current_range: range,
        channel_map_enabled: true,
    }
}

/// The numbers of the tiles on the screen, if the client said which.
fn on_screen(map: &messages::SetImageChannels) -> Option<HashSet<i32>> {
    let tiles = map.required_tiles.as_ref()?;
    (!tiles.current_tiles.is_empty()).then(|| tiles.current_tiles.iter().copied().collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(tiles: Option<(&[i32], &[i32])>, screen: Option<i32>) -> messages::SetImageChannels {
        let bounds = |max| messages::IntBounds { min: 0, max };
        messages::SetImageChannels {
            channel_map_enabled: true,
            channel_range: Some(bounds(3)),
            current_range: screen.map(bounds),
            required_tiles: tiles.map(|(tiles, current)| messages::AddRequiredTiles {
                tiles: tiles.to_vec(),
                current_tiles: current.to_vec(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn what_is_on_the_screen_counts_if_the_client_says_so_and_else_what_it_asked_for() {
        let tiles = |map: &messages::SetImageChannels| map.required_tiles.clone().unwrap().tiles;
        let first = shown(&request(Some((&[1, 2], &[])), Some(9)), None);
        assert_eq!((tiles(&first), on_screen(&first)), (vec![1, 2], None));
        let moved = shown(&request(Some((&[3], &[2, 3])), Some(9)), Some(&first));
        assert_eq!(tiles(&moved), [2, 3]);
        assert_eq!(on_screen(&moved), Some(HashSet::from([2, 3])));
        // Nothing new is asked for, but less is shown.
        let less = shown(&request(Some((&[], &[3])), None), Some(&moved));
        assert_eq!(
            (tiles(&less), on_screen(&less)),
            (vec![3], Some(HashSet::from([3])))
        );
        assert_eq!(less.current_range.unwrap().max, 9);
        // Nothing is said of tiles at all.
        for silent in [None, Some((&[][..], &[][..]))] {
            assert_eq!(tiles(&shown(&request(silent, None), Some(&less))), [3]);
        }
        assert_eq!(shown(&request(None, None), None).current_range.unwrap().max, 3);
    }
}
