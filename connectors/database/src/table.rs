//! A table as the database has it, and whether rows fit into it.

use crate::{Kind, Mode};

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name, as the user wrote it.
    pub name: String,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// The columns of each unique index that a key may be found by.
    pub unique: Vec<Vec<String>>,
    /// Whether the database may take such a value for a column of this type. What is not known fits: the
    /// database has the last word.
    pub fits: fn(Kind, &str) -> bool,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as the database calls it.
    pub type_name: String,
    /// Whether a row must have a value for it: it is not null, and has no default.
    pub required: bool,
    /// Whether the database makes its values, and takes none.
    pub generated: bool,
}

impl Table {
    /// `(word text, n bigint)`, for messages.
    fn shown(&self) -> String {
        let columns = self.columns.iter().map(|column| format!("{} {}", column.name, column.type_name));
        format!("({})", columns.collect::<Vec<_>>().join(", "))
    }

    fn column(&self, name: &str) -> Result<&Column, String> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            format!("the table `{}` has no column `{name}`; its columns are {}", self.name, self.shown())
        })
    }

    /// Checks what is known before the first record: the key of a mode, and the columns if they are named.
    pub fn check_mode(&self, mode: &Mode, columns: Option<&[String]>) -> Result<(), String> {
        let key = mode.key();
        if key.is_empty() && matches!(mode, Mode::Upsert { .. } | Mode::AddTo { .. }) {
            return Err(format!("`{mode}` names no column of the key: which rows are the same?"));
        }
        for column in key {
            self.column(column)?;
        }
        let is_key = |unique: &Vec<String>| {
            unique.len() == key.len() && unique.iter().all(|column| key.contains(column))
        };
        if !key.is_empty() && !self.unique.iter().any(is_key) {
            let unique = match &self.unique[..] {
                [] => "it has no unique index".to_owned(),
                all => {
                    let all = all.iter().map(|columns| format!("({})", columns.join(", ")));
                    format!("its unique indexes are over {}", all.collect::<Vec<_>>().join(" and "))
                }
            };
            return Err(format!(
                "`{mode}` needs a unique index of the table `{}` over just these columns, and {unique}: \
                 `CREATE UNIQUE INDEX ON {} ({})` makes one",
                self.name,
                self.name,
                key.join(", ")
            ));
        }
        columns.map_or(Ok(()), |columns| self.check_columns(mode, columns))
    }

    /// Checks the columns of the rows.
    fn check_columns(&self, mode: &Mode, columns: &[String]) -> Result<(), String> {
        for (at, name) in columns.iter().enumerate() {
            if self.column(name)?.generated {
                return Err(format!(
                    "the database itself makes the values of the column `{name}` of the table `{}`: leave it \
                     out",
                    self.name
                ));
            }
            if columns[..at].contains(name) {
                return Err(format!("the column `{name}` is named twice"));
            }
        }
        if let Some(missing) = mode.key().iter().find(|key| !columns.contains(key)) {
            return Err(format!("`{mode}`: the records have no `{missing}`, only {}", columns.join(", ")));
        }
        match self.columns.iter().find(|column| column.required && !columns.contains(&column.name)) {
            Some(column) => Err(format!(
                "the column `{}` of the table `{}` may not be NULL and has no default, and the records have \
                 no value for it: they have {}",
                column.name,
                self.name,
                columns.join(", ")
            )),
            None => Ok(()),
        }
    }

    /// The columns that rows are written to: those that the user names, those of the fields' names, or those
    /// of the table in their order. Checks that they are there, and that what the rows have fits.
    pub fn fit(
        &self,
        mode: &Mode,
        named: Option<&[String]>,
        fields: &[&'static str],
        kinds: &[Kind],
    ) -> Result<Vec<String>, String> {
        let columns: Vec<String> = match named {
            Some(named) if fields.is_empty() => named.to_vec(),
            Some(named) => {
                let missing = fields.iter().find(|field| !named.iter().any(|name| name == *field));
                if let Some(missing) = missing {
                    return Err(format!(
                        "the records have the field `{missing}`, which `.columns({named:?})` does not name: \
                         the columns of records with named fields are those names, so `.columns` is not \
                         needed"
                    ));
                }
                fields.iter().map(|field| (*field).to_owned()).collect()
            }
            None if !fields.is_empty() => fields.iter().map(|field| (*field).to_owned()).collect(),
            None => {
                let given = self.columns.iter().filter(|column| !column.generated);
                given.map(|column| column.name.clone()).collect()
            }
        };
        if columns.len() != kinds.len() {
            let hint = match named {
                Some(_) => String::new(),
                None => ": `.columns([\"..\", ..])` says which of them are written".to_owned(),
            };
            return Err(format!(
                "the records have {} fields, and the columns to write are {}: ({}){hint}",
                kinds.len(),
                columns.len(),
                columns.join(", ")
            ));
        }
        self.check_columns(mode, &columns)?;
        for (at, (name, kind)) in columns.iter().zip(kinds).enumerate() {
            let column = self.column(name)?;
            let field = fields.get(at).map_or_else(|| (at + 1).to_string(), |field| format!("`{field}`"));
            if *kind == Kind::Unknown && column.required {
                // Refused by the database, record by record.
                continue;
            }
            if !(self.fits)(*kind, &column.type_name) {
                return Err(format!(
                    "the column `{name}` of the table `{}` is of type {}, and field {field} of the records \
                     is {kind}: its columns are {}",
                    self.name,
                    column.type_name,
                    self.shown()
                ));
            }
            let adds = matches!(mode, Mode::AddTo { .. }) && !mode.key().contains(name);
            if adds
                && matches!(kind, Kind::Text | Kind::Bytes | Kind::Boolean)
                && !is_interval(&column.type_name)
            {
                return Err(format!(
                    "`{mode}` adds the column `{name}`, which is {kind} and can't be added: leave it out, or \
                     make it part of the key"
                ));
            }
        }
        Ok(columns)
    }
}

