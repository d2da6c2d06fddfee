//! Cancellation: a tree of tokens that kernels poll and tasks await.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::Notify;

use crate::lock;

/// Says whether work is still wanted.
///
/// Clones are the same token. A [child](Self::child) is cancelled with its parent, but not the other way round: a session
/// holds a token, each request a child of it, and each job a child of its request. Cancelling is final.
///
/// [`is_cancelled`](Self::is_cancelled) is one atomic load. Kernels should ask at least every millisecond of work (once per
/// row or block), so that a cancel takes effect within a few milliseconds.
#[derive(Clone)]
pub struct CancelToken(Arc<Node>);

struct Node {
    /// Set once, with `links` locked, so that no child can slip in between.
    cancelled: AtomicBool,
    wake: Notify,
    links: Mutex<Links>,
    parent: Option<Parent>,
}

struct Parent {
    node: Arc<Node>,
    /// The key of this token among the parent's children.
    key: u64,
}

#[derive(Default)]
struct Links {
    children: HashMap<u64, Weak<Node>>,
    next_key: u64,
    on_cancel: Option<Box<dyn FnOnce() + Send>>,
}

impl Node {
    fn new(cancelled: bool, parent: Option<Parent>, on_cancel: Option<Box<dyn FnOnce() + Send>>) -> Self {
        Self {
            cancelled: AtomicBool::new(cancelled),
            wake: Notify::new(),
            links: Mutex::new(Links {
                on_cancel,
                ..Links::default()
            }),
            parent,
        }
    }
}

