//! What is counted to make a price.
//!
//! One row a unit: its letters in the embedded text (those of `scripts/catalog`), its word in an operator's
//! file, and how many of it a price there is for.

/// How many of a unit an operator's price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Tokens, characters, pixels.
    Million,
    /// Pictures, seconds, requests.
    One,
}

macro_rules! units {
    ($($(#[$about:meta])* $unit:ident $code:literal $word:literal $per:ident;)+) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Unit { $($(#[$about])* $unit,)+ }

        impl Unit {
            /// Every unit, for tables and tests.
            pub const ALL: &[Self] = &[$(Self::$unit),+];

            /// Its letters in the embedded text.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$unit => $code,)+ }
            }

            /// Its word in an operator's file.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$unit => $word,)+ }
            }

            /// How many of it an operator's price is for.
            pub const fn per(self) -> Per {
                match self { $(Self::$unit => Per::$per,)+ }
            }
        }
    };
}

units! {
    /// Tokens of the prompt that no other unit counts.
    Input "i" "input" Million;
    /// Tokens of the answer that no other unit counts.
    Output "o" "output" Million;
    /// Tokens of the prompt that were read from a cache.
    CacheRead "r" "cache_read" Million;
    /// The same where the caller marked what to cache, if that has its own price (Qwen).
    ExplicitCacheRead "re" "explicit_cache_read" Million;
    /// The same under DeepSeek's older name; equal to `CacheRead` where both are there.
    CacheHit "rh" "cache_hit" Million;
    /// Tokens of the prompt that were put into a cache, for five minutes at Anthropic.
    CacheWrite "w" "cache_write" Million;
    CacheWriteHour "w1" "cache_write_1h" Million;
    CacheWrite12Hours "w12" "cache_write_12h" Million;
    /// Tokens of thinking, where they do not cost what other tokens of the answer do.
    Reasoning "or" "reasoning" Million;
    /// Tokens of sources that the answer cites.
    Citation "ct" "citation" Million;
    InputAudio "ia" "input_audio_tokens" Million;
    OutputAudio "oa" "output_audio_tokens" Million;
    CacheReadAudio "ra" "cache_read_audio_tokens" Million;
    CacheWriteAudio "wa" "cache_write_audio_tokens" Million;
    InputImageTokens "im" "input_image_tokens" Million;
    OutputImageTokens "om" "output_image_tokens" Million;
    CacheReadImage "rm" "cache_read_image_tokens" Million;
    InputVideoTokens "iv" "input_video_tokens" Million;
    OutputVideoTokens "ov" "output_video_tokens" Million;
    InputCharacter "ic" "input_characters" Million;
    OutputCharacter "oc" "output_characters" Million;
    InputImage "iI" "input_images" One;
    OutputImage "oI" "output_images" One;
    InputPixel "ip" "input_pixels" Million;
    OutputPixel "op" "output_pixels" Million;
    /// Seconds of what was sent; of speech, for transcriptions.
    InputSecond "is" "input_seconds" One;
    /// Seconds of what came back.
    OutputSecond "os" "output_seconds" One;
    /// Seconds of the machine's time, as reserved throughput is sold.
    Second "s" "seconds" One;
    InputAudioSecond "ias" "input_audio_seconds" One;
    InputVideoSecond "ivs" "input_video_seconds" One;
    OutputVideoSecond "ovs" "output_video_seconds" One;
    OutputSecond480p "os480p" "output_seconds_480p" One;
    OutputSecond720p "os720p" "output_seconds_720p" One;
    OutputSecond768p "os768p" "output_seconds_768p" One;
    OutputSecond1080p "os1080p" "output_seconds_1080p" One;
    OutputSecond2k "os2k" "output_seconds_2k" One;
    OutputSecond4k "os4k" "output_seconds_4k" One;
    /// Searches of a reranker or a search model.
    Query "iq" "queries" One;
    Request "iR" "requests" One;
    TextMessage "iM" "text_messages" One;
    /// Google's grounding in its maps.
    MapsQuery "gm" "maps_queries" One;
    /// Sessions of OpenAI's code interpreter.
    CodeSession "cs" "code_sessions" One;
    /// Pages that were read.
    Page "pg" "pages" One;
    /// Pages that were annotated.
    AnnotatedPage "pa" "annotated_pages" One;
    /// As `Input`, in Databricks' own unit and not in dollars.
    InputDbu "iD" "input_dbu" Million;
    /// As `Output`, in Databricks' own unit and not in dollars.
    OutputDbu "oD" "output_dbu" Million;
}

impl Unit {
    pub fn by_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|unit| unit.code() == code)
    }

    pub fn by_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|unit| unit.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_unit_has_its_own_letters_and_its_own_word() {
        let codes: HashSet<&str> = Unit::ALL.iter().map(|unit| unit.code()).collect();
        let words: HashSet<&str> = Unit::ALL.iter().map(|unit| unit.word()).collect();
        assert_eq!((codes.len(), words.len()), (Unit::ALL.len(), Unit::ALL.len()));
        for unit in Unit::ALL {
            assert_eq!((Unit::by_code(unit.code()), Unit::by_word(unit.word())), (Some(*unit), Some(*unit)));
        }
    }
}
