//! A look at what an operator keeps of one key.

use std::{collections::HashMap, fmt, time::Duration};

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use dstream_core::events::{ContextView, KeptValue, LookUpError};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{Page, Problem, problem};

/// For how long a batch that runs through the operator is waited for, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// `GET /api/v1/kept/look_up?operator=&key=`. The key is JSON, or text as it is.
pub(crate) async fn look_up(State(shared): Page, Query(query): Query<HashMap<String, String>>) -> Response {
    let view = shared.model().as_ref().map(|model| model.view.clone());
    let Some(view) = view else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the context has not started yet").into_response();
    };
    found(&view, &query).await.map(Json).into_response()
}

async fn found(view: &ContextView, query: &HashMap<String, String>) -> Result<Value, Problem> {
    let asked = |name: &str| {
        query.get(name).map(String::as_str).ok_or_else(|| {
            let what = format_args!("`{name}` is missing: `?operator=..&key=..` is expected");
            problem(StatusCode::BAD_REQUEST, what)
        })
    };
    let (operator, text) = (asked("operator")?, asked("key")?);
    let keys = match serde_json::from_str::<Value>(text) {
        Ok(Value::String(key)) => vec![json!(key)],
        // Text may look like a number.
        Ok(key) => vec![key, json!(text)],
        Err(_) => vec![json!(text)],
    };
    let mut refused = None;
    for key in keys {
        match wait_for(view, operator, &key).await {
            Ok(KeptValue { batch, changed, value, .. }) => {
                let value = value.map(|Loose(value)| value);
                return Ok(json!({
                    "operator": operator,
                    "key": key,
                    "batch": batch,
                    "found": value.is_some(),
                    "changed": changed,
                    "value": value,
                }));
            }
            Err(error @ LookUpError::Refused(_)) => {
                refused.get_or_insert(error);
            }
            Err(error) => return Err(problem(status(&error), error)),
        }
    }
    let why = refused.map_or_else(String::new, |error| error.to_string());
    Err(problem(StatusCode::BAD_REQUEST, why))
}

fn status(error: &LookUpError) -> StatusCode {
    match error {
        LookUpError::NoOperator { .. } => StatusCode::NOT_FOUND,
        LookUpError::Busy | LookUpError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Asks again while a batch runs through the operator.
async fn wait_for(
    view: &ContextView,
    operator: &str,
    key: &impl Serialize,
) -> Result<KeptValue<Loose>, LookUpError> {
    let end = Instant::now() + PATIENCE;
    loop {
        match view.look_up(operator, key) {
            Err(LookUpError::Busy) if Instant::now() < end => sleep(PAUSE).await,
            found => return found,
        }
    }
}

/// A value of any type, as JSON: keys of maps become text, and numbers that JSON has not become text, too.
struct Loose(Value);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Loose, D::Error> {
        from.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

macro_rules! plain {
    ($($visit:ident: $from:ty,)*) => {$(
        fn $visit<E>(self, value: $from) -> Result<Loose, E> {
            Ok(Loose(json!(value)))
        }
    )*};
}

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    plain! {
        visit_bool: bool,
        visit_i64: i64,
        visit_u64: u64,
        visit_str: &str,
        visit_bytes: &[u8],
    }

    fn visit_f64<E>(self, value: f64) -> Result<Loose, E> {
        Ok(Loose(if value.is_finite() { json!(value) } else { json!(value.to_string()) }))
    }

    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Loose, E> {
        Ok(Loose(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Loose, D::Error> {
        Loose::deserialize(from)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Loose, D::Error> {
        Loose::deserialize(from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Loose, A::Error> {
        let mut values = Vec::new();
        while let Some(Loose(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Loose(Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        let mut values = Map::new();
        while let Some((Loose(key), Loose(value))) = map.next_entry()? {
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            values.insert(key, value);
        }
        Ok(Loose(Value::Object(values)))
    }
}
