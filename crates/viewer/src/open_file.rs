//! OPEN_FILE and CLOSE_FILE.

use std::sync::Arc;

use chartroom_icd::{Request, messages};
use chartroom_sched::Class;

use crate::ViewerError;
use crate::file::OpenFile;
use crate::file_info::{beams, extended, file_info};
use crate::image::Image;
use crate::session::{Actor, Event, Incoming, Leave, OpeningFile};

/// How many files a session may have open.
pub(crate) const MAX_OPEN_FILES: usize = 1000;

/// Why no more files are opened.
pub(crate) fn too_many() -> ViewerError {
    ViewerError::invalid(format!(
        "A session cannot have more than {MAX_OPEN_FILES} files open."
    ))
}

/// A file that was opened, or could not be.
#[derive(Debug)]
pub(crate) struct Opening {
    /// As in [`OpeningFile`]: the same file id may be opened again before the first time has come to an end.
    number: u64,
    file_id: i32,
    request_id: u32,
    audience: u64,
    outcome: Result<Ready, ViewerError>,
}

/// Everything that the acknowledgement says, made where it may take time.
#[derive(Debug)]
struct Ready {
    image: Arc<Image>,
    info: messages::FileInfo,
    extended: messages::FileInfoExtended,
}

impl Actor {
    pub(crate) fn on_open_file(
        &mut self,
        request_id: u32,
        request: messages::OpenFile,
        leave: Option<Leave>,
    ) -> Result<(), ViewerError> {
        let file_id = request.file_id;
        if request.lel_expr {
            let feature = "Image arithmetic";
            self.refuse_open(request_id, file_id, &ViewerError::Later { feature });
            return Ok(());
        }
        if file_id < 0 {
            self.refuse_open(
                request_id,
                file_id,
                &ViewerError::invalid("File ids must not be negative."),
            );
            return Ok(());
        }
        // The client replaces what it had under this number.
        self.close(file_id);
        if self.files.len() + self.opening.len() >= MAX_OPEN_FILES {
            self.refuse_open(request_id, file_id, &too_many());
            return Ok(());
        }
        let token = self.life.child();
        self.openings += 1;
        let number = self.openings;
        self.opening.insert(
            file_id,
            OpeningFile {
                number,
                token: token.clone(),
                request: request.clone(),
                settings: Vec::new(),
                waiting: Vec::new(),
            },
        );
        let context = self.context.clone();
        tokio::spawn(async move {
            let viewer = Arc::clone(&context.viewer);
            let outcome = context
                .work(Class::Interactive, &token)
                .run(move |token| {
                    let path = viewer.options.folders.file(&request.directory, &request.file)?;
                    let aips = request.support_aips_beam;
                    let image = viewer.open(&path, &request.hdu, aips, &|| token.is_cancelled())?;
                    let info = file_info(&path, &request.file)?;
                    let extended = extended(&image.hdu, &request.file);
                    Ok(Ready {
                        image,
                        info,
                        extended,
                    })
                })
                .await;
            drop(leave);
            // If the session has ended there is nobody to be told.
            let _ = context.events.send(Event::Opened(Box::new(Opening {
                number,
                file_id,
                request_id,
                audience: context.audience,
                outcome,
            })));
        });
        Ok(())
    }

    pub(crate) async fn on_opened(&mut self, opening: Opening) {
        let Opening {
            number,
            file_id,
            request_id,
            audience,
            outcome,
        } = opening;
        self.context.audience = audience;
        let expected = self.opening.get(&file_id).is_some_and(|o| o.number == number);
        let Some(OpeningFile {
            token,
            request,
            waiting,
            ..
        }) = expected.then(|| self.opening.remove(&file_id)).flatten()
        else {
            // Invariant 3: also a file that was closed while it was being opened gets its answer.
            let error = ViewerError::invalid("The file was closed while it was being opened.");
            self.refuse_open(request_id, file_id, &error);
            return;
        };
        let ready = match outcome {
            Ok(ready) => ready,
            Err(error) => {
                self.refuse_open(request_id, file_id, &error);
                self.regions.remove_file(file_id);
                self.replay(waiting).await;
                return;
            }
        };
        let Ready {
            image,
            info,
            extended,
        } = ready;
        let ack = messages::OpenFileAck {
            success: true,
            file_id,
            message: String::new(),
            file_info: Some(info),
            file_info_extended: Some(extended),
            file_feature_flags: messages::FileFeatureFlags::FileFeatureNone as u32,
            beam_table: beams(image.description()),
        };
        self.context.reply(request_id, &ack);
        let file = OpenFile::new(request, image, token, &self.holdings);
        self.files.insert(file_id, file);
        self.start_view(file_id);
        self.replay(waiting).await;
    }

    /// Takes up the requests that waited for a file.
    pub(crate) async fn replay(&mut self, waiting: Vec<Incoming>) {
        for incoming in waiting {
            Box::pin(self.on_request(incoming)).await;
        }
    }

    fn refuse_open(&self, request_id: u32, file_id: i32, error: &ViewerError) {
        let message = error.to_string();
        self.context.reply(
            request_id,
            &messages::OpenFileAck {
                success: false,
                file_id,
                message,
                ..Default::default()
            },
        );
    }

    pub(crate) fn on_close_file(&mut self, request: messages::CloseFile) -> Result<(), ViewerError> {
        if request.file_id >= 0 {
            self.close(request.file_id);
            return Ok(());
        }
        // -1 stands for all.
        let all: Vec<i32> = self.files.keys().chain(self.opening.keys()).copied().collect();
        for file_id in all {
            self.close(file_id);
        }
        Ok(())
    }

    /// Invariant 7: when this returns, nothing more of the file is sent. The tokens of its work are cancelled before
    /// what waits is retracted, and the outbox asks them under its lock.
    pub(crate) fn close(&mut self, file_id: i32) {
        if let Some(opening) = self.opening.remove(&file_id) {
            opening.token.cancel();
            let wait = opening
                .waiting
                .iter()
                .filter(|w| matches!(w.request, Request::StartAnimation(_)));
            let audience = self.context.audience;
            for incoming in wait {
                self.context.audience = incoming.audience;
                self.refuse_animation(incoming.request_id, &ViewerError::NotOpen { file_id });
            }
            self.context.audience = audience;
        }
        self.end_animation_of(file_id);
        self.regions.remove_file(file_id);
        self.drop_file(file_id);
    }

    /// Gives a file up, for another one in its place or for none.
    pub(crate) fn drop_file(&mut self, file_id: i32) {
        if let Some(file) = self.files.remove(&file_id) {
            file.life.cancel();
            self.context.retract(|subject| subject.file_id == Some(file_id));
        }
    }
}
