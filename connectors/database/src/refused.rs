//! Finds the records that a database refuses among those that it takes.

/// How many records of a batch may be refused before the batch is.
pub const MAX_REFUSED: usize = 1_000;

/// How many characters of a record are shown in an error.
const SHOWN: usize = 300;

/// A record as an error shows it.
pub fn shortened(record: &str) -> String {
    match record.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}..", &record[..end]),
        None => record.to_owned(),
    }
}

/// Writes the rows `from..to`, in as few pieces as the refused ones allow: `write` takes a range and writes
/// all of it or nothing, and says `Ok(Some(reason))` if one of its rows is refused.
pub fn apart<E>(
    (from, to): (usize, usize),
    refused: &mut Vec<(usize, String)>,
    write: &mut impl FnMut(usize, usize) -> Result<Option<String>, E>,
) -> Result<(), E> {
    if from == to || refused.len() > MAX_REFUSED {
        return Ok(());
    }
    match write(from, to)? {
        None => Ok(()),
        Some(reason) if to - from == 1 => {
            refused.push((from, reason));
            Ok(())
        }
        Some(_) => {
            let middle = from + (to - from) / 2;
            apart((from, middle), refused, write)?;
            apart((middle, to), refused, write)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_refused_are_written_in_order() {
        let bad = [3, 4, 77];
        let (mut written, mut refused, mut calls) = (Vec::new(), Vec::new(), 0);
        let mut write = |from: usize, to: usize| {
            calls += 1;
            if (from..to).any(|row| bad.contains(&row)) {
                return Ok::<_, ()>(Some("bad".to_owned()));
            }
            written.extend(from..to);
            Ok(None)
        };
        apart((0, 100), &mut refused, &mut write).unwrap();
        assert_eq!(refused.iter().map(|(row, _)| *row).collect::<Vec<_>>(), bad);
        assert_eq!(written, (0..100).filter(|row| !bad.contains(row)).collect::<Vec<_>>());
        assert!(calls < 40, "{calls}");
    }
}
