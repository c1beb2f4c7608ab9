//! The known word that a mistyped one was probably meant to be.

use clap::Arg;

/// How like a known word an unknown one must be to be taken for it (Jaro; what clap asks for, too).
const LIKE: f64 = 0.7;

/// The known word that is most like `word`, if one is like it at all.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known.map(|known| (strsim::jaro(word, known), known));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|&(likeness, _)| likeness > LIKE).map(|(_, known)| known)
}

/// The option that is most like this key, by its long name; it may be known by another name, too.
pub(super) fn nearest_option<'a>(key: &str, options: &'a [Arg]) -> Option<&'a str> {
    let names = |option: &'a Arg| {
        let others = option.get_visible_aliases().unwrap_or_default();
        option.get_long().into_iter().chain(others)
    };
    let near = nearest(key, options.iter().flat_map(names))?;
    options.iter().find(|option| names(option).any(|name| name == near))?.get_long()
}
