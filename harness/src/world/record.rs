//! `Recorder`: a run's events into a file, while it runs.
//!
//! Key type: [`Recorder`]. It is told under the world's event lock, where there is nobody to give
//! an error to: the first error ends the recording and is kept until the run has ended.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use super::spec::Spec;
use crate::error::{Error, Result};
use crate::event::file::Header;
use crate::event::{Event, EventWriter, Names};

/// A recording under way.
pub(super) struct Recorder {
    path: PathBuf,
    writer: Result<EventWriter<BufWriter<File>>>,
}

impl Recorder {
    /// The recorder that `spec` asks for, if it asks for one.
    pub(super) fn of(spec: &Spec) -> Result<Option<Self>> {
        let Some(path) = spec.record.clone() else {
            return Ok(None);
        };
        let file = File::create(&path).map_err(|error| {
            Error::os(format!("cannot create {} to record into", path.display())).because(error)
        })?;
        let header = Header::new(&spec.name, spec.tier.name(), spec.era.name());
        let writer = EventWriter::new(BufWriter::new(file), &header);
        Ok(Some(Self { path, writer }))
    }

    pub(super) fn record(&mut self, event: &Event, names: &Names) {
        if let Ok(writer) = &mut self.writer
            && let Err(error) = writer.write(event, names)
        {
            self.writer = Err(error);
        }
    }

    pub(super) fn finish(self, names: &Names) -> Result<()> {
        let written = self.writer.and_then(|writer| writer.finish(names));
        let path = self.path.display();
        written
            .map(drop)
            .map_err(|error| Error::os(format!("the recording {path} is not whole")).because(error))
    }
}
