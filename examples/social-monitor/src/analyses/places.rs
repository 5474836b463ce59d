//! Where the posts of the last minute come from.
//!
//! It shows: a window whose values are more than a number, and points on a map.

use dstream::prelude::*;

use super::Posts;

pub(super) fn places(ssc: &StreamingContext, posts: &Posts) -> dstream::Result<()> {
    dstream::stream!(ssc, name = "places", {
        let places = posts.filter_map(|post| post.place.clone());
        let cities = places
            .map(|place| (place.city, (place.latitude, place.longitude, 1u64)))
            .reduce_by_key_and_window(|(lat, lon, a), (_, _, b)| (lat, lon, a + b), 60s, 2s);
        cities
            .map(|(city, (latitude, longitude, n))| (latitude, longitude, city, n))
            .dashboard("Posts by place", Chart::map().unit("posts"));
    })?;
    Ok(())
}
