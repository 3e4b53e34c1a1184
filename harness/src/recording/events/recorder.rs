//! `Recorder`: writes the events of a run to a file while the run goes on.
//!
//! Key type: [`Recorder`]. It is called under the world's event lock, where no caller can handle an
//! error: the first error ends the recording and is returned by [`Recorder::finish`].

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::{EventWriter, Header};
use crate::error::{Error, Result, visible_os};
use crate::event::{Event, Names};

/// A recording under way.
pub(crate) struct Recorder {
    path: PathBuf,
    writer: Result<EventWriter<BufWriter<File>>>,
}

impl Recorder {
    /// Creates the file at `path` and writes `header` to it.
    ///
    /// # Errors
    /// If the file cannot be created. Later errors are kept for [`Recorder::finish`].
    pub(crate) fn create(path: &Path, header: &Header) -> Result<Self> {
        let cannot = || Error::os(format!("cannot create {} to record into", visible_os(path)));
        if path.is_symlink() {
            return Err(cannot().because("it is a link, which is not followed"));
        }
        let file = File::create(path).map_err(|error| cannot().because(error))?;
        let writer = EventWriter::new(BufWriter::new(file), header);
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Writes one event, unless an earlier one could not be written.
    pub(crate) fn record(&mut self, event: &Event, names: &Names) {
        if let Ok(writer) = &mut self.writer
            && let Err(error) = writer.write(event, names)
        {
            self.writer = Err(error);
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The first error of the whole recording; the file then reads as cut off.
    pub(crate) fn finish(self, names: &Names) -> Result<()> {
        let written = self.writer.and_then(|writer| writer.finish(names));
        let path = visible_os(&self.path);
        written.map(drop).map_err(|error| {
            Error::os(format!("the recording {path} is incomplete")).because(error)
        })
    }
}
