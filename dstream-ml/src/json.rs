//! What models have learned as JSON.

use serde::{Serialize, de::DeserializeOwned};

/// Only states of finite numbers are written, which all have a JSON.
pub(crate) fn write(state: &impl Serialize) -> String {
    serde_json::to_string(state).unwrap_or_default()
}

pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        format!("this is no model of this kind: {error}; expected what `to_json` of such a model has given")
    })
}
