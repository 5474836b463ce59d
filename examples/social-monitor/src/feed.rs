//! A feed that is made up: users, places, hashtags and links by Zipf's law, retweets that form trees, and
//! what a monitor should find in it: stories that break, bots, and a post that is boosted.
//!
//! Post `n` depends on the seed and on `n` alone. So the feed is the same in every run, any part of it can be
//! made by any thread, and after a restart it goes on where it was.

use crate::{
    dice::Dice,
    post::{Place, Post, Retweet},
    words::{CITIES, LEXICON, NAMES, OPENINGS, SAD_TAGS, SITES, STORIES, TAGS, THINGS},
};

/// Accounts that are programs: they post the same offer again and again, with a link.
pub const BOTS: [&str; 5] = ["best_deals_24", "crypto_luck", "followers_now", "pill_palace", "win_win_win"];
/// The author whose post is boosted by a ring of accounts.
pub const BOOSTED: &str = "valley_gazette";

const USERS: usize = 5_000;
/// A story breaks in each period of so many seconds, at this second of it, and lasts so many.
const STORY: (u64, u64, u64) = (120, 45, 20);
/// A post is boosted: as above.
const BOOST: (u64, u64, u64) = (180, 100, 10);

const OF_BOOST: f64 = 0.3;
const OF_BOTS: f64 = 0.04;
const OF_STORY: f64 = 0.12;
const RETWEETS: f64 = 0.25;

/// A feed with so many posts a second.
#[derive(Debug, Clone, Copy)]
pub struct Feed {
    pub seed: u64,
    pub posts_per_second: u64,
}

impl Feed {
    /// The hashtag of the story that breaks or goes on in this second of the feed.
    pub fn story(&self, second: u64) -> Option<&'static str> {
        self.story_text(second).map(|(tag, _)| tag)
    }

    fn story_text(&self, second: u64) -> Option<(&'static str, &'static str)> {
        let at = phase(second, STORY)?;
        Some(STORIES[((self.seed + at) % STORIES.len() as u64) as usize])
    }

    /// The post that is boosted in this second of the feed.
    pub fn boosted(&self, second: u64) -> Option<u64> {
        let (period, from, _) = BOOST;
        phase(second, BOOST).map(|at| (at * period + from) * self.posts_per_second - 1)
    }

    /// Post number `n`, from 0.
    pub fn post(&self, n: u64) -> Post {
        let mut dice = Dice::of(self.seed, n);
        let second = n / self.posts_per_second.max(1);
        let boosted = self.boosted(second).filter(|_| dice.chance(OF_BOOST));
        if self.boosted(second + 1) == Some(n) {
            return self.ordinary(n, BOOSTED.to_owned(), &mut dice);
        }
        if let Some(of) = boosted {
            return self.retweet(n, format!("fan_{}", dice.below(400)), of);
        }
        if dice.chance(OF_BOTS) {
            return bot(n, &mut dice);
        }
        let user = format!("{}_{}", dice.pick(&NAMES), dice.zipf(USERS, 100));
        if let Some((tag, text)) = self.story_text(second).filter(|_| dice.chance(OF_STORY)) {
            let text = format!("{} {tag}: {text}", dice.pick(&OPENINGS));
            return Post { id: n, user, text, place: place(&mut dice), retweet: None };
        }
        if n > 0 && dice.chance(RETWEETS) {
            return self.retweet(n, user, self.read_before(n, &mut dice));
        }
        self.ordinary(n, user, &mut dice)
    }

    /// What the user of post `n` has read and repeats: something new, half of the time something popular.
    fn read_before(&self, n: u64, dice: &mut Dice) -> u64 {
        let recent = n.min(30 * self.posts_per_second);
        let ago = dice.zipf(recent as usize, 1) as u64 + 1;
        let of = n - ago.min(n);
        if dice.chance(0.5) { of - of % 50 } else { of }
    }

    fn retweet(&self, n: u64, user: String, of: u64) -> Post {
        let read = self.post(of);
        let (root, author, text) = match read.retweet {
            Some(Retweet { root, author, .. }) => (root, author, read.text),
            None => (of, read.user.clone(), format!("RT @{}: {}", read.user, read.text)),
        };
        Post { id: n, user, text, place: None, retweet: Some(Retweet { of, root, author }) }
    }

    fn ordinary(&self, n: u64, user: String, dice: &mut Dice) -> Post {
        let tag = TAGS[dice.zipf(TAGS.len(), 1)];
        let mut text = format!("{} {}", dice.pick(&OPENINGS), dice.pick(&THINGS));
        if dice.chance(0.5) {
            let glad = dice.chance(if SAD_TAGS.contains(&tag) { 0.15 } else { 0.65 });
            let (word, _) = LEXICON[dice.below(20) + if glad { 0 } else { 20 }];
            text = format!("{text}, {word}");
        }
        text = format!("{text} {tag}");
        if dice.chance(0.15) {
            text = format!("{text} https://{}/{}", SITES[dice.zipf(SITES.len(), 1)], dice.zipf(500, 1));
        }
        Post { id: n, user, text, place: place(dice), retweet: None }
    }
}