impl CancelToken {
    /// A token of its own, not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Node::new(false, None, None)))
    }

    /// A token that is cancelled with this one, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        self.child_with(None)
    }

    /// A child that calls `hook` once when it is cancelled, on the thread that cancels it, with no lock held.
    ///
    /// The hook of a child of a cancelled token is never called.
    pub(crate) fn child_with_hook(&self, hook: impl FnOnce() + Send + 'static) -> Self {
        self.child_with(Some(Box::new(hook)))
    }

    fn child_with(&self, hook: Option<Box<dyn FnOnce() + Send>>) -> Self {
        let mut links = lock(&self.0.links);
        if self.is_cancelled() {
            return Self(Arc::new(Node::new(true, None, None)));
        }
        let key = links.next_key;
        links.next_key += 1;
        let child = Arc::new(Node::new(
            false,
            Some(Parent {
                node: Arc::clone(&self.0),
                key,
            }),
            hook,
        ));
        links.children.insert(key, Arc::downgrade(&child));
        Self(child)
    }

    /// Cancels this token and all that descend from it. Again is no harm.
    pub fn cancel(&self) {
        let mut family = vec![Arc::clone(&self.0)];
        while let Some(node) = family.pop() {
            let mut links = lock(&node.links);
            if node.cancelled.swap(true, Ordering::AcqRel) {
                continue;
            }
            let Links {
                children, on_cancel, ..
            } = std::mem::take(&mut *links);
            drop(links);
            node.wake.notify_waiters();
            if let Some(hook) = on_cancel {
                hook();
            }
            family.extend(children.into_values().filter_map(|child| child.upgrade()));
        }
    }

    /// Whether the work is no longer wanted: one load, cheap enough for inner loops.
    #[inline]
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Whether the token is cancelled or is about to be, because a cancel is on its way down from an ancestor.
    ///
    /// Ancestors are marked first. Asked before a job starts, this keeps a worker that one job of a cancelled family has left
    /// from starting the next one before the cancel has come there.
    pub(crate) fn is_doomed(&self) -> bool {
        std::iter::successors(Some(&self.0), |node| {
            node.parent.as_ref().map(|parent| &parent.node)
        })
        .any(|node| node.cancelled.load(Ordering::Acquire))
    }

    /// Waits until the token is cancelled.
    pub async fn cancelled(&self) {
        let mut notified = pin!(self.0.wake.notified());
        // Listed as a waiter before the flag is read: a cancel in between is seen by one or the other.
        notified.as_mut().enable();
        if self.is_cancelled() {
            return;
        }
        notified.await;
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Drop for Node {
    /// Leaves the parent's list, so that a long-lived token does not gather the dead.
    fn drop(&mut self) {
        if let Some(Parent { node, key }) = &self.parent {
            lock(&node.links).children.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use super::*;

    fn children(token: &CancelToken) -> usize {
        lock(&token.0.links).children.len()
    }

    #[test]
    fn a_cancel_reaches_all_descendants_and_no_ancestor() {
        let root = CancelToken::new();
        let middle = root.child();
        let leaf = middle.child();
        let sibling = root.child();
        middle.cancel();
        assert!(!root.is_cancelled());
        assert!(!sibling.is_cancelled());
        assert!(middle.is_cancelled() && middle.clone().is_cancelled() && leaf.is_cancelled());
        root.cancel();
        assert!(sibling.is_cancelled());
    }

    #[test]
    fn a_child_outlives_its_parents_handle_and_is_still_cancelled_through_the_root() {
        let root = CancelToken::new();
        let leaf = root.child().child();
        root.cancel();
        assert!(leaf.is_cancelled());
    }

    #[test]
    fn a_child_of_a_cancelled_token_is_born_cancelled() {
        let root = CancelToken::new();
        root.cancel();
        assert!(root.child().is_cancelled());
        assert_eq!(children(&root), 0);
    }

    #[test]
    fn a_dropped_child_leaves_nothing_in_its_parent() {
        let root = CancelToken::new();
        for _ in 0..1000 {
            drop(root.child());
        }
        assert_eq!(children(&root), 0);
        let kept = root.child();
        assert_eq!(children(&root), 1);
        drop(kept);
        assert_eq!(children(&root), 0);
    }

    #[test]
    fn a_token_is_doomed_before_the_cancel_of_its_ancestor_has_come_down_to_it() {
        let root = CancelToken::new();
        let middle = root.child();
        let leaf = middle.child();
        assert!(!leaf.is_doomed());
        let observed = leaf.clone();
        // Runs in the midst of the cancel: after the root, before the leaf.
        let middle_hook = root.child_with_hook(move || assert!(observed.is_doomed()));
        root.cancel();
        assert!(middle_hook.is_doomed() && leaf.is_doomed() && leaf.is_cancelled());
    }

    #[test]
    fn a_hook_runs_once_whoever_cancels() {
        let calls = Arc::new(AtomicUsize::new(0));
        let root = CancelToken::new();
        let counter = Arc::clone(&calls);
        let child = root.child_with_hook(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        child.cancel();
        child.cancel();
        root.cancel();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_hook_may_use_the_tokens_it_belongs_to() {
        let root = CancelToken::new();
        let seen = root.clone();
        let child = root.child_with_hook(move || assert!(seen.child().is_cancelled()));
        root.cancel();
        assert!(child.is_cancelled());
    }

    #[tokio::test]
    async fn waiting_ends_with_the_cancel_and_at_once_after_it() {
        let root = CancelToken::new();
        let child = root.child();
        let waiter = tokio::spawn(async move { child.cancelled().await });
        root.cancel();
        waiter.await.unwrap();
        root.cancelled().await;
        root.child().cancelled().await;
    }

    #[test]
    fn children_made_while_the_parent_is_cancelled_are_all_cancelled() {
        for _ in 0..200 {
            let root = CancelToken::new();
            let (sender, receiver) = mpsc::channel();
            let parent = root.clone();
            let maker = std::thread::spawn(move || {
                for _ in 0..50 {
                    sender.send(parent.child()).unwrap();
                }
            });
            let first = receiver.recv().unwrap();
            root.cancel();
            maker.join().unwrap();
            assert!(first.is_cancelled());
            assert!(receiver.iter().all(|child| child.is_cancelled()));
        }
    }
}
