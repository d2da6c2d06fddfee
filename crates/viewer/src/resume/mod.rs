//! Files that are opened together, because a client resumes its session or a session is rebuilt from its descriptor.
//!
//! Both come down to the same: a list of files, each with the requests that set it. All are opened at once, those that
//! are open already as well: an image that did not change since is found to be the same one, and its file stays as it
//! is with everything that is known of it. Only when all are open, or could not be, does the session go on with them,
//! so that what is sent first is sent before all else. Requests for these files wait meanwhile, in order; others do not.

mod restore;
mod resume_session;
mod settings;

use std::sync::Arc;

use chartroom_icd::{Request, messages};
use chartroom_sched::Class;

pub(crate) use self::restore::Played;
use crate::ViewerError;
use crate::file::OpenFile;
use crate::image::Image;
use crate::open_file::{MAX_OPEN_FILES, too_many};
use crate::session::{Actor, Event, Incoming, OpeningFile};

/// Files that are opened together.
#[derive(Debug)]
pub(crate) struct Batch {
    purpose: Purpose,
    /// A sentence for each thing that could not be had.
    notes: Vec<String>,
}

/// Why files are opened together.
#[derive(Debug)]
enum Purpose {
    /// The client asked for it and waits for the acknowledgement.
    Resume { request_id: u32, audience: u64 },
    /// The session is rebuilt; an animation runs, perhaps.
    Restore {
        resend: bool,
        animation: Option<Box<Played>>,
    },
}

/// What became of the files.
#[derive(Debug)]
pub(crate) struct Gathered(Vec<Outcome>);

#[derive(Debug)]
struct Outcome {
    file_id: i32,
    /// As in [`OpeningFile`].
    number: u64,
    image: Result<Arc<Image>, ViewerError>,
}

/// A file that is to be open, and what it is to be set to.
#[derive(Debug)]
struct Wanted {
    request: messages::OpenFile,
    settings: Vec<Request>,
}

/// A file that is open now.
#[derive(Debug)]
struct Ready {
    file_id: i32,
    waiting: Vec<Incoming>,
}

impl Actor {
    /// Begins to open files together, each of another number. What could not be had already is said in `notes`.
    fn gather(&mut self, purpose: Purpose, wanted: Vec<Wanted>, mut notes: Vec<String>) {
        let mut openings = Vec::new();
        for Wanted { request, settings } in wanted {
            let file_id = request.file_id;
            let refused = if file_id < 0 {
                Some(ViewerError::invalid("File ids must not be negative."))
            } else if openings.len() >= MAX_OPEN_FILES {
                Some(too_many())
            } else if request.lel_expr {
                let feature = "Image arithmetic";
                Some(ViewerError::Later { feature })
            } else {
                None
            };
            if let Some(error) = refused {
                push_note(&mut notes, &request.file, &error.to_string());
                self.close(file_id);
                continue;
            }
            self.openings += 1;
            let opening = OpeningFile {
                number: self.openings,
                token: self.life.child(),
                request: request.clone(),
                settings,
                waiting: Vec::new(),
            };
            openings.push((request, opening.number, opening.token.clone()));
            self.opening.insert(file_id, opening);
        }
        self.batch = Some(Batch { purpose, notes });
        let context = self.context.clone();
        tokio::spawn(async move {
            let opened = openings.into_iter().map(|(request, number, token)| {
                let viewer = Arc::clone(&context.viewer);
                let work = context.work(Class::Interactive, &token);
                async move {
                    let file_id = request.file_id;
                    let image = work
                        .run(move |token| {
                            let path = viewer.options.folders.file(&request.directory, &request.file)?;
                            let aips = request.support_aips_beam;
                            viewer.open(&path, &request.hdu, aips, &|| token.is_cancelled())
                        })
                        .await;
                    Outcome {
                        file_id,
                        number,
                        image,
                    }
                }
            });
            let outcomes = futures_util::future::join_all(opened).await;
            // If the session has ended there is nobody to be told.
            let _ = context.events.send(Event::Gathered(Gathered(outcomes)));
        });
    }

    /// All files are open, or could not be.
    pub(crate) async fn on_gathered(&mut self, Gathered(outcomes): Gathered) {
        let Some(Batch { purpose, mut notes }) = self.batch.take() else {
            return;
        };
        let mut ready = Vec::with_capacity(outcomes.len());
        let mut missing = Vec::new();
        for outcome in outcomes {
            let file_id = outcome.file_id;
            let expected = self
                .opening
                .get(&file_id)
                .is_some_and(|opening| opening.number == outcome.number);
            let Some(opening) = expected.then(|| self.opening.remove(&file_id)).flatten() else {
                // It was closed, or another one was opened under its number.
                continue;
            };
            match outcome.image {
                Ok(image) => ready.push(self.settle(opening, image, &mut notes)),
                Err(error) => {
                    push_note(&mut notes, &opening.request.file, &error.to_string());
                    self.close(file_id);
                    missing.extend(opening.waiting);
                }
            }
        }
        let waiting = match purpose {
            Purpose::Resume { request_id, audience } => {
                self.context.audience = audience;
                self.resumed(request_id, ready, &notes)
            }
            Purpose::Restore { resend, animation } => self.rebuilt(resend, animation, ready, notes).await,
        };
        self.replay(missing).await;
        self.replay(waiting).await;
    }

    /// Makes an image the open file that it is to be.
    fn settle(&mut self, opening: OpeningFile, image: Arc<Image>, notes: &mut Vec<String>) -> Ready {
        let OpeningFile {
            token,
            request,
            settings,
            waiting,
            ..
        } = opening;
        let file_id = request.file_id;
        let same = self
            .files
            .get(&file_id)
            .is_some_and(|file| Arc::ptr_eq(file.image(), &image));
        let name = request.file.clone();
        if !same {
            self.drop_file(file_id);
            let file = OpenFile::new(request, image, token, &self.holdings);
            self.files.insert(file_id, file);
        }
        if let Some(file) = self.files.get_mut(&file_id) {
            for setting in settings {
                if let Err(error) = file.set(setting) {
                    push_note(notes, &name, &error.to_string());
                }
            }
        }
        Ready { file_id, waiting }
    }
}

impl Batch {
    /// The animation that goes on when all files are open.
    pub(crate) fn animation(&self) -> Option<&Played> {
        match &self.purpose {
            Purpose::Restore { animation, .. } => animation.as_deref(),
            Purpose::Resume { .. } => None,
        }
    }
}

/// The most of a message to a user that is made of notes, in bytes.
const NOTES_BYTES: usize = 4096;

/// Says that something of a file could not be had.
fn push_note(notes: &mut Vec<String>, file: &str, problem: &str) {
    let file: String = file.chars().take(200).collect();
    let end = if problem.ends_with('.') { "" } else { "." };
    notes.push(format!("{file}: {problem}{end}"));
}

/// All notes in one message of a size that can be read.
fn in_one(notes: &[String]) -> String {
    let mut message = String::new();
    for (said, note) in notes.iter().enumerate() {
        if message.len() + note.len() > NOTES_BYTES {
            message.push_str(&format!(" And {} more.", notes.len() - said));
            break;
        }
        if said > 0 {
            message.push(' ');
        }
        message.push_str(note);
    }
    message
}
