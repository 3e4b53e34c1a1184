//! `Batch`: adjacent requests that one system call carries, and how far they got.
//!
//! Key type: [`Batch`]. A system call may move less than it was asked for; the whole sectors that
//! it moved count, and the rest is asked for again. If it fails, the requests that were complete by
//! then have succeeded, and the others fail together, as the parts of a merged request do in the
//! block layer.

use super::memory::Alignment;
use crate::block::Bio;
use crate::error::Errno;
use crate::event::Op;
use crate::units::SECTOR_SIZE;

/// Bytes that one system call moves at most; requests are merged up to here.
pub(super) const CHUNK: usize = 1 << 17;

/// Requests of one kind on adjacent sectors.
///
/// # Invariants
/// `bios` is not empty and covers `start..start + len` in order; `done <= len`; more than one bio
/// only where `len <= CHUNK`.
pub(super) struct Batch {
    op: Op,
    start: u64,
    len: usize,
    done: usize,
    bios: Vec<Bio>,
}

impl Batch {
    pub(super) fn new(bio: Bio) -> Self {
        Self {
            op: bio.op(),
            start: bio.sector().bytes(),
            len: bio.data().len(),
            done: 0,
            bios: vec![bio],
        }
    }

    /// Whether `bio` continues the batch, and one system call can carry both.
    pub(super) fn takes(&self, bio: &Bio) -> bool {
        self.op != Op::Flush
            && bio.op() == self.op
            && bio.sector().bytes() == self.start + self.len as u64
            && self.len + bio.data().len() <= CHUNK
    }

    /// Adds a bio that [`Batch::takes`].
    pub(super) fn push(&mut self, bio: Bio) {
        self.len += bio.data().len();
        self.bios.push(bio);
    }

    pub(super) const fn op(&self) -> Op {
        self.op
    }

    pub(super) fn bios(&self) -> &[Bio] {
        &self.bios
    }

    /// Where the next system call begins, in bytes of the device.
    pub(super) const fn offset(&self) -> u64 {
        self.start + self.done as u64
    }

    /// Bytes that the next system call is asked to move.
    pub(super) fn next_len(&self) -> usize {
        (self.len - self.done).min(CHUNK)
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done == self.len
    }

    /// Copies the data of the next system call, a write, to `chunk`, which is as long as
    /// [`Batch::next_len`].
    pub(super) fn fill(&self, chunk: &mut [u8]) {
        let mut filled = 0;
        for piece in self.pieces() {
            chunk[filled..filled + piece.len()].copy_from_slice(piece);
            filled += piece.len();
        }
        debug_assert_eq!(filled, chunk.len(), "a chunk is a part of the batch");
    }

    /// The data of the next system call where it lies, a piece for each request, if that is a write
    /// whose pieces all have the alignment that the device asks for; `align` is none if that is not
    /// known.
    pub(super) fn in_place(&self, align: Option<Alignment>) -> Option<impl Iterator<Item = &[u8]>> {
        let align = align?;
        let aligned = |piece: &[u8]| align.suits(piece);
        (self.op == Op::Write && self.pieces().all(aligned)).then(|| self.pieces())
    }

