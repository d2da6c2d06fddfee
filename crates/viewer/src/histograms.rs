//! Histograms of the image in view and of whole cubes: SET_HISTOGRAM_REQUIREMENTS.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chartroom_icd::messages;
use chartroom_sched::Class;

use crate::ViewerError;
use crate::file::Purpose;
use crate::image::Plane;
use crate::planes::{Binning, Summary};
use crate::session::{Actor, Topic};

/// The region number that stands for the image in view.
pub(crate) const IMAGE: i32 = -1;

/// The region number that stands for all channels.
pub(crate) const CUBE: i32 = -2;

/// The channel number that stands for the one in view.
const CURRENT_CHANNEL: i32 = -1;

/// How often the progress of a cube's histogram is told.
const PROGRESS: Duration = Duration::from_millis(500);

impl Actor {
    pub(crate) fn on_set_histogram_requirements(
        &mut self,
        request: messages::SetHistogramRequirements,
    ) -> Result<(), ViewerError> {
        let file_id = request.file_id;
        match request.region_id {
            IMAGE => {
                self.file(file_id)?.histograms = request.histograms;
                self.send_histograms(file_id);
                Ok(())
            }
            CUBE => self.want_cube_histogram(file_id, request.histograms),
            region_id => {
                let empty = request.histograms.is_empty();
                let feature = "The histogram of a region";
                self.require_of_region(file_id, region_id, request.into(), empty, feature)
            }
        }
    }

    /// Sends the histograms that the client wants of the image, besides the automatic one that each view begins with.
    pub(crate) fn send_histograms(&mut self, file_id: i32) {
        let context = self.context.clone();
        let Some(file) = self.files.get_mut(&file_id) else {
            return;
        };
        let configs = file.histograms.clone();
        let Some((view, token)) = file.begin_for_view(Purpose::Histograms, !configs.is_empty()) else {
            return;
        };
        let planes = file.planes.clone();
        let subject = file.subject(Topic::Histogram { region_id: IMAGE });
        tokio::spawn(async move {
            let work = context.work(Class::Interactive, &token);
            for config in configs {
                let outcome = async {
                    let (polarisation, _) = planes
                        .image
                        .coordinate(&config.coordinate, view.plane.polarisation)?;
                    let channel = match config.channel {
                        CURRENT_CHANNEL => view.plane.channel as i32,
                        channel => channel,
                    };
                    let plane = planes.image.plane(channel, polarisation.number())?;
                    let summary = planes.summary(&work, plane, binning(&config)?).await?;
                    let mut message = message(file_id, plane, &summary, 1.0);
                    message.config = Some(config.clone());
                    // All of them matter: they may differ in channel, polarisation and bins.
                    context
                        .send(subject.clone(), &token, chartroom_icd::Outgoing::new(0, &message))
                        .await;
                    Ok::<_, ViewerError>(())
                }
                .await;
                if let Err(error) = outcome {
                    context.complain(Some(file_id), "histogram", &error).await;
                }
            }
        });
    }

