//! What a session has open, as others may see it while the session itself is at work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::image::Image;

/// The images of the open files of a session. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holdings(Arc<Mutex<Vec<Weak<Image>>>>);

/// One open file among the holdings of its session, until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    holdings: Holdings,
    image: Arc<Image>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut images = self.holdings.lock();
        let at = images
            .iter()
            .position(|held| std::ptr::eq(held.as_ptr(), Arc::as_ptr(&self.image)));
        if let Some(at) = at {
            images.swap_remove(at);
            self.image.release();
        }
    }
}

impl Holdings {
    /// A file was opened.
    pub(crate) fn hold(&self, image: &Arc<Image>) -> Hold {
        image.hold();
        self.lock().push(Arc::downgrade(image));
        Hold {
            holdings: self.clone(),
            image: Arc::clone(image),
        }
    }

    /// Number of open files.
    pub(crate) fn files(&self) -> usize {
        self.lock().len()
    }

    /// The images that no other session has open, each once.
    pub(crate) fn exclusive(&self) -> Vec<Arc<Image>> {
        let images: Vec<Arc<Image>> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let mut exclusive: Vec<Arc<Image>> = Vec::new();
        for image in &images {
            let known = exclusive.iter().any(|other| Arc::ptr_eq(other, image));
            let own = images.iter().filter(|other| Arc::ptr_eq(other, image)).count();
            if !known && image.holders() == own {
                exclusive.push(Arc::clone(image));
            }
        }
        exclusive
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Image>>> {
        // Nothing that could panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
