//! What the pixels are and what must be shown of them, by numpy, astropy and zfpy: see `tests/oracle/values.py`.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use serde::Deserialize;
use tempfile::TempDir;

/// An array: first element and number of elements in [`Oracle::array`]'s store.
pub(super) type Array = (usize, usize);

/// A file and what is to be seen of it.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub(super) name: String,
    /// Width, height, channels, polarisations.
    pub(super) shape: [i32; 4],
    /// Every channel of every polarisation, those computed from others included.
    pub(super) planes: Vec<Plane>,
    pub(super) profiles: Vec<Profiles>,
    pub(super) cubes: Vec<Cube>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Plane {
    pub(super) channel: i32,
    pub(super) stokes: i32,
    pub(super) tiles: Vec<Tile>,
    /// By the names of the ICD; `None` is NaN.
    pub(super) statistics: HashMap<String, Option<f64>>,
    /// `None` if there is nothing to count.
    pub(super) histogram: Option<Histogram>,
    /// 17 bins from 0.5 to 2.25.
    pub(super) fixed_histogram: Option<Histogram>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tile {
    pub(super) layer: i32,
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Array,
    /// Precisions, and the pixels after a round trip through zfp; without them if some pixels have no value.
    pub(super) zfp: Vec<(u32, Option<Array>)>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Histogram {
    pub(super) bins: Vec<i32>,
    pub(super) bin_width: f64,
    pub(super) first_bin_center: f64,
    /// `None` is NaN, as for `std_dev`.
    pub(super) mean: Option<f64>,
    pub(super) std_dev: Option<f64>,
}

/// The profiles through a pixel of a channel of a polarisation.
#[derive(Debug, Deserialize)]
pub(super) struct Profiles {
    pub(super) cursor: (i32, i32),
    pub(super) channel: i32,
    pub(super) stokes: i32,
    /// The polarisation's name as coordinates begin; empty if the image has but one.
    pub(super) name: String,
    pub(super) value: Array,
    pub(super) x: Array,
    pub(super) y: Array,
    pub(super) z: Array,
    pub(super) part: Option<Part>,
}

/// Part of the profile along x, downsampled.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    pub(super) start: i32,
    pub(super) end: i32,
    pub(super) mip: i32,
    pub(super) values: Array,
}

/// All channels of a polarisation.
#[derive(Debug, Deserialize)]
pub(super) struct Cube {
    pub(super) name: String,
    pub(super) stokes: i32,
    pub(super) histogram: Option<Histogram>,
}

/// Files and expectations. The folder goes away with it.
#[derive(Debug)]
pub(super) struct Oracle {
    folder: TempDir,
    pub(super) files: Vec<File>,
    values: Vec<f32>,
}

impl Oracle {
    /// The oracle, made once for all tests that run at the same time. Without a Python that has the packages there is
    /// none, which is said; with `CHARTROOM_REQUIRE_ORACLES` in the environment it is an error.
    pub(super) fn get() -> Option<Arc<Self>> {
        static SAID: Once = Once::new();
        static SHARED: Mutex<Weak<Oracle>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(oracle) = shared.upgrade() {
            return Some(oracle);
        }
        let Some(python) = python() else {
            assert!(
                std::env::var_os("CHARTROOM_REQUIRE_ORACLES").is_none(),
                "no Python with numpy, astropy and zfpy was found"
            );
            SAID.call_once(|| {
                // Past the test harness, which hides what passing tests print.
                let _unseen = writeln!(
                    std::io::stderr(),
                    "NOT TESTED: values need a Python with numpy, astropy and zfpy; see CHARTROOM_PYTHON"
                );
            });
            return None;
        };
        let oracle = Arc::new(Self::run(&python));
        *shared = Arc::downgrade(&oracle);
        Some(oracle)
    }

    fn run(python: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/values.py");
        let output = Command::new(python)
            // No compiled modules among the sources.
            .arg("-B")
            .arg(script)
            .arg(folder.path())
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the oracle failed: {complaint}");
        let json = std::fs::read(folder.path().join("expected.json")).unwrap();
        let bytes = std::fs::read(folder.path().join("expected.f32")).unwrap();
        let (numbers, rest) = bytes.as_chunks::<4>();
        assert!(rest.is_empty());
        Self {
            folder,
            files: serde_json::from_slice(&json).unwrap(),
            values: numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        }
    }

    /// Where the files are.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The elements of an array.
    pub(super) fn array(&self, (first, count): Array) -> &[f32] {
        &self.values[first..first + count]
    }
}

/// The interpreter that `CHARTROOM_PYTHON` names, or the system's if it has the packages.
fn python() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHARTROOM_PYTHON") {
        return Some(named.into());
    }
    let system = PathBuf::from(if cfg!(windows) { "python" } else { "python3" });
    let found = Command::new(&system)
        .args(["-c", "import numpy, astropy, zfpy"])
        .output();
    found
        .is_ok_and(|output| output.status.success())
        .then_some(system)
}