    /// Begins the histogram of a cube, or gives it up if none is wanted any more.
    pub(crate) fn want_cube_histogram(
        &mut self,
        file_id: i32,
        configs: Vec<messages::HistogramConfig>,
    ) -> Result<(), ViewerError> {
        let context = self.context.clone();
        let file = self.file(file_id)?;
        file.cube_histograms.clone_from(&configs);
        let Some(config) = configs.into_iter().next() else {
            file.give_up(Purpose::CubeHistogram);
            return Ok(());
        };
        let life = file.life.clone();
        let token = file.begin(Purpose::CubeHistogram, &life);
        let planes = file.planes.clone();
        let subject = file.subject(Topic::Histogram { region_id: CUBE });
        let (polarisation, _) = file
            .image()
            .coordinate(&config.coordinate, file.view.plane.polarisation)?;
        let binning = binning(&config)?;
        let what = format!("cube histogram of {}", file.request.file);
        let job = context.begin_job(what, &token);
        tokio::spawn(async move {
            // Progress in millionths, told by a task of its own so that work never waits for the client.
            let progress = Arc::new(AtomicU32::new(0));
            let message = |summary: Option<&Summary>, progress: f32| {
                let histograms = summary.map(histogram).unwrap_or_default();
                messages::RegionHistogramData {
                    file_id,
                    region_id: CUBE,
                    channel: CUBE,
                    stokes: polarisation.number(),
                    histograms: Some(histograms),
                    progress,
                    config: Some(config.clone()),
                }
            };
            let telling = async {
                let mut ticks = tokio::time::interval(PROGRESS);
                ticks.tick().await;
                loop {
                    ticks.tick().await;
                    // 1 is for the result.
                    let done = (progress.load(Ordering::Relaxed) as f32 / 1e6).min(0.99);
                    context
                        .send_newest(subject.clone(), &token, &message(None, done))
                        .await;
                }
            };
            let work = context.work(Class::Batch, job.token());
            let counting = planes.cube(&work, polarisation, binning, |done| {
                progress.store((done * 1e6) as u32, Ordering::Relaxed);
                job.progress(done);
            });
            let outcome = tokio::select! {
                outcome = counting => outcome,
                () = telling => return,
            };
            match outcome {
                Ok(summary) => {
                    context
                        .send_newest(subject, &token, &message(Some(&summary), 1.0))
                        .await;
                }
                // Somebody else has ended it: the page, which waits for it, is to say so.
                Err(error) if error.is_cancelled() && !token.is_cancelled() => {
                    let sentence = "The histogram of the cube was cancelled.".to_owned();
                    context.tell(Some(file_id), "histogram", sentence).await;
                }
                Err(error) => context.complain(Some(file_id), "histogram", &error).await,
            }
        });
        Ok(())
    }
}

/// How a client wants a histogram to be cut.
fn binning(config: &messages::HistogramConfig) -> Result<Binning, ViewerError> {
    /// More bins than this would be of no use to anybody and cost much memory.
    const MAX_BINS: i32 = 1 << 24;
    let bins = (config.num_bins > 0).then_some(config.num_bins);
    if bins.is_some_and(|bins| bins > MAX_BINS) {
        return Err(ViewerError::invalid(format!(
            "A histogram cannot have more than {MAX_BINS} bins."
        )));
    }
    let bounds = config.bounds.as_ref().filter(|_| config.fixed_bounds);
    if let Some(b) = bounds.filter(|b| !(b.min < b.max && b.min.is_finite() && b.max.is_finite())) {
        let reason = format!("A histogram cannot have the bounds {} and {}.", b.min, b.max);
        return Err(ViewerError::Invalid { reason });
    }
    Ok(Binning::new(
        bins.map(i32::unsigned_abs),
        bounds.map(|bounds| (bounds.min, bounds.max)),
    ))
}

/// The histogram of a plane as the client wants to have it.
pub(crate) fn message(
    file_id: i32,
    plane: Plane,
    summary: &Summary,
    progress: f32,
) -> messages::RegionHistogramData {
    messages::RegionHistogramData {
        file_id,
        region_id: IMAGE,
        channel: plane.channel as i32,
        stokes: plane.polarisation.number(),
        histograms: Some(histogram(summary)),
        progress,
        config: Some(messages::HistogramConfig {
            num_bins: -1,
            channel: CURRENT_CHANNEL,
            ..Default::default()
        }),
    }
}

fn histogram(summary: &Summary) -> messages::Histogram {
    let Some(histogram) = &summary.histogram else {
        // Without a finite pixel there is nothing to count, but the client must still have a histogram to draw with.
        return messages::Histogram {
            num_bins: 1,
            bins: vec![0],
            bin_width: 1.0,
            first_bin_center: 0.0,
            mean: f64::NAN,
            std_dev: f64::NAN,
        };
    };
    messages::Histogram {
        num_bins: i32::try_from(histogram.bins()).unwrap_or(i32::MAX),
        bin_width: histogram.bin_width(),
        first_bin_center: histogram.first_bin_center(),
        bins: histogram
            .counts()
            .into_iter()
            .map(|n| i32::try_from(n).unwrap_or(i32::MAX))
            .collect(),
        mean: summary.statistics.mean(),
        std_dev: summary.statistics.sigma(),
    }
}
