//! Points: vectors of numbers, with a label or without, and their text forms.

use std::{fmt, str::FromStr};

use dstream_core::{Record, model::ModelError};
use serde::{Deserialize, Serialize};

/// A point with what is known of it, to learn from: of a regression the value, of a classification the class.
///
/// Its text is `(label,[x,y,z])`, as Spark's `LabeledPoint` has it; `label,x y z` is read, too.
///
/// ```
/// use dstream::ml::LabeledPoint;
///
/// let point: LabeledPoint = "(1.5,[2.0,-3.0])".parse()?;
/// assert_eq!(point, LabeledPoint { label: 1.5, features: vec![2.0, -3.0] });
/// assert_eq!(point.to_string(), "(1.5,[2,-3])");
/// assert_eq!("1.5,2 -3".parse(), Ok(point));
/// # Ok::<(), dstream::ml::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabeledPoint {
    /// What is known.
    pub label: f64,
    /// The point.
    pub features: Vec<f64>,
}

impl Record for LabeledPoint {
    type Owned = LabeledPoint;

    fn own(self) -> LabeledPoint {
        self
    }
}

impl FromStr for LabeledPoint {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<LabeledPoint, ParseError> {
        let fail = |what: String| ParseError { text: text.to_owned(), what, expected: "(label,[x,y,..])" };
        let inner = text.trim();
        let (inner, spaced) = match inner.strip_prefix('(').map(|rest| rest.strip_suffix(')')) {
            Some(Some(inner)) => (inner, false),
            Some(None) => return Err(fail("`(` is not closed".to_owned())),
            None => (inner, true),
        };
        let Some((label, features)) = inner.split_once(',') else {
            return Err(fail("there is no `,` behind the label".to_owned()));
        };
        let label = number(label).map_err(&fail)?;
        let features = if spaced && !features.trim_start().starts_with('[') {
            features.split_whitespace().map(number).collect::<Result<_, _>>()
        } else {
            bracketed(features)
        };
        Ok(LabeledPoint { label, features: features.map_err(&fail)? })
    }
}

impl fmt::Display for LabeledPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},[", self.label)?;
        for (at, x) in self.features.iter().enumerate() {
            write!(f, "{}{x}", if at == 0 { "" } else { "," })?;
        }
        f.write_str("])")
    }
}

/// Reads a vector, `[x,y,z]`.
///
/// ```
/// assert_eq!(dstream::ml::parse_vector(" [1, 2.5,-3e2] "), Ok(vec![1.0, 2.5, -300.0]));
/// let error = dstream::ml::parse_vector("[1,two]").unwrap_err();
/// assert_eq!(error.to_string(), "`[1,two]` is no point: `two` is no number; expected `[x,y,..]`");
/// ```
pub fn parse_vector(text: &str) -> Result<Vec<f64>, ParseError> {
    bracketed(text).map_err(|what| ParseError { text: text.trim().to_owned(), what, expected: "[x,y,..]" })
}

fn bracketed(text: &str) -> Result<Vec<f64>, String> {
    let inner = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let inner = inner.ok_or_else(|| "its numbers do not stand in `[` and `]`".to_owned())?;
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    inner.split(',').map(number).collect()
}

fn number(text: &str) -> Result<f64, String> {
    let text = text.trim();
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

/// Why a text is no point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    text: String,
    what: String,
    expected: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParseError { text, what, expected } = self;
        let (short, more) = match text.char_indices().nth(60) {
            Some((end, _)) => (&text[..end], ".."),
            None => (text.as_str(), ""),
        };
        write!(f, "`{short}{more}` is no point: {what}; expected `{expected}`")
    }
}

impl std::error::Error for ParseError {}

/// Refuses a point that does not fit a model of `dimensions`: a single number that is none would make all
/// that the model knows useless.
pub(crate) fn check(point: &[f64], dimensions: usize) -> Result<(), ModelError> {
    if point.len() != dimensions {
        return Err(ModelError::new(format!(
            "a point has {} dimensions, and the model {dimensions}: `filter` such points out, or make the \
             model for them",
            point.len()
        )));
    }
    match point.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(ModelError::new(format!(
            "dimension {at} of a point is {}, which nothing can be learned from: `filter` such points out",
            point[at]
        ))),
        None => Ok(()),
    }
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(crate) fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// `to += factor * of`.
pub(crate) fn add_scaled(to: &mut [f64], factor: f64, of: &[f64]) {
    to.iter_mut().zip(of).for_each(|(to, of)| *to += factor * of);
}

pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_point_says_why() {
        for (text, what) in [
            ("", "no `,`"),
            ("(1,[2]", "not closed"),
            ("(x,[2])", "`x` is no number"),
            ("(1,2)", "`[` and `]`"),
            ("(1,[2,])", "`` is no number"),
            ("1,2 y", "`y` is no number"),
        ] {
            let error = text.parse::<LabeledPoint>().unwrap_err().to_string();
            assert!(error.contains(what) && error.contains("expected `(label,[x,y,..])`"), "{text}: {error}");
        }
        let long = parse_vector(&"é".repeat(100)).unwrap_err().to_string();
        assert!(long.contains("éé..`"), "{long}");
    }

    #[test]
    fn points_of_another_size_are_refused() {
        assert_eq!(check(&[1.0, 2.0], 2), Ok(()));
        assert!(check(&[1.0], 2).unwrap_err().to_string().contains("has 1 dimensions, and the model 2"));
        assert!(
            check(&[1.0, f64::NAN], 2).unwrap_err().to_string().contains("dimension 1 of a point is NaN")
        );
    }
}
