//! The statements that write what was copied.

use dstream_core::sink::SinkError;
use dstream_database::{Mode, conflict, list, quoted};

/// The temporary table that rows are copied into.
pub(crate) const BATCH: &str = "dstream_batch";

/// Makes rows of the copied table rows of the target; `None` where they are copied into it themselves.
pub(crate) fn insert(mode: &Mode, target: &str, columns: &[String]) -> Option<String> {
    let all = list(columns);
    let key = list(mode.key());
    let select = match mode {
        // The place of a row in the temporary table is its place in the batch.
        Mode::Upsert { .. } => {
            format!("SELECT DISTINCT ON ({key}) {all} FROM pg_temp.{BATCH} ORDER BY {key}, ctid DESC")
        }
        Mode::AddTo { key: keys, .. } => {
            let sums = columns.iter().map(|column| match keys.contains(column) {
                true => quoted(column),
                false => format!("sum({})", quoted(column)),
            });
            let sums = sums.collect::<Vec<_>>().join(", ");
            // In the order of the key, so that neighbours in its index are written together, and two programs
            // that add to the same rows don't wait for each other in turn.
            format!("SELECT {sums} FROM pg_temp.{BATCH} GROUP BY {key} ORDER BY {key}")
        }
        Mode::Append { .. } | Mode::Statement(_) | Mode::OverBatch { .. } => return None,
    };
    Some(format!("INSERT INTO {target} AS target ({all}) {select}{}", conflict(mode, columns)))
}

/// An `INSERT .. VALUES ($1, ..) ..` as one over all rows of the batch: `INSERT .. SELECT .. FROM ..`.
pub(crate) fn over_batch(sql: &str) -> Result<String, SinkError> {
    let tokens = tokens(sql);
    let refused = |why: &str| {
        SinkError::permanent(format!(
            "`.statement(..)` takes an `INSERT .. VALUES ($1, ..) ..`, with all its parameters in one list \
             of values, and {why}: `.statement_over_batch(columns, sql)` takes any statement over the rows \
             of a batch"
        ))
    };
    let mut depth = 0;
    let mut values = None;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            word if depth == 0 && word.eq_ignore_ascii_case("values") => {
                values = Some(at);
                break;
            }
            _ => {}
        }
    }
    let Some(values) = values else { return Err(refused("this one has no `VALUES`")) };
    let open = values + 1;
    let mut depth = 0;
    let close = tokens.iter().enumerate().skip(open).find_map(|(at, token)| {
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at)
    });
    let close = match close {
        Some(close) if close > open => close,
        _ => return Err(refused("this one has no list after its `VALUES`")),
    };
    if tokens.get(close + 1).is_some_and(|token| token.text == ",") {
        return Err(refused("this one has several lists"));
    }
    if tokens.iter().enumerate().any(|(at, token)| token.is_parameter() && !(open..close).contains(&at)) {
        return Err(refused("this one has a parameter outside of it"));
    }
    let mut list = String::new();
    let mut from = tokens[open].end();
    for token in tokens[open..close].iter().filter(|token| token.is_parameter()) {
        list += &sql[from..token.at];
        list += &format!("batch.{}", quoted(token.text));
        from = token.end();
    }
    list += &sql[from..tokens[close].at];
    let (before, after) = (&sql[..tokens[values].at], &sql[tokens[close].end()..]);
    Ok(format!("{before}SELECT {list} FROM pg_temp.{BATCH} AS batch{after}"))
}

/// A word, a parameter, or a single character of a statement.
struct Token<'a> {
    at: usize,
    text: &'a str,
}

impl Token<'_> {
    fn end(&self) -> usize {
        self.at + self.text.len()
    }

    fn is_parameter(&self) -> bool {
        self.text.len() > 1
            && self.text.starts_with('$')
            && self.text[1..].bytes().all(|b| b.is_ascii_digit())
    }
}

