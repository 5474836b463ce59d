//! The three operations that a reader needs.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    client::Client,
    fault::Fault,
    page::{HashRange, Page, ShardId},
};

/// A shard, as the service lists it. Its parents are those that it was made of, by a split or a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) parents: Vec<String>,
    /// It was split or merged: nothing more comes.
    pub(crate) closed: bool,
    pub(crate) hashes: HashRange,
}

/// Where a shard is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    TrimHorizon,
    Latest,
    /// In milliseconds since the epoch.
    Timestamp(u64),
    /// The record with this number is the first.
    At(String),
}

/// All shards, and the time at the service in milliseconds.
pub(crate) struct Listing {
    pub(crate) shards: Vec<Listed>,
    pub(crate) date: u64,
}

/// The next records of a shard.
pub(crate) struct Records {
    pub(crate) page: Page,
    /// `None` if the shard is closed and has been read to its end.
    pub(crate) next: Option<String>,
    /// How far the page is behind the newest record, in milliseconds.
    pub(crate) behind: u64,
    /// The time at the service, in milliseconds.
    pub(crate) date: u64,
}

/// No stream has more shards, which bounds a listing without an end.
const MAX_SHARDS: usize = 200_000;
/// How many records an answer may have, which is what the service allows.
const MAX_RECORDS: u32 = 10_000;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListShards<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShardList {
    shards: Vec<ShardAnswer>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShardAnswer {
    shard_id: String,
    parent_shard_id: Option<String>,
    adjacent_parent_shard_id: Option<String>,
    sequence_number_range: SequenceRange,
    hash_key_range: HashKeyRange,
}

/// Decimal numbers of 128 bits.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HashKeyRange {
    starting_hash_key: String,
    ending_hash_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SequenceRange {
    ending_sequence_number: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetShardIterator<'a> {
    stream_name: &'a str,
    shard_id: &'a str,
    shard_iterator_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_sequence_number: Option<&'a str>,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IteratorAnswer {
    shard_iterator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetRecords<'a> {
    shard_iterator: &'a str,
    limit: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordsAnswer<'a> {
    #[serde(borrow)]
    records: Vec<RecordAnswer<'a>>,
    next_shard_iterator: Option<String>,
    millis_behind_latest: Option<u64>,
}

/// A record as the service sends it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RecordAnswer<'a> {
    #[serde(borrow)]
    pub(crate) sequence_number: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) partition_key: Cow<'a, str>,
    /// In Base64.
    #[serde(borrow)]
    pub(crate) data: Cow<'a, str>,
    /// In seconds.
    pub(crate) approximate_arrival_timestamp: Option<f64>,
}

impl Client {
    pub(crate) async fn list_shards(&self) -> Result<Listing, Fault> {
        let mut listing = Listing { shards: Vec::new(), date: 0 };
        let mut token = None;
        loop {
            let first = token.is_none().then_some(self.settings.stream.as_str());
            let answer =
                self.call("ListShards", &ListShards { stream_name: first, next_token: token }).await?;
            let list: ShardList = serde_json::from_slice(&answer.body)
                .map_err(|error| Fault::malformed("ListShards", &self.settings, &error))?;
            listing.date = answer.date;
            listing.shards.extend(list.shards.into_iter().map(|shard| Listed {
                id: shard.shard_id,
                parents: shard.parent_shard_id.into_iter().chain(shard.adjacent_parent_shard_id).collect(),
                hashes: HashRange::parse(
                    &shard.hash_key_range.starting_hash_key,
                    &shard.hash_key_range.ending_hash_key,
                ),
                closed: shard.sequence_number_range.ending_sequence_number.is_some(),
            }));
            token = list.next_token;
            if token.is_none() {
                return Ok(listing);
            }
            if listing.shards.len() > MAX_SHARDS {
                let what = format!("the service lists more than {MAX_SHARDS} shards, without an end");
                return Err(Fault::Fatal(what));
            }
        }
    }

    pub(crate) async fn iterator(&self, shard: &str, from: &From) -> Result<String, Fault> {
        let (shard_iterator_type, starting_sequence_number, timestamp) = match from {
            From::TrimHorizon => ("TRIM_HORIZON", None, None),
            From::Latest => ("LATEST", None, None),
            From::Timestamp(millis) => ("AT_TIMESTAMP", None, Some(*millis as f64 / 1_000.0)),
            From::At(number) => ("AT_SEQUENCE_NUMBER", Some(number.as_str()), None),
        };
        let stream_name = &self.settings.stream;
        let body = GetShardIterator {
            stream_name,
            shard_id: shard,
            shard_iterator_type,
            starting_sequence_number,
            timestamp,
        };
        let answer = self.call("GetShardIterator", &body).await?;
        let answer: IteratorAnswer = serde_json::from_slice(&answer.body)
            .map_err(|error| Fault::malformed("GetShardIterator", &self.settings, &error))?;
        Ok(answer.shard_iterator)
    }

    pub(crate) async fn records(&self, shard: &Arc<ShardId>, iterator: &str) -> Result<Records, Fault> {
        let answer =
            self.call("GetRecords", &GetRecords { shard_iterator: iterator, limit: MAX_RECORDS }).await?;
        let found: RecordsAnswer<'_> = serde_json::from_slice(&answer.body)
            .map_err(|error| Fault::malformed("GetRecords", &self.settings, &error))?;
        let mut page = Page::new(shard);
        for record in &found.records {
            page.push(record).map_err(Fault::Transient)?;
        }
        Ok(Records {
            page,
            next: found.next_shard_iterator.filter(|next| !next.is_empty()),
            behind: found.millis_behind_latest.unwrap_or(0),
            date: answer.date,
        })
    }
}
