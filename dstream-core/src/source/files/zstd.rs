//! The content of a zstd file, which may have several frames.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

/// Decodes frame after frame; a `FrameDecoder` knows one.
pub(super) struct ZstdReader<R> {
    content: R,
    decoder: FrameDecoder,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    BetweenFrames,
    InFrame,
    Ended,
}

impl<R: BufRead> ZstdReader<R> {
    pub(super) fn new(content: R) -> ZstdReader<R> {
        ZstdReader { content, decoder: FrameDecoder::new(), state: State::BetweenFrames }
    }

    /// Reads the header of the next frame.
    fn next_frame(&mut self) -> io::Result<State> {
        if self.content.fill_buf()?.is_empty() {
            return Ok(State::Ended);
        }
        match self.decoder.reset(&mut self.content) {
            Ok(()) => Ok(State::InFrame),
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                let skipped = io::copy(&mut self.content.by_ref().take(length.into()), &mut io::sink())?;
                if skipped < length.into() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(State::BetweenFrames)
            }
            Err(error) => Err(invalid(error)),
        }
    }

    /// Reads from the frame; 0 at its end.
    fn read_frame(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
            self.decoder
                .decode_blocks(&mut self.content, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(invalid)?;
        }
        let n = self.decoder.read(buf)?;
        let written = self.decoder.get_checksum_from_data();
        if n == 0 && written.is_some() && written != self.decoder.get_calculated_checksum() {
            return Err(invalid("the checksum is wrong"));
        }
        Ok(n)
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !buf.is_empty() && self.state != State::Ended {
            // An error ends the content.
            let state = std::mem::replace(&mut self.state, State::Ended);
            if state == State::BetweenFrames {
                self.state = self.next_frame()?;
                continue;
            }
            let n = self.read_frame(buf)?;
            self.state = if n > 0 { State::InFrame } else { State::BetweenFrames };
            if n > 0 {
                return Ok(n);
            }
        }
        Ok(0)
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
