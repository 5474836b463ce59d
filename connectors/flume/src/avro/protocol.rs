//! The protocol that is spoken, and whether that of a client is the same.

use serde_json::Value;

/// Flume's own, without comments.
pub(super) const TEXT: &str = concat!(
    r#"{"protocol":"AvroSourceProtocol","namespace":"org.apache.flume.source.avro","types":["#,
    r#"{"type":"enum","name":"Status","symbols":["OK","FAILED","UNKNOWN"]},"#,
    r#"{"type":"record","name":"AvroFlumeEvent","fields":["#,
    r#"{"name":"headers","type":{"type":"map","values":"string"}},{"name":"body","type":"bytes"}]}],"#,
    r#""messages":{"append":{"request":[{"name":"event","type":"AvroFlumeEvent"}],"response":"Status"},"#,
    r#""appendBatch":{"request":[{"name":"events","type":{"type":"array","items":"AvroFlumeEvent"}}],"#,
    r#""response":"Status"}}}"#
);

/// The MD5 of the text.
pub(super) const HASH: [u8; 16] =
    [0x30, 0xda, 0x54, 0x05, 0x9d, 0xf7, 0x2d, 0x95, 0x84, 0xb8, 0x67, 0xd5, 0x20, 0x2e, 0x20, 0x69];

/// How types may contain one another before they are taken for endless.
const MAX_DEPTH: usize = 16;

/// Refuses a client whose events are not those that are read here. Comments and other names of types don't
/// matter, and neither do messages that it has beyond these.
pub(super) fn check(text: &str) -> Result<(), String> {
    let protocol: Value = serde_json::from_str(text)
        .map_err(|error| format!("the protocol that the client says it has is no JSON: {error}"))?;
    let event = "{headers: map of string, body: bytes}";
    let expected = [("append", event.to_owned()), ("appendBatch", format!("array of {event}"))];
    for (message, expected) in expected {
        let Some(request) = protocol["messages"][message]["request"].as_array() else { continue };
        let found: Vec<_> =
            request.iter().map(|field| shape(&field["type"], &protocol["types"], 0)).collect();
        if found != [expected.as_str()] {
            return Err(format!(
                "the client's message `{message}` has ({}), expected ({expected}): it is of another protocol \
                 than Flume",
                found.join(", ")
            ));
        }
    }
    Ok(())
}

/// A type as text, without names.
fn shape(of: &Value, types: &Value, depth: usize) -> String {
    let inner = |of: &Value| shape(of, types, depth + 1);
    if depth > MAX_DEPTH {
        return "..".to_owned();
    }
    match of {
        Value::String(name) => {
            // With or without the namespace, in the reference and in the definition.
            let own = |name: &str| name.rsplit('.').next().map(str::to_owned);
            let is = |of: &&Value| of["name"].as_str().and_then(own) == own(name);
            match types.as_array().and_then(|types| types.iter().find(is)) {
                Some(of) => inner(of),
                None => name.clone(),
            }
        }
        Value::Array(options) => {
            format!("({})", options.iter().map(inner).collect::<Vec<_>>().join(" or "))
        }
        Value::Object(_) => match of["type"].as_str() {
            Some("map") => format!("map of {}", inner(&of["values"])),
            Some("array") => format!("array of {}", inner(&of["items"])),
            Some("record") => {
                let fields = of["fields"].as_array().into_iter().flatten();
                let fields = fields.map(|field| {
                    format!("{}: {}", field["name"].as_str().unwrap_or_default(), inner(&field["type"]))
                });
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
            // As a string with the class that Java has for it.
            Some(name) => name.to_owned(),
            None => inner(&of["type"]),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use md5::{Digest, Md5};

    use super::*;

    #[test]
    fn the_hash_is_that_of_the_text() {
        assert_eq!(<[u8; 16]>::from(Md5::digest(TEXT)), HASH);
    }

    #[test]
    fn only_other_events_are_another_protocol() {
        check(TEXT).unwrap();
        // As Java has it: a class for strings, and the namespace everywhere.
        let java = TEXT
            .replace(r#""values":"string""#, r#""values":{"type":"string","avro.java.string":"String"}"#)
            .replace(
                r#""items":"AvroFlumeEvent""#,
                r#""items":"org.apache.flume.source.avro.AvroFlumeEvent""#,
            )
            .replace(r#""name":"AvroFlumeEvent","#, r#""name":"AvroFlumeEvent","doc":"an event","#);
        check(&java).unwrap();
        check("{}").unwrap();
        let other = TEXT.replace(r#""values":"string""#, r#""values":["null","long"]"#);
        let error = check(&other).unwrap_err();
        assert!(error.contains("`append` has ({headers: map of (null or long), body: bytes})"), "{error}");
        assert!(check("{").unwrap_err().contains("no JSON"));
        // A type that is made of itself.
        let endless = TEXT.replace(r#""values":"string""#, r#""values":"AvroFlumeEvent""#);
        assert!(check(&endless).unwrap_err().contains(".."));
        assert!(check(&"[".repeat(1_000_000)).is_err());
    }
}
