//! The table of what is tested names tests that there are.

use std::path::Path;

#[test]
fn every_test_that_the_documentation_names_exists_where_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("docs/rpc.md")).unwrap();
    let mut tests = 0;
    for row in text
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains(".rs") | line.contains(".mjs"))
    {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, names, file] = cells[..] else {
            panic!("this row has not three cells: {row}");
        };
        let path = root.join(file.trim_matches('`'));
        let source =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for name in names.split("<br>").map(|name| name.trim().trim_matches('`')) {
            let is_there = if file.contains(".mjs") {
                source.contains(&format!("'{name}'"))
            } else {
                source.contains(&format!("fn {name}("))
            };
            assert!(is_there, "{file} has no test '{name}'");
            tests += 1;
        }
    }
    assert!(tests > 90, "only {tests} tests were found in the table");
}
