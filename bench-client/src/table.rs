//! What `--csv` names: a row of values for each connection, in the order of their numbers and from the beginning again.
//!
//! Read once, before anything is connected; a file that is wrong is refused with its line. Templates look values up, and
//! nobody else. As RFC 4180 has it: commas, quotes where a value needs them, the first line names the columns.

use std::path::{Path, PathBuf};

/// The most bytes of a file: a value's place is kept as 32 bits.
const FILE_BYTES_MAX: usize = u32::MAX as usize;

/// A file of values.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    columns: Vec<String>,
    /// Every value, quotes taken off, one behind the other.
    text: String,
    /// Where each value ends, row by row.
    ends: Vec<u32>,
    /// The line each row begins at.
    lines: Vec<u32>,
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, with its line and what would be right.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("--csv {}: {error}", path.display()))?;
        Self::parse(path, &text)
    }

    /// A table of one column, with the numbers below `count` in it.
    pub(crate) fn of_numbers(column: &str, count: u32) -> Self {
        let rows = (0..count).map(|number| format!("{number}\n"));
        let csv = std::iter::once(format!("{column}\n")).chain(rows).collect::<String>();
        Self::parse(Path::new(column), &csv).expect("digits on lines of their own are a table")
    }

    fn parse(path: &Path, csv: &str) -> Result<Self, String> {
        let wrong = |line: u32, what: String| Err(format!("{}:{line}: {what}", path.display()));
        if csv.len() > FILE_BYTES_MAX {
            return wrong(1, "the file is larger than 4 GiB: split it".into());
        }
        let mut table = Self {
            path: path.to_owned(),
            columns: Vec::new(),
            text: String::with_capacity(csv.len()),
            ends: Vec::new(),
            lines: Vec::new(),
        };
        // A byte order mark is how some spreadsheets begin a file.
        let mut rest = csv.strip_prefix('\u{feff}').unwrap_or(csv);
        let mut line = 1;
        while !rest.is_empty() {
            let (row, began) = (table.ends.len(), line);
            if let Some(behind) = rest.strip_prefix('\n').or_else(|| rest.strip_prefix("\r\n")) {
                (rest, line) = (behind, line + 1);
                continue;
            }
            loop {
                match table.field(&mut rest, &mut line) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(what) => return wrong(line, what),
                }
            }
            if table.columns.is_empty() {
                table.columns = (0..table.ends.len()).map(|at| table.value(at).trim().to_owned()).collect();
                if let Some(name) = table.doubtful() {
                    return wrong(
                        began,
                        format!("the first line names the columns, each once, and `{name}` is no such name"),
                    );
                }
                table.ends.clear();
                table.text.clear();
                continue;
            }
            let (fields, columns) = (table.ends.len() - row, table.columns.len());
            if fields != columns {
                return wrong(
                    began,
                    format!(
                        "{fields} values, where the first line names {columns} columns ({}); a value with a comma stands in \
                         quotes",
                        table.columns.join(", ")
                    ),
                );
            }
            table.lines.push(began);
        }
        if table.lines.is_empty() {
            return wrong(line, "no rows: one line of names and at least one of values are wanted".into());
        }
        Ok(table)
    }

    /// Takes one value off `rest`; whether the row goes on behind it.
    fn field(&mut self, rest: &mut &str, line: &mut u32) -> Result<bool, String> {
        let mut behind = match rest.strip_prefix('"') {
            None => {
                let end = rest.find([',', '\n', '"']).unwrap_or(rest.len());
                if rest[end..].starts_with('"') {
                    return Err(
                        "a quote within a value: put the whole value in quotes, and the quote twice".into()
                    );
                }
                let (value, behind) = rest.split_at(end);
                let value =
                    if behind.starts_with(',') { value } else { value.strip_suffix('\r').unwrap_or(value) };
                self.text.push_str(value);
                behind
            }
            Some(mut quoted) => loop {
                let Some(end) = quoted.find('"') else {
                    return Err("a quote that is not closed: the value goes on to the end of the file".into());
                };
                let (value, behind) = quoted.split_at(end);
                self.text.push_str(value);
                *line += value.matches('\n').count() as u32;
                match behind[1..].strip_prefix('"') {
                    Some(behind) => {
                        self.text.push('"');
                        quoted = behind;
                    }
                    None => break behind[1..].strip_prefix('\r').unwrap_or_else(|| &behind[1..]),
                }
            },
        };
        self.ends.push(self.text.len() as u32);
        let goes_on = match behind.chars().next() {
            None => false,
            Some(',') => true,
            Some('\n') => {
                *line += 1;
                false
            }
            Some(other) => {
                return Err(format!(
                    "`{other}` behind a closing quote, where a comma or the line's end is wanted"
                ));
            }
        };
        behind = behind.get(1..).unwrap_or_default();
        *rest = behind;
        Ok(goes_on)
    }

    /// A column's name that is empty or there twice.
    fn doubtful(&self) -> Option<&str> {
        self.columns
            .iter()
            .enumerate()
            .find(|(at, name)| name.is_empty() || name.contains('}') || self.columns[..*at].contains(name))
            .map(|(_, name)| name.as_str())
    }

    fn value(&self, at: usize) -> &str {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[from as usize..self.ends[at] as usize]
    }

    /// A column's place.
    ///
    /// # Errors
    /// There is none of this name; which there are.
    pub(crate) fn column(&self, name: &str) -> Result<usize, String> {
        self.columns.iter().position(|column| column == name).ok_or_else(|| {
            format!(
                "{} has no column `{name}`; its columns are {}",
                self.path.display(),
                self.columns.join(", ")
            )
        })
    }

    /// The value of a connection in a column.
    pub(crate) fn of(&self, connection: u32, column: usize) -> &str {
        self.value(connection as usize % self.lines.len() * self.columns.len() + column)
    }

    /// Rows.
    pub(crate) fn rows(&self) -> usize {
        self.lines.len()
    }

    /// Where a connection's row stands, as FILE:LINE.
    pub(crate) fn place(&self, connection: u32) -> String {
        format!("{}:{}", self.path.display(), self.lines[connection as usize % self.lines.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(csv: &str) -> Result<Table, String> {
        Table::parse(Path::new("t.csv"), csv)
    }

    #[test]
    fn rows_are_dealt_in_order_and_from_the_beginning_again() {
        for csv in [
            "user,token\na,1\nb,\"x, \"\"y\"\"\"\nc,\n",
            "\u{feff}user , token\r\na,1\r\n\r\nb,\"x, \"\"y\"\"\"\r\n\"c\",\"\"\r\n",
            "\nuser,token\na,1\nb,\"x, \"\"y\"\"\"\nc,",
        ] {
            let table = parse(csv).unwrap();
            let (user, token) = (table.column("user").unwrap(), table.column("token").unwrap());
            let dealt: Vec<_> = (0..4).map(|n| (table.of(n, user), table.of(n, token))).collect();
            assert_eq!(dealt, [("a", "1"), ("b", "x, \"y\""), ("c", ""), ("a", "1")], "{csv}");
            assert_eq!(table.rows(), 3);
        }
        let table = parse("a\n\"x\ny\"\nz\n").unwrap();
        assert_eq!(
            (table.of(0, 0), table.place(0), table.place(1)),
            ("x\ny", "t.csv:2".into(), "t.csv:4".into())
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (csv, place, word) in [
            ("", "t.csv:1:", "no rows"),
            ("a,b\n", "t.csv:2:", "no rows"),
            ("a,b\n1,2\n3\n", "t.csv:3:", "1 values, where the first line names 2 columns (a, b)"),
            ("a,b\n1,2,3\n", "t.csv:2:", "3 values"),
            ("a,a\n1,2\n", "t.csv:1:", "`a` is no such name"),
            ("a,\n1,2\n", "t.csv:1:", "`` is no such name"),
            ("a\nx\"y\n", "t.csv:2:", "a quote within a value"),
            ("a\n\"x\n", "t.csv:2:", "not closed"),
            ("a\n\"x\"y\n", "t.csv:2:", "`y` behind a closing quote"),
        ] {
            let said = parse(csv).unwrap_err();
            assert!(said.starts_with(place) && said.contains(word), "{csv:?}: {said}");
        }
        let said = parse("a,b\n1,2\n").unwrap().column("c").unwrap_err();
        assert_eq!(said, "t.csv has no column `c`; its columns are a, b");
    }
}
