//! What clients ask, waiting for the session: a queue that is bounded in bytes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::SessionError;

/// An item, and its part of the room. In a box, because a channel keeps places for 32 of them, also while it is empty.
type Parcel<T> = Box<(T, OwnedSemaphorePermit)>;

/// The sending end; clones share the bound.
#[derive(Debug)]
pub struct Mailbox<T> {
    queue: mpsc::UnboundedSender<Parcel<T>>,
    room: Arc<Semaphore>,
    limit: u32,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            room: self.room.clone(),
            limit: self.limit,
        }
    }
}

impl<T> Mailbox<T> {
    /// A mailbox that holds `limit` bytes, and its receiving end.
    #[must_use]
    pub fn new(limit: u32) -> (Self, MailboxReceiver<T>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(limit as usize));
        (Self { queue, room, limit }, MailboxReceiver { queue: receiver })
    }

    /// What an item holds besides the bytes that are told: its place, and what the allocator adds.
    const ENTRY: usize = size_of::<(T, OwnedSemaphorePermit)>() + 4 * size_of::<usize>();

    /// Puts `item` in, which counts as `bytes` and as the memory of its place, and waits for room before. An item larger
    /// than the whole mailbox waits until the mailbox is empty.
    ///
    /// # Errors
    /// [`SessionError::Ended`] if the receiving end is gone.
    pub async fn send(&self, item: T, bytes: usize) -> Result<(), SessionError> {
        let bytes = u32::try_from(bytes.saturating_add(Self::ENTRY)).unwrap_or(u32::MAX);
        let bytes = bytes.min(self.limit);
        let room = Arc::clone(&self.room);
        tokio::select! {
            permit = room.acquire_many_owned(bytes) => {
                let permit = permit.map_err(|_| SessionError::Ended)?;
                self.queue.send(Box::new((item, permit))).map_err(|_| SessionError::Ended)
            }
            () = self.queue.closed() => Err(SessionError::Ended),
        }
    }
}

/// The receiving end.
#[derive(Debug)]
pub struct MailboxReceiver<T> {
    queue: mpsc::UnboundedReceiver<Parcel<T>>,
}

impl<T> MailboxReceiver<T> {
    /// The next item; `None` when all senders are gone.
    pub async fn receive(&mut self) -> Option<T> {
        let parcel = self.queue.recv().await?;
        let (item, _room) = *parcel;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_mailbox_makes_senders_wait_until_there_is_room() {
        let (mailbox, mut receiver) = Mailbox::new(1000);
        mailbox.send("first", 800).await.unwrap();
        let mut second = Box::pin(mailbox.send("second", 300));
        tokio::select! {
            biased;
            _ = &mut second => panic!("there is no room yet"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(receiver.receive().await, Some("first"));
        second.await.unwrap();
        assert_eq!(receiver.receive().await, Some("second"));
    }

    #[tokio::test]
    async fn items_of_no_bytes_fill_the_mailbox_as_well() {
        let (mailbox, receiver) = Mailbox::new(10_000);
        let mut taken = 0;
        while tokio::time::timeout(std::time::Duration::ZERO, mailbox.send([0_u8; 100], 0))
            .await
            .is_ok()
        {
            taken += 1;
        }
        assert!((50..100).contains(&taken), "{taken}");
        drop(receiver);
    }

    #[tokio::test]
    async fn an_item_larger_than_the_mailbox_passes_alone() {
        let (mailbox, mut receiver) = Mailbox::new(10);
        mailbox.send(1, 1000).await.unwrap();
        assert_eq!(receiver.receive().await, Some(1));
    }

    #[tokio::test]
    async fn senders_learn_that_the_session_is_over_even_while_they_wait() {
        let (mailbox, receiver) = Mailbox::new(10);
        mailbox.send(1, 10).await.unwrap();
        let waiting = tokio::spawn({
            let mailbox = mailbox.clone();
            async move { mailbox.send(2, 10).await }
        });
        drop(receiver);
        assert!(matches!(waiting.await.unwrap(), Err(SessionError::Ended)));
    }
}
