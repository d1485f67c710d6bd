//! Pictures to be drawn and words to be spoken, and what came of them.

use super::{Extras, Text};
use crate::vocab::Usage;

/// A request for pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw<'a> {
    pub prompt: Text<'a>,
    /// How many; absent is one.
    pub n: Option<u64>,
    /// Width and height in pixels.
    pub size: Option<(u64, u64)>,
    pub extras: Extras<'a>,
}

/// What was drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawn<'a> {
    pub pictures: Vec<Picture<'a>>,
    pub usage: Option<Usage>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Picture<'a> {
    pub mime: Text<'a>,
    /// Standard base64.
    pub data: Text<'a>,
}

/// A request for speech.
#[derive(Clone, Debug, PartialEq)]
pub struct Speak<'a> {
    pub words: Text<'a>,
    pub voice: Text<'a>,
    pub format: Option<Sound>,
    pub extras: Extras<'a>,
}

/// What sound can be had as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    Wav,
    /// Samples alone: 16 bits, little-endian, one channel.
    Pcm,
    /// MP3 and whatever else would have to be encoded.
    Encoded,
}

/// What was said: samples of 16 bits, little-endian, one channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub samples: Vec<u8>,
    /// Samples a second.
    pub rate: u32,
    pub usage: Option<Usage>,
}

impl Said {
    /// The samples with the header of a WAV file.
    pub fn as_wav(&self) -> Vec<u8> {
        const CHANNELS: u16 = 1;
        const BYTES: u16 = 2;
        let length = u32::try_from(self.samples.len()).unwrap_or(u32::MAX - 36);
        let mut wav = Vec::with_capacity(self.samples.len() + 44);
        wav.extend_from_slice(b"RIFF");
        wav.extend_from_slice(&length.saturating_add(36).to_le_bytes());
        wav.extend_from_slice(b"WAVEfmt ");
        wav.extend_from_slice(&16u32.to_le_bytes());
        // 1 is plain PCM.
        wav.extend_from_slice(&1u16.to_le_bytes());
        wav.extend_from_slice(&CHANNELS.to_le_bytes());
        wav.extend_from_slice(&self.rate.to_le_bytes());
        wav.extend_from_slice(&self.rate.saturating_mul(u32::from(BYTES)).to_le_bytes());
        wav.extend_from_slice(&BYTES.to_le_bytes());
        wav.extend_from_slice(&(BYTES * 8).to_le_bytes());
        wav.extend_from_slice(b"data");
        wav.extend_from_slice(&length.to_le_bytes());
        wav.extend_from_slice(&self.samples);
        wav
    }
}