/// The tokens outside of quotes and comments.
fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut at = 0;
    while let Some(first) = sql[at..].chars().next() {
        let rest = &sql[at..];
        let until = |mark: &str| rest[1..].find(mark).map_or(rest.len(), |found| 1 + found + mark.len());
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let len = match first {
            // `E'..'` has escapes; a doubled quote is two strings without anything between.
            '\'' if tokens
                .last()
                .is_some_and(|last| last.text.eq_ignore_ascii_case("e") && last.end() == at) =>
            {
                escaped(rest)
            }
            '\'' => until("'"),
            '"' => until("\""),
            '-' if rest.starts_with("--") => until("\n"),
            '/' if rest.starts_with("/*") => until("*/"),
            // `$tag$ .. $tag$`, but not a parameter.
            '$' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let tag = rest[1..].find('$').map(|end| &rest[..end + 2]);
                tag.and_then(|tag| Some(tag.len() + rest[tag.len()..].find(tag)? + tag.len())).unwrap_or(1)
            }
            '$' => 1 + rest[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - 1),
            c if is_word(c) => word,
            c => c.len_utf8(),
        };
        let quoted = matches!(first, '\'' | '"') || (first == '$' && rest[..len].ends_with('$'));
        let comment = len > 1 && matches!(first, '-' | '/');
        if !quoted && !comment && !first.is_whitespace() {
            tokens.push(Token { at, text: &rest[..len] });
        }
        at += len;
    }
    tokens
}

/// The length of a string with escapes.
fn escaped(rest: &str) -> usize {
    let mut escape = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\'' if !escape => return at + 1,
            '\\' => escape = !escape,
            _ => escape = false,
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_rows_of_the_batch() {
        let sql =
            "INSERT INTO counts (word, n) VALUES (lower($1), $2 + 0) ON CONFLICT (word) DO UPDATE SET n = 1";
        assert_eq!(
            over_batch(sql).unwrap(),
            "INSERT INTO counts (word, n) SELECT lower(batch.\"$1\"), batch.\"$2\" + 0 FROM \
             pg_temp.dstream_batch AS batch ON CONFLICT (word) DO UPDATE SET n = 1"
        );
        let quotes =
            r#"insert into "values (" (a) /* VALUES ( */ values (E'\')', $$ $9 ) $$, 'it''s $8', $12)"#;
        assert_eq!(
            over_batch(quotes).unwrap(),
            r#"insert into "values (" (a) /* VALUES ( */ SELECT E'\')', $$ $9 ) $$, 'it''s $8', batch."$12" FROM pg_temp.dstream_batch AS batch"#
        );
    }

    #[test]
    fn other_statements_are_refused() {
        let refusal = |sql: &str| over_batch(sql).unwrap_err().to_string();
        for (sql, why) in [
            ("UPDATE counts SET n = $2 WHERE word = $1", "no `VALUES`"),
            ("INSERT INTO c VALUES ($1), ($2)", "several lists"),
            ("INSERT INTO c VALUES ($1) ON CONFLICT DO UPDATE SET n = $2", "a parameter outside"),
            ("INSERT INTO c VALUES", "no list"),
            ("INSERT INTO c VALUES ($1", "no list"),
        ] {
            assert!(
                refusal(sql).contains(why) && refusal(sql).contains(".statement_over_batch"),
                "{}",
                refusal(sql)
            );
        }
        // Whatever it is, it is no panic.
        for sql in ["'", "E'\\", "$", "$a", "ä$1'", "/*", "--", "\""] {
            let _ = over_batch(sql);
            let _ = over_batch(&format!("VALUES ({sql}"));
        }
    }

    #[test]
    fn rows_of_one_key_are_one() {
        let columns = ["word".to_owned(), "n".to_owned()];
        let (table, key) = ("counts".to_owned(), vec!["word".to_owned()]);
        assert_eq!(
            insert(&Mode::Upsert { table: table.clone(), key: key.clone() }, "t", &columns).unwrap(),
            r#"INSERT INTO t AS target ("word", "n") SELECT DISTINCT ON ("word") "word", "n" FROM pg_temp.dstream_batch ORDER BY "word", ctid DESC ON CONFLICT ("word") DO UPDATE SET "n" = excluded."n""#
        );
        let add = insert(&Mode::AddTo { table, key }, "t", &columns).unwrap();
        assert!(
            add.contains(
                r#"SELECT "word", sum("n") FROM pg_temp.dstream_batch GROUP BY "word" ORDER BY "word" ON"#
            ),
            "{add}"
        );
    }
}
