//! A post, as it comes in: a line of JSON.

use dstream::Record;
use serde::{Deserialize, Serialize};

/// A post of the feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct Post {
    pub id: u64,
    pub user: String,
    pub text: String,
    /// Where it was written, if the user says so.
    #[serde(default)]
    pub place: Option<Place>,
    /// What it repeats, if it is a retweet.
    #[serde(default)]
    pub retweet: Option<Retweet>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct Place {
    pub city: String,
    /// Degrees, north and east positive.
    pub latitude: f64,
    pub longitude: f64,
}

/// A retweet repeats a post, which may be a retweet itself: together they form a tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct Retweet {
    /// The post that was read and repeated.
    pub of: u64,
    /// The post at the root of the tree.
    pub root: u64,
    /// Who has written the root.
    pub author: String,
}

impl Post {
    /// The hashtags, in lower case, each as often as it is there.
    pub fn hashtags(&self) -> Vec<String> {
        self.words().filter(|word| word.len() > 1 && word.starts_with('#')).map(str::to_lowercase).collect()
    }

    /// The links.
    pub fn links(&self) -> Vec<String> {
        let words = self.text.split_whitespace();
        words
            .filter(|word| word.starts_with("https://") || word.starts_with("http://"))
            .map(String::from)
            .collect()
    }

    /// The words, without punctuation around them.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let words = self.text.split_whitespace().filter(|word| !word.contains("://"));
        words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '#' && c != '@'))
    }
}

/// The site that a link leads to.
pub fn site(link: &str) -> &str {
    let rest = link.split_once("://").map_or(link, |(_, rest)| rest);
    rest.split(['/', '?', '#', ':']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_hashtags_and_links() {
        let text = "Oh, #Rust, #rust! # see https://a.example/x#top and http://b.example:80 @ann".to_owned();
        let post = Post { id: 1, user: "ann".into(), text, place: None, retweet: None };
        assert_eq!(post.hashtags(), ["#rust", "#rust"]);
        assert_eq!(post.links(), ["https://a.example/x#top", "http://b.example:80"]);
        assert_eq!(
            post.links().iter().map(|link| site(link)).collect::<Vec<_>>(),
            ["a.example", "b.example"]
        );
        assert_eq!(post.words().next(), Some("Oh"));
    }

    #[test]
    fn a_line_needs_only_the_first_three_fields() {
        let post: Post = serde_json::from_str(r#"{"id":1,"user":"ann","text":"hi"}"#).expect("a post");
        assert_eq!((post.place, post.retweet), (None, None));
    }
}
