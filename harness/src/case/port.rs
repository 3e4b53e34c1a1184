//! Steps on the ports: filesystems and dm-bufio clients.
//!
//! Key type: [`Port`]. A transaction that a step opens stays open until `commit`, as a handle of a
//! journal does.

use super::script::PortStep;
use super::stage::Stage;
use crate::error::Errno;
use crate::fs::Tx;

/// What a case writes; no check reads it.
const FILL: u8 = 0x5a;

/// The transactions that a program has open.
#[derive(Default)]
pub(super) struct Port<'a> {
    open: Vec<Tx<'a>>,
}

impl<'a> Port<'a> {
    /// Takes a step.
    pub(super) fn take(&mut self, stage: &'a Stage, step: &PortStep) -> Result<(), Errno> {
        let world = &stage.world;
        let fs = |name: &str| stage.filesystem(name).ok_or(Errno::ENOENT);
        match step {
            PortStep::Create { fs: name, file } => fs(name)?.create(file).map(drop),
            PortStep::WriteFile { fs: name, file, offset, bytes } => {
                let fs = fs(name)?;
                fs.write(fs.lookup(file)?, *offset, &vec![FILL; *bytes]).map(drop)
            }
            PortStep::Fsync { fs: name, file } => {
                let fs = fs(name)?;
                fs.fsync(fs.lookup(file)?)
            }
            PortStep::Begin { fs: name, credits } => {
                self.open.push(fs(name)?.begin(*credits)?);
                Ok(())
            }
            PortStep::Commit => {
                if let Some(tx) = self.open.pop() {
                    tx.commit();
                }
                Ok(())
            }
            PortStep::Dirty { client, block } => {
                let client = world.bufio(client);
                let buffer = client.read(*block)?;
                buffer.with_data_mut(|data| data.fill(FILL));
                buffer.mark_dirty();
                Ok(())
            }
            PortStep::ReadBlock { client, block } => world.bufio(client).read(*block).map(drop),
            PortStep::FlushClient { client } => world.bufio(client).write_dirty_buffers(),
        }
    }

    /// Ends what is open, innermost first.
    pub(super) fn close(&mut self) {
        while self.open.pop().is_some() {}
    }
}