/// In which period a second is, if it belongs to what is planted there.
fn phase(second: u64, (period, from, length): (u64, u64, u64)) -> Option<u64> {
    (from..from + length).contains(&(second % period)).then_some(second / period)
}

fn place(dice: &mut Dice) -> Option<Place> {
    let (city, latitude, longitude) = CITIES[dice.zipf(CITIES.len(), 3)];
    dice.chance(0.3).then(|| Place { city: city.to_owned(), latitude, longitude })
}

fn bot(n: u64, dice: &mut Dice) -> Post {
    let at = dice.below(BOTS.len());
    let text = format!("Only today: offer {}! https://cheap-{at}.example/{}", n % 97, dice.below(10));
    Post { id: n, user: BOTS[at].to_owned(), text, place: None, retweet: None }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    const FEED: Feed = Feed { seed: 7, posts_per_second: 100 };

    #[test]
    fn the_seed_decides_every_post() {
        let other = Feed { seed: 8, ..FEED };
        let posts = |feed: Feed| (0..2_000).map(|n| feed.post(n)).collect::<Vec<_>>();
        assert_eq!(posts(FEED), posts(FEED));
        // In any order, too: nothing depends on what was made before.
        assert_eq!((0..2_000).rev().map(|n| FEED.post(n)).collect::<Vec<_>>(), {
            let mut reversed = posts(FEED);
            reversed.reverse();
            reversed
        });
        let equal = posts(FEED).iter().zip(&posts(other)).filter(|(a, b)| a == b).count();
        assert!(equal < 20, "{equal} posts do not depend on the seed");
    }

    #[test]
    fn retweets_form_trees() {
        let posts: Vec<Post> = (0..20_000).map(|n| FEED.post(n)).collect();
        let mut depth: HashMap<u64, u32> = HashMap::new();
        for post in &posts {
            let Some(Retweet { of, root, author }) = &post.retweet else { continue };
            assert!(*of < post.id && *root <= *of, "{post:?}");
            let (read, first) = (&posts[*of as usize], &posts[*root as usize]);
            assert_eq!(read.retweet.as_ref().map_or(read.id, |read| read.root), *root);
            assert!(first.retweet.is_none() && first.user == *author);
            assert_eq!(post.text, format!("RT @{author}: {}", first.text));
            depth.insert(post.id, depth.get(of).unwrap_or(&0) + 1);
        }
        let share = depth.len() as f64 / posts.len() as f64;
        assert!((0.2..0.3).contains(&share), "{share}");
        assert!(depth.values().any(|depth| *depth >= 4), "{:?}", depth.values().max());
    }

    #[test]
    fn what_is_planted_is_there() {
        let second = |n: u64| n / FEED.posts_per_second;
        let posts: Vec<Post> = (0..20_000).map(|n| FEED.post(n)).collect();
        let tag = FEED.story(50).expect("a story");
        assert_eq!((FEED.story(44), FEED.story(65), FEED.story(45)), (None, None, Some(tag)));
        let told = posts.iter().filter(|post| post.retweet.is_none() && post.text.contains(tag));
        let told: Vec<u64> = told.map(|post| second(post.id)).collect();
        assert!(told.len() > 100 && told.iter().all(|second| (45..65).contains(second)), "{}", told.len());

        let root = FEED.boosted(105).expect("a boosted post");
        assert_eq!(posts[root as usize].user, BOOSTED);
        let fans =
            posts.iter().filter(|post| post.retweet.as_ref().is_some_and(|retweet| retweet.root == root));
        assert!(fans.count() > 200);

        for bot in BOTS {
            let texts: HashSet<&str> =
                posts.iter().filter(|post| post.user == bot).map(|post| &post.text[..10]).collect();
            assert_eq!(texts.len(), 1, "{bot}");
        }
    }
}
