//! Watches a feed of posts. See README.md; `analyses/` is where to begin.

pub mod analyses;
mod dice;
pub mod feed;
mod history;
pub mod post;
pub mod print;
pub mod source;
pub mod words;
