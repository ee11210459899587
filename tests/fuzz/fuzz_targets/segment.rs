//! The ledger's segments: whatever a disk hands back, a frame that is believed is one that was
//! written, in pieces as in one go.

#![no_main]

use accord_proto::segment::{
    Decoded, FrameKind, FrameStream, SegmentHeader, SparseIndex, decode, encode_checkpoint,
    look_beyond, time_of,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let start = SegmentHeader::decode(data).map_or(0, |(header, len)| {
        assert_eq!(header.encode().as_deref(), Ok(&data[..len]));
        len
    });
    let (mut at, mut frames) = (start, 0_usize);
    while let Ok(Decoded::Frame(frame)) = decode(&data[at..]) {
        let _ = time_of(frame.payload());
        if frame.kind == FrameKind::Checkpoint
            && let Ok(note) = str::from_utf8(frame.payload())
        {
            let mut again = Vec::new();
            encode_checkpoint(&mut again, frame.index, note).expect("it was that long");
            assert_eq!(again, &data[at..at + frame.len()]);
        }
        at += frame.len();
        frames += 1;
    }
    let piece = usize::from(data.first().copied().unwrap_or(0)) + 1;
    let mut stream = FrameStream::new(start as u64);
    let mut streamed = 0;
    for piece in data[start..].chunks(piece) {
        stream.push(piece);
        while let Ok(Decoded::Frame(_)) = stream.take() {
            streamed += 1;
        }
    }
    assert_eq!((stream.offset(), streamed), (at as u64, frames));
    let beyond = look_beyond(data, at, "log/2026-11", 3);
    assert!(beyond.checkpoints == 0 || beyond.last_size > 3);
    if let Some(index) = SparseIndex::decode(data) {
        assert_eq!(index.encode(), data);
    }
});
