//! What becomes of a body: the block that is stored.

use std::fmt;

use dstream_core::{
    Bytes,
    receiver::WalBlock,
    source::{Block, TextBlock},
};

use crate::{answer::Answer, json};

/// How the bodies of requests become records: [`Lines`] or [`Json`](crate::Json).
pub trait Format: Send + Sync + 'static + private::Read {}

pub(crate) mod private {
    use super::*;

    pub trait Read: fmt::Debug {
        /// What a body becomes.
        type Block: WalBlock + 'static;

        /// The name of the function that makes such a stream.
        const NAME: &'static str;

        /// The records of a body; what does not fit is answered.
        fn read(body: Body) -> Result<Self::Block, Refused>;
    }

    /// The body of a request, of valid text.
    #[derive(Debug)]
    pub struct Body {
        pub(crate) bytes: Bytes,
        pub(crate) kind: Kind,
    }

    /// What a request says that its body is.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(crate) enum Kind {
        /// A JSON document, or an array of them.
        Json,
        /// JSON documents, one behind the other.
        JsonLines,
        /// Anything else, or nothing.
        Other,
    }

    /// Why a body is refused.
    #[derive(Debug)]
    pub struct Refused(pub(crate) Answer);
}

use private::{Body, Kind, Refused};

/// A line is a record; of a body of JSON, a document is.
#[derive(Debug)]
pub struct Lines(());

impl Format for Lines {}

impl private::Read for Lines {
    type Block = TextBlock;
    const NAME: &'static str = "http_stream";

    fn read(body: Body) -> Result<TextBlock, Refused> {
        match body.kind {
            Kind::Other => Ok(TextBlock::new(body.bytes)),
            Kind::Json | Kind::JsonLines => {
                json::documents(&body).map(TextBlock::new).map_err(|why| Refused(Answer::bad(why)))
            }
        }
    }
}

/// How many records a block of ours has: it knows.
pub(crate) fn count(block: &impl Block) -> u64 {
    block.record_count().unwrap_or_default()
}
