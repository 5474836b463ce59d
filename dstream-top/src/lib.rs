//! A full-screen view of a program that uses dstream, in the terminal, over the JSON API of its page.
//!
//! ```text
//! dstream-top http://localhost:4040
//! ```
//!
//! The program serves a page by `Config::ui`, of the feature `ui`.

mod client;
mod model;
mod view;

pub use client::Client;
pub use model::{Answer, Model, Question};
pub use view::draw;
