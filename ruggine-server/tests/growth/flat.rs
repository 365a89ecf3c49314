//! What is demanded of three figures, each taken at twice the size of the one
//! before.

/// What a figure may be after a doubling, in hundredths of what it was.
const MOST: u64 = 115;

/// Figures that do not follow the size. Nothing may become of nothing.
pub(crate) fn assert_flat(what: &str, figures: [u64; 3]) {
    let [one, two, four] = figures;
    say(&format!("{what}: {one} at N, {two} at 2N, {four} at 4N"));
    for (before, after) in [(one, two), (two, four)] {
        assert!(
            after * 100 <= before * MOST,
            "{what} follow the size: {one} at N, {two} at 2N and {four} at 4N, where a doubling may \
             add 15 % at the most"
        );
    }
}

/// Figures that follow the size, and no faster than it grows: what comes to
/// each `unit` of it does not.
pub(crate) fn assert_flat_for_each(unit: &str, what: &str, figures: [u64; 3], sizes: [u64; 3]) {
    let each = |at: usize| figures[at] as f64 / sizes[at] as f64;
    let shown = format!(
        "{:.2} at N, {:.2} at 2N, {:.2} at 4N",
        each(0),
        each(1),
        each(2)
    );
    say(&format!("{what} for each {unit}: {shown}"));
    for at in [0, 1] {
        assert!(
            figures[at + 1] * sizes[at] * 100 <= figures[at] * sizes[at + 1] * MOST,
            "{what} grow faster than the size, for each {unit}: {shown}, where a doubling may add \
             15 % at the most"
        );
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are worth reading when they are good, too"
)]
fn say(text: &str) {
    println!("{text}");
}
