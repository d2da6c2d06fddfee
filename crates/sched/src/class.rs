//! Who a job is for and how soon it matters.

/// How soon somebody notices that a job is late. Classes are served in the order of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A person waits for it at this moment: a tile, a cursor profile, a reply to a command.
    Interactive,
    /// A person watches it arrive: animation frames, progressive spectra, the histogram of a plane.
    Streaming,
    /// A person comes back for it: cube histograms, moments, fits.
    Batch,
}

/// The number of classes.
pub(crate) const CLASSES: usize = Class::ALL.len();

impl Class {
    /// All classes, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Streaming, Self::Batch];

    /// The name used in metrics labels and log fields.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Streaming => "streaming",
            Self::Batch => "batch",
        }
    }

    /// Whether the class may use the workers that are kept free for interactive work.
    pub(crate) const fn may_use_reserve(self) -> bool {
        matches!(self, Self::Interactive)
    }

    /// Whether the class runs on the background workers, and nowhere else.
    pub(crate) const fn is_background(self) -> bool {
        matches!(self, Self::Batch)
    }
}

/// A value for each class, indexed by [`Class`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PerClass<V>([V; CLASSES]);

impl<V> PerClass<V> {
    pub(crate) fn new(value: impl FnMut(Class) -> V) -> Self {
        Self(Class::ALL.map(value))
    }
}

impl<V> std::ops::Index<Class> for PerClass<V> {
    type Output = V;

    fn index(&self, class: Class) -> &V {
        &self.0[class as usize]
    }
}

impl<V> std::ops::IndexMut<Class> for PerClass<V> {
    fn index_mut(&mut self, class: Class) -> &mut V {
        &mut self.0[class as usize]
    }
}

/// On whose behalf a job runs, normally a session. Inside a class, owners take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u64);