fn is_interval(type_name: &str) -> bool {
    ["interval", "money", "numeric"].iter().any(|name| type_name.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Table {
        let column = |name: &str, type_name: &str, required| Column {
            name: name.into(),
            type_name: type_name.into(),
            required,
            generated: false,
        };
        Table {
            name: "counts".into(),
            columns: vec![column("word", "text", true), column("n", "bigint", false)],
            unique: vec![vec!["word".into()]],
            fits: |kind, type_name| type_name != "bigint" || kind == Kind::Integer,
        }
    }

    fn upsert(key: &[&str]) -> Mode {
        Mode::Upsert { table: "counts".into(), key: key.iter().map(|key| (*key).to_owned()).collect() }
    }

    #[test]
    fn a_key_needs_its_columns_and_a_unique_index() {
        assert_eq!(counts().check_mode(&upsert(&["word"]), None), Ok(()));
        let refusal = |key: &[&str]| counts().check_mode(&upsert(key), None).unwrap_err();
        assert_eq!(
            refusal(&["wrd"]),
            "the table `counts` has no column `wrd`; its columns are (word text, n bigint)"
        );
        let index = refusal(&["n"]);
        assert!(index.contains("its unique indexes are over (word)"), "{index}");
        assert!(index.contains("`CREATE UNIQUE INDEX ON counts (n)` makes one"), "{index}");
        assert!(refusal(&[]).contains("which rows are the same?"));
    }

    #[test]
    fn fields_fit_columns_by_name_position_and_type() {
        let mode = upsert(&["word"]);
        let both = [Kind::Text, Kind::Integer];
        let fit = |fields: &[&'static str], kinds: &[Kind]| counts().fit(&mode, None, fields, kinds);
        assert_eq!(fit(&[], &both).unwrap(), ["word", "n"]);
        assert_eq!(fit(&["n", "word"], &[Kind::Integer, Kind::Text]).unwrap(), ["n", "word"]);
        let refusal = |fields: &[&'static str], kinds: &[Kind]| fit(fields, kinds).unwrap_err();
        assert!(refusal(&["word", "m"], &both).contains("has no column `m`"));
        assert!(refusal(&["n"], &[Kind::Integer]).contains("have no `word`"));
        assert!(refusal(&[], &[Kind::Text]).contains("have 1 fields, and the columns to write are 2"));
        assert_eq!(
            refusal(&[], &[Kind::Text, Kind::Text]),
            "the column `n` of the table `counts` is of type bigint, and field 2 of the records is text: its \
             columns are (word text, n bigint)"
        );
        let append = Mode::Append { table: "counts".into() };
        let missing = counts().fit(&append, None, &["n"], &[Kind::Integer]).unwrap_err();
        assert!(
            missing.contains("`word` of the table `counts` may not be NULL and has no default"),
            "{missing}"
        );
        let named = ["n".to_owned(), "word".to_owned()];
        assert_eq!(
            counts().fit(&append, Some(&named), &[], &[Kind::Integer, Kind::Text]).unwrap(),
            ["n", "word"]
        );
        let twice = ["word".to_owned(), "word".to_owned()];
        assert!(counts().check_mode(&append, Some(&twice)).unwrap_err().contains("is named twice"));
    }
}
