//! What is linked to.
//!
//! It shows: one window that two charts read, at different depths. It is computed once.

use dstream::prelude::*;

use super::Posts;
use crate::post::site;

pub(super) fn links(ssc: &StreamingContext, posts: &Posts) -> dstream::Result<()> {
    dstream::stream!(ssc, name = "links", {
        let shared = posts.flat_map(|post| post.links());
        let links = shared.count_by_value_and_window(60s, 5s);
        links.top(10, |(_, n)| *n).dashboard("Most shared links", Chart::table().columns(["link", "posts"]));
        let sites = links.map(|(link, n)| (site(&link).to_owned(), n)).reduce_by_key(|a, b| a + b);
        sites.dashboard("Sites", Chart::bar().top(10).unit("links"));
    })?;
    Ok(())
}