    /// The data of the next system call, request by request.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let (mut skip, mut left) = (self.done, self.next_len());
        self.bios.iter().filter_map(move |bio| {
            let data = &bio.data()[skip.min(bio.data().len())..];
            skip = skip.saturating_sub(bio.data().len());
            let piece = &data[..data.len().min(left)];
            left -= piece.len();
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// Counts the bytes that a system call moved; of a read, `chunk` holds the data.
    ///
    /// # Errors
    /// `EIO` if it was less than a sector: the file ends here, or takes nothing and gives no error.
    pub(super) fn moved(&mut self, moved: usize, chunk: &[u8]) -> Result<(), Errno> {
        let sector = usize::try_from(SECTOR_SIZE).expect("a sector is small");
        let moved = moved.min(self.next_len()) / sector * sector;
        if moved == 0 {
            return Err(Errno::EIO);
        }
        if self.op == Op::Read {
            self.scatter(&chunk[..moved]);
        }
        self.done += moved;
        Ok(())
    }

    fn scatter(&mut self, mut chunk: &[u8]) {
        let mut skip = self.done;
        for bio in &mut self.bios {
            let whole = bio.data().len();
            let data = &mut bio.data_mut()[skip.min(whole)..];
            skip = skip.saturating_sub(whole);
            let (now, rest) = chunk.split_at(data.len().min(chunk.len()));
            data[..now.len()].copy_from_slice(now);
            chunk = rest;
        }
    }

    /// Each request and its outcome, where the last system call had `outcome`.
    pub(super) fn into_outcomes(
        self,
        outcome: Result<(), Errno>,
    ) -> impl Iterator<Item = (Bio, Result<(), Errno>)> {
        let Self { op, done, bios, .. } = self;
        let mut end = 0;
        bios.into_iter().map(move |bio| {
            end += usize::try_from(bio.sectors().bytes()).unwrap_or(usize::MAX);
            let complete = op != Op::Flush && end <= done;
            (bio, if complete { Ok(()) } else { outcome })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Sectors;

    fn bio(op: Op, sector: u64, sectors: usize, fill: u8) -> Bio {
        Bio::new(op, Sectors(sector), vec![fill; sectors * 512], Box::new(|_, _| ()))
    }

    fn outcomes(batch: Batch, outcome: Result<(), Errno>) -> Vec<Result<(), Errno>> {
        batch.into_outcomes(outcome).map(|(_, outcome)| outcome).collect()
    }

    #[test]
    fn only_a_request_that_continues_the_batch_is_merged() {
        let batch = Batch::new(bio(Op::Write, 8, 8, 1));
        assert!(batch.takes(&bio(Op::Write, 16, 8, 2)));
        assert!(!batch.takes(&bio(Op::Write, 17, 8, 2)), "a gap");
        assert!(!batch.takes(&bio(Op::Write, 0, 8, 2)), "in front of it");
        assert!(!batch.takes(&bio(Op::Read, 16, 8, 2)), "another operation");
        assert!(!batch.takes(&bio(Op::Write, 16, CHUNK / 512 - 7, 2)), "one sector too many");
        assert!(!Batch::new(bio(Op::Flush, 0, 0, 0)).takes(&bio(Op::Flush, 0, 0, 0)));
    }

    #[test]
    fn a_write_that_moved_less_goes_on_where_it_stopped() {
        let mut batch = Batch::new(bio(Op::Write, 0, 2, 1));
        batch.push(bio(Op::Write, 2, 2, 2));
        let mut chunk = vec![0; batch.next_len()];
        batch.fill(&mut chunk);
        assert_eq!([chunk[1023], chunk[1024]], [1, 2]);
        assert_eq!(batch.moved(512 + 100, &chunk), Ok(()));
        assert_eq!((batch.offset(), batch.next_len()), (512, 1536), "whole sectors count");
        let mut chunk = vec![0; batch.next_len()];
        batch.fill(&mut chunk);
        assert_eq!([chunk[511], chunk[512], chunk[1535]], [1, 2, 2]);
    }

    #[test]
    fn a_read_in_parts_fills_every_request() {
        let mut batch = Batch::new(bio(Op::Read, 0, 2, 0));
        batch.push(bio(Op::Read, 2, 1, 0));
        assert_eq!(batch.moved(512, &[1; 512]), Ok(()));
        assert_eq!(batch.moved(1024, &[[2; 512], [3; 512]].concat()), Ok(()));
        assert!(batch.is_done());
        let data: Vec<u8> = batch.bios().iter().flat_map(|bio| bio.data().to_vec()).collect();
        assert!(data == [[1; 512], [2; 512], [3; 512]].concat());
    }

    #[test]
    fn moving_nothing_is_an_error_and_no_endless_loop() {
        let mut batch = Batch::new(bio(Op::Write, 0, 2, 1));
        assert_eq!(batch.moved(0, &[]), Err(Errno::EIO));
        assert_eq!(batch.moved(511, &[0; 511]), Err(Errno::EIO));
    }

    #[test]
    fn a_failure_spares_the_requests_that_were_complete() {
        let mut batch = Batch::new(bio(Op::Write, 0, 2, 1));
        batch.push(bio(Op::Write, 2, 2, 1));
        batch.push(bio(Op::Write, 4, 2, 1));
        assert_eq!(batch.moved(1536, &[]), Ok(()));
        let failed = Err(Errno::ENOSPC);
        assert_eq!(outcomes(batch, failed), [Ok(()), failed, failed]);
        assert_eq!(outcomes(Batch::new(bio(Op::Flush, 0, 0, 0)), failed), [failed]);
    }

    #[test]
    fn writes_whose_data_is_aligned_go_from_where_it_lies() {
        let copy = |sector, byte| Bio::write(Sectors(sector), &[byte; 1024], Box::new(|_, _| ()));
        let lengths = |batch: &Batch, align| {
            batch.in_place(align).map(|pieces| pieces.map(<[u8]>::len).collect::<Vec<_>>())
        };
        let mut batch = Batch::new(copy(0, 7));
        let sectors = Some(Alignment { address: 512, len: 512 });
        let pages = Some(Alignment { address: 512, len: 4096 });
        assert_eq!(lengths(&batch, sectors), Some(vec![1024]));
        assert_eq!(lengths(&batch, pages), None, "it is not a whole number of the device's blocks");
        assert_eq!(lengths(&batch, None), None, "the device does not say its alignment");
        batch.push(copy(2, 8));
        assert_eq!(lengths(&batch, sectors), Some(vec![1024, 1024]));
        assert_eq!(batch.moved(1536, &[]), Ok(()));
        let rest: Vec<&[u8]> = batch.in_place(sectors).expect("it is aligned").collect();
        assert_eq!(rest, [&[8; 512]]);
        assert_eq!(
            lengths(&Batch::new(bio(Op::Read, 0, 2, 0)), Some(Alignment { address: 1, len: 1 })),
            None
        );
        let odd = || Bio::new(Op::Write, Sectors(2), vec![0; 1 << 16], Box::new(|_, _| ()));
        let wide = 1 << 20;
        let (one, elsewhere) = (odd(), odd());
        let lies = |bio: &Bio| bio.data().as_ptr().addr().is_multiple_of(wide);
        assert!(
            !lies(&one) || !lies(&elsewhere),
            "two pieces of memory of 64 KiB are not both at a MiB"
        );
        let mut both = Batch::new(one);
        both.push(elsewhere);
        assert_eq!(
            lengths(&both, Some(Alignment { address: wide, len: 1 })),
            None,
            "one of them lies elsewhere"
        );
    }

    #[test]
    fn a_long_write_goes_from_where_it_lies_a_chunk_at_a_time() {
        let mut batch =
            Batch::new(Bio::write(Sectors(0), &vec![1; CHUNK + 512], Box::new(|_, _| ())));
        for expect in [CHUNK, 512] {
            let sectors = Some(Alignment { address: 512, len: 512 });
            let pieces: Vec<&[u8]> = batch.in_place(sectors).expect("it is aligned").collect();
            assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [expect]);
            assert_eq!(batch.moved(CHUNK, &[]), Ok(()));
        }
        assert!(batch.is_done());
    }

    #[test]
    fn a_request_longer_than_a_chunk_goes_in_parts() {
        let mut batch = Batch::new(bio(Op::Write, 0, CHUNK / 512 + 1, 1));
        assert_eq!(batch.next_len(), CHUNK);
        assert_eq!(batch.moved(CHUNK, &[]), Ok(()));
        assert_eq!((batch.offset(), batch.next_len()), (CHUNK as u64, 512));
    }
}
